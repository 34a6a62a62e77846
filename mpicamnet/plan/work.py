"""How much there is to do: windows, rows, tiles, patches to explain. Counted where it can be counted, else from a look at some windows."""
from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

from ..config import Config
from ..errors import UserError
from ..infer.raster import step_of
from ..patches.plan import SlidePlan
from ..patches.sampling import Draw
from ..patches.units import units_of
from ..slides import SlideRecord
from ..train import is_given, parts_of
from .look import Look, look


@dataclass(frozen=True)
class Work:
    """Of all slides: `windows` on tissue, px of `tissue`, `pieces` that ranks can share, rows at `most` and about (`rows`), of `px` bytes each beside
    their columns; `passing`: share of windows that do.

    `train`, `val`: rows that train and validate, about. Of the slides that are tested: how many (`tested`), about how many `tiles`, `raster` px of
    their heatmaps, patches that get a panel (`explained`) and whose concepts are `measured`. `refusal`: why training would not begin, or empty.
    """

    slides: int
    windows: int
    tissue: int
    pieces: int
    most: int
    rows: int
    px: float
    passing: float
    train: int
    val: int
    tested: int
    tiles: int
    raster: int
    explained: int
    measured: int
    refusal: str = ""


def work_of(plans: list[SlidePlan], records: list[SlideRecord], config: Config) -> Work:
    """The work of a run over `plans`, which are of `records` (some of these may have no plan)."""
    seen = look(plans, config)
    extract, patch = config.extract, config.data.patch
    of_slide = {p.index: _rows(p, config, seen) for p in plans}
    units = units_of([p.windows for p in plans], [p.index for p in plans], patch)
    windows = sum(int(p.windows.sum()) for p in plans)
    dense = extract.sampling == "dense"
    most = windows if dense else sum(min(extract.per_class, p.places) * ((p.record.background == 0) + p.annotated) for p in plans)
    rows = sum(about for about, _ in of_slide.values())
    train, val, test, refusal = _parts(records, config)
    of_train, of_val = (round(sum(of_slide[i][1] for i in part if i in of_slide)) for part in (train, val))
    tested = [p for p in plans if p.index in test]
    denser = ((extract.stride or patch) / (config.infer.stride or patch)) ** 2
    tiles = [int(p.windows.sum()) * seen.passing * denser for p in tested]
    known = [p for p, n in zip(tested, tiles, strict=True) if n >= 1 and (p.annotated or p.record.background == 0)]
    explain, each = config.explain, 2 * config.explain.per_slide  # so many most and so many least certain of each outcome
    explained = len(explain.patches) if explain.patches is not None else sum(each * (4 if p.annotated else 2) for p in known)
    measured = sum(min(explain.concepts.patches, round(n)) for p, n in zip(tested, tiles, strict=True) if p in known) if "rcv" in explain.methods else 0
    px = {"pixels": patch * patch * 3.0, "jpeg": seen.jpeg, "coords": 0.0}[extract.storage]
    tissue = round(sum(p.places * (p.mask_downsample / p.grid.downsample) ** 2 for p in plans))
    return Work(len(plans), windows, tissue, len(units) if dense else most, most, round(rows), px, seen.passing, of_train, of_val, len(tested),
                round(sum(tiles)), sum(_raster(p, config) for p in tested), explained, measured, refusal)


def _rows(plan: SlidePlan, config: Config, seen: Look) -> tuple[float, float]:
    """About how many rows a slide gives, and how many of them have a label."""
    extract = config.extract
    if extract.sampling == "dense":
        about = int(plan.windows.sum()) * seen.passing
        return about, about * (seen.known if plan.annotated else float(plan.record.background == 0))
    about = 0.0
    for label in (0, 1):
        if plan.places and seen.passing > 0 and (plan.record.background == 0 if label == 0 else plan.annotated):
            there = len(Draw(plan, config, label).next(math.ceil(extract.per_class / seen.passing)))
            about += min(extract.per_class, there * seen.passing)
    return about, about


def _parts(records: list[SlideRecord], config: Config) -> tuple[set[int], set[int], set[int], str]:
    """Places in the catalogue of what trains, validates and is tested; and why the split cannot be made, where it cannot."""
    split = config.data.split
    if not is_given(split):
        return set(), set(), set(range(len(records))), "no split is given: name in data.split who trains, validates and tests"
    try:
        parts = parts_of(split, records, config.seed)
    except UserError as e:
        return set(), set(), set(), str(e)
    return set(parts.train.tolist()), set(parts.val.tolist()), set(parts.test.tolist()), ""


def _raster(plan: SlidePlan, config: Config) -> int:
    """Px of a slide's heatmap."""
    step = step_of(dataclasses.replace(plan.grid, stride=config.infer.stride or config.data.patch), (plan.width, plan.height))
    return -(-plan.width // step) * -(-plan.height // step)
