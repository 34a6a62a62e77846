"""A look at some windows: which share passes the filter and has a label, and how large they are as JPEG. A few hundred tell within a few
percent."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..config import Config
from ..patches.fill import Filler
from ..patches.filter import passes, shares
from ..patches.jpeg import encoded
from ..patches.plan import Candidates, SlidePlan, window_candidates
from ..patches.sampling import generator

SLIDES, WINDOWS = 32, 256  # looked at, at most: some seconds


@dataclass(frozen=True)
class Look:
    """`passing`: share of windows on tissue that are neither too white nor too black; `known`: share of those on annotated slides that have a label;
    `jpeg`: mean bytes of one as JPEG (0 where px are not kept so)."""

    passing: float
    known: float
    jpeg: float


def look(plans: list[SlidePlan], config: Config) -> Look:
    """Read some windows of slides spread evenly over the catalogue, drawn by the seed."""
    with_tissue = [p for p in plans if p.windows.any()]
    some = [with_tissue[i * len(with_tissue) // min(SLIDES, len(with_tissue))] for i in range(min(SLIDES, len(with_tissue)))]
    weight, passing, annotated, known, sizes = 0.0, 0.0, 0, 0, []
    filler = Filler(config.extract, config.data.reader)
    for plan in some:
        windows = _drawn(plan, config, -(-WINDOWS // len(some)))
        if plan.annotated:
            annotated, known = annotated + len(windows), known + int((windows.label >= 0).sum())
        kept = _kept(plan, config, windows, filler)
        weight += int(plan.windows.sum())
        passing += int(plan.windows.sum()) * len(kept) / len(windows)
        if config.extract.storage == "jpeg":
            sizes += [len(encoded(px, config.extract.jpeg_quality)) for px in kept[:8]]
    filler.close()
    return Look(passing / weight if weight else 0.0, known / annotated if annotated else 1.0, float(np.mean(sizes)) if sizes else 0.0)


def _drawn(plan: SlidePlan, config: Config, many: int) -> Candidates:
    """Windows drawn from four blocks at most, each as likely as it has windows: to label all of a slide would take long."""
    rng = generator(config.seed, "plan", plan.record.name)
    blocks = rng.choice(len(plan.windows), 4, p=plan.windows / plan.windows.sum())
    parts = []
    for block in blocks.tolist():
        there = window_candidates(plan, config, block)
        parts.append(there.take(rng.choice(len(there), -(-many // 4))))
    return Candidates.join(parts)


def _kept(plan: SlidePlan, config: Config, windows: Candidates, filler: Filler) -> npt.NDArray[np.uint8]:
    """The px of the windows that pass the filter, uint8 (n, p, p, 3); those that cannot be read are left out, as a run would leave them out."""
    side = config.data.patch
    px = np.empty((len(windows), side, side, 3), np.uint8)
    filled = filler.fill(plan.record, plan.resolution, windows.x, windows.y, px, (0, 0))
    white, black = shares(filled.counts, side).T
    kept: npt.NDArray[np.uint8] = px[passes(white, black, config.extract) & ~filled.bad]
    return kept
