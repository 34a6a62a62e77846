"""H&E pictures of known content, drawn from amounts of stain by Beer and Lambert's law."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from mpicamnet.explain.stain import REFERENCE


def picture(haematoxylin: npt.NDArray[np.float64], eosin: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """uint8 (..., 3) of optical densities (...) of the two reference stains."""
    density = haematoxylin[..., None] * REFERENCE[0] + eosin[..., None] * REFERENCE[1]
    return np.asarray(np.clip(np.rint(256 * 10 ** -density - 1), 0, 255), np.uint8)


def tissue(h: int, w: int, discs: list[tuple[float, float, float]], seed: int = 0) -> npt.NDArray[np.uint8]:
    """Pink ground, and nuclei as discs (y, x, radius in px), with a little noise in both stains."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w]
    nucleus = np.zeros((h, w), bool)
    for cy, cx, r in discs:
        nucleus |= (y - cy) ** 2 + (x - cx) ** 2 <= r ** 2
    return picture(np.where(nucleus, 0.6, 0.04) * rng.normal(1, 0.05, (h, w)), np.where(nucleus, 0.1, 0.25) * rng.normal(1, 0.05, (h, w)))
