"""Intervals by resampling slides: tiles of one slide look alike, so a slide is in or out as a whole (cluster bootstrap)."""
from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

INTERVAL = (2.5, 97.5)  # percentiles: 95 %
ENOUGH = 0.5  # share of resamplings in which a measure must exist for its interval to mean anything


def drawn_slides(slides: int, seed: int, what: str, replicate: int) -> npt.NDArray[np.int64]:
    """How often each slide is drawn in one resampling, int64 (slides,), summing to `slides`; by (seed, what, replicate) alone."""
    key = hashlib.sha256(f"{seed}\0bootstrap\0{what}\0{replicate}".encode()).digest()[:16]
    rng = np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))
    return np.bincount(rng.integers(0, slides, slides), minlength=slides).astype(np.int64)


def interval(values: Sequence[float | None], slides: int) -> tuple[float | None, float | None]:
    """Low and high end of the 95 % percentile interval; None where there is one slide only, or the measure seldom exists."""
    there = [v for v in values if v is not None]
    if slides < 2 or not there or len(there) < ENOUGH * len(values):
        return None, None
    low, high = np.percentile(np.array(there), INTERVAL)
    return float(low), float(high)
