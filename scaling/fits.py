"""Two laws of scaling with few numbers, fitted to points: Amdahl's, and the universal scalability law."""
from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import OptimizeWarning, curve_fit

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Amdahl:
    """seconds(p) = one x (serial + (1 - serial) / p) (Amdahl 1967)."""

    one: float
    serial: float

    def seconds(self, ranks: Floats) -> Floats:
        return _amdahl(ranks, self.one, self.serial)


@dataclass(frozen=True)
class Universal:
    """rate(p) = one x p / (1 + contention (p - 1) + crosstalk p (p - 1)) (Gunther 2007)."""

    one: float
    contention: float
    crosstalk: float

    def rate(self, ranks: Floats) -> Floats:
        return _universal(ranks, self.one, self.contention, self.crosstalk)


def amdahl(ranks: Sequence[float], seconds: Sequence[float]) -> Amdahl:
    """The law nearest to the points, relative errors squared; at least two numbers of ranks."""
    p, t = np.asarray(ranks, np.float64), np.asarray(seconds, np.float64)
    return Amdahl(*_fitted(_amdahl, p, t, (t.max(), 0.05), ((0, 0), (np.inf, 1)), (t.max(), 0.1)))


def universal(ranks: Sequence[float], rates: Sequence[float]) -> Universal:
    """The law nearest to the points, relative errors squared; at least three numbers of ranks."""
    p, r = np.asarray(ranks, np.float64), np.asarray(rates, np.float64)
    if len(set(p.tolist())) < 3:
        raise ValueError("three numbers of ranks at least")
    first = float(r[p.argmin()] / p.min())
    return Universal(*_fitted(_universal, p, r, (first, 0.01, 1e-6), ((0, 0, 0), (np.inf, np.inf, np.inf)), (first, 0.1, 1e-4)))


def _fitted(law: Callable[..., Floats], p: Floats, y: Floats, start: tuple[float, ...], bounds: tuple[tuple[float, ...], tuple[float, ...]],
            scale: tuple[float, ...]) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OptimizeWarning)  # of the covariance, which is not used: as many points as numbers give none
        found, _ = curve_fit(law, p, y, p0=start, sigma=y, bounds=bounds, x_scale=scale)
    return [float(v) for v in found]


def _amdahl(p: Floats, one: float, serial: float) -> Floats:
    return np.asarray(one * (serial + (1 - serial) / p))


def _universal(p: Floats, one: float, contention: float, crosstalk: float) -> Floats:
    return np.asarray(one * p / (1 + contention * (p - 1) + crosstalk * p * (p - 1)))
