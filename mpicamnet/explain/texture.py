"""Haralick texture inside nuclei: how often which greys stand side by side, counted only where both px lie in the same nucleus."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

ANGLES = (0.0, math.pi / 4, math.pi / 2, 3 * math.pi / 4)
NAMES = ("asm", "contrast", "correlation", "homogeneity")


@dataclass(frozen=True)
class Texture:
    """Angular second moment, contrast, correlation and homogeneity of a co-occurrence matrix; NaN where there is no pair of px."""

    asm: float
    contrast: float
    correlation: float
    homogeneity: float


def cooccurrence(grey: npt.NDArray[np.uint8], inside: npt.NDArray[Any], distance: int, angle: float, levels: int) -> npt.NDArray[np.int64]:
    """Grey-level co-occurrence matrix, symmetric, as counts.

    Parameters
    ----------
    grey : uint8 (h, w), values below `levels`.
    inside : bool or integer (h, w). A pair counts where both px have the same value, not 0: both lie in the mask, or in the same nucleus.
    distance : px. angle : radians. The second px of a pair is round(distance sin(angle)) rows below and round(distance cos(angle)) columns right.

    Returns
    -------
    int64 (levels, levels): each pair both ways round.

    R. M. Haralick, K. Shanmugam and I. Dinstein, IEEE Trans SMC 3:610, 1973. With all px inside it equals scikit-image's `graycomatrix`.
    """
    down, right = round(distance * math.sin(angle)), round(distance * math.cos(angle))
    first, second = _pair(grey, down, right)
    mask_first, mask_second = _pair(inside, down, right)
    both = (mask_first != 0) & (mask_first == mask_second)
    places = first[both].astype(np.int64) * levels + second[both]
    counts = np.bincount(places, minlength=levels * levels).reshape(levels, levels)
    return np.asarray(counts + counts.T)


def texture(counts: npt.NDArray[np.int64]) -> Texture:
    """The four measures of a co-occurrence matrix (levels, levels); with px of a single grey the correlation is 1, as scikit-image has it."""
    total = counts.sum()
    if total == 0:
        return Texture(*[math.nan] * 4)
    p = counts / total
    i, j = np.indices(p.shape)
    mean_i, mean_j = (i * p).sum(), (j * p).sum()
    spread = math.sqrt(((i - mean_i) ** 2 * p).sum() * ((j - mean_j) ** 2 * p).sum())
    correlation = ((i - mean_i) * (j - mean_j) * p).sum() / spread if spread > 1e-15 else 1.0
    return Texture(float((p ** 2).sum()), float(((i - j) ** 2 * p).sum()), float(correlation), float((p / (1 + (i - j) ** 2)).sum()))


def nuclear_texture(grey: npt.NDArray[np.uint8], nuclei: npt.NDArray[Any], distance: int, levels: int) -> Texture:
    """Texture of all nuclei of a patch together: the mean of four directions, so that turning the slide changes nothing.

    `grey` uint8 (h, w), 0 to 255, is cut into `levels` equal steps; `nuclei` integer (h, w); `distance` px.
    """
    steps = (grey.astype(np.uint16) * levels // 256).astype(np.uint8)
    every = [texture(cooccurrence(steps, nuclei, distance, a, levels)) for a in ANGLES]
    return Texture(*(float(np.mean([getattr(t, name) for t in every])) for name in NAMES))


def _pair(values: npt.NDArray[Any], down: int, right: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Views of the first and of the second px of all pairs (down >= 0)."""
    h, w = values.shape
    first = values[:max(0, h - down), max(0, -right):w - max(0, right)]
    second = values[down:, max(0, right):w + min(0, right)]
    return first, second
