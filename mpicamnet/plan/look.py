"""A look at some windows: which share passes the filter and has a label, and how large they are as JPEG. A few hundred tell within a few
percent."""
from __future__ import annotations

from dataclasses import dataclass

import imagecodecs
import numpy as np
import numpy.typing as npt

from ..config import Config, Extract
from ..errors import SlideError
from ..patches.plan import Candidates, SlidePlan, window_candidates
from ..patches.sampling import generator
from ..slides import open_record, read_patch

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
    for plan in some:
        windows = _drawn(plan, config, -(-WINDOWS // len(some)))
        if plan.annotated:
            annotated, known = annotated + len(windows), known + int((windows.label >= 0).sum())
        kept = [px for px in _read(plan, config, windows) if passes(px, config.extract)]
        weight += int(plan.windows.sum())
        passing += int(plan.windows.sum()) * len(kept) / len(windows)
        if config.extract.storage == "jpeg":
            sizes += [len(imagecodecs.jpeg8_encode(px, level=config.extract.jpeg_quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="420"))
                      for px in kept[:8]]
    return Look(passing / weight if weight else 0.0, known / annotated if annotated else 1.0, float(np.mean(sizes)) if sizes else 0.0)


def passes(px: npt.NDArray[np.uint8], extract: Extract) -> bool:
    """Whether a patch, uint8 (p, p, 3), is neither too white nor too black."""
    white, black = (px > extract.white.intensity).all(axis=-1).mean(), (px < extract.black.intensity).all(axis=-1).mean()
    return bool(white <= extract.white.max_share and black <= extract.black.max_share)


def _drawn(plan: SlidePlan, config: Config, many: int) -> Candidates:
    """Windows drawn from four blocks at most, each as likely as it has windows: to label all of a slide would take long."""
    rng = generator(config.seed, "plan", plan.record.name)
    blocks = rng.choice(len(plan.windows), 4, p=plan.windows / plan.windows.sum())
    parts = []
    for block in blocks.tolist():
        there = window_candidates(plan, config, block)
        parts.append(there.take(rng.choice(len(there), -(-many // 4))))
    return Candidates.join(parts)


def _read(plan: SlidePlan, config: Config, windows: Candidates) -> list[npt.NDArray[np.uint8]]:
    """The px of windows; those that cannot be read are left out, as a run would leave them out."""
    found = []
    with open_record(plan.record, config.data.reader) as slide:
        for x, y in zip(plan.grid.level0(windows.x).tolist(), plan.grid.level0(windows.y).tolist(), strict=True):
            try:
                found.append(read_patch(slide, x, y, config.data.patch, plan.resolution))
            except SlideError:
                continue
    return found
