"""Intervals by resampling slides or patients: what comes from one of them looks alike, so it is in or out as a whole (cluster bootstrap)."""
from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

INTERVAL = (2.5, 97.5)  # percentiles: 95 %
ENOUGH = 0.5  # share of resamplings in which a measure must exist for its interval to mean anything
Values = dict[str, float | None]
Counts = npt.NDArray[np.int64]
Curve = npt.NDArray[np.float32]


class Sample(Protocol):
    """Slides or patients that are measured; `what` names the draws, `units` is how many are drawn."""

    @property
    def what(self) -> str: ...
    @property
    def units(self) -> int: ...

    def values(self, times: Counts | None = None) -> Values:
        """Each measure, None where it does not exist; `times` int64 (units,): how often each slide or patient counts [once]."""

    def curves(self, times: Counts | None = None) -> dict[str, Curve]:
        """Curves over fixed places, float32, NaN where they do not exist."""

    def why(self, name: str) -> str:
        """Why a measure does not exist."""


@dataclass(frozen=True)
class Replicate:
    """One resampling's measures and curves."""

    values: Values
    curves: dict[str, Curve]


def drawn_slides(slides: int, seed: int, what: str, replicate: int) -> Counts:
    """How often each slide (or patient) is drawn in one resampling, int64 (slides,), summing to `slides`; by (seed, what, replicate) alone."""
    key = hashlib.sha256(f"{seed}\0bootstrap\0{what}\0{replicate}".encode()).digest()[:16]
    rng = np.random.Generator(np.random.Philox(key=int.from_bytes(key, "little")))
    return np.bincount(rng.integers(0, slides, slides), minlength=slides).astype(np.int64)


def replicate(sample: Sample, seed: int, number: int) -> Replicate:
    """Measures and curves in one resampling; none where there are not two to draw from."""
    if sample.units < 2:
        return Replicate({}, {})
    times = drawn_slides(sample.units, seed, sample.what, number)
    return Replicate(sample.values(times), sample.curves(times))


def interval(values: Sequence[float | None], slides: int) -> tuple[float | None, float | None]:
    """Low and high end of the 95 % percentile interval; None where there is one slide only, or the measure seldom exists."""
    there = [v for v in values if v is not None]
    if slides < 2 or not there or len(there) < ENOUGH * len(values):
        return None, None
    low, high = np.percentile(np.array(there), INTERVAL)
    return float(low), float(high)


def measures(sample: Sample, replicates: Sequence[Replicate]) -> dict[str, dict[str, Any]]:
    """Each measure as evaluation.json has it: value, low, high; or null and why."""
    out: dict[str, dict[str, Any]] = {}
    for name, value in sample.values().items():
        if value is None:
            out[name] = {"value": None, "why": sample.why(name)}
        else:
            low, high = interval([r.values.get(name) for r in replicates], sample.units)
            out[name] = {"value": value, "low": low, "high": high}
    return out


def band(replicates: Sequence[Replicate], name: str) -> tuple[Curve, Curve] | None:
    """Low and high end of the pointwise 95 % band of a curve; NaN at places where it seldom exists, None where no resampling has it."""
    drawn = [r.curves[name] for r in replicates if name in r.curves]
    if not drawn:
        return None
    stack = np.stack(drawn)
    enough = np.mean(~np.isnan(stack), axis=0) >= ENOUGH
    low, high = (np.full(stack.shape[1], np.nan, np.float32) for _ in range(2))
    if enough.any():
        low[enough], high[enough] = np.nanpercentile(stack[:, enough], INTERVAL, axis=0)
    return low, high
