"""Coarse maps of a network to the size of its picture, and to a common scale."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

Maps = npt.NDArray[np.float32]


def upsampled(maps: Maps, height: int, width: int) -> Maps:
    """Maps (n, h, w) at (n, height, width), bilinear: a value stands at the middle of its cell, and beyond the outer middles it stays."""
    rows, columns = _weights(maps.shape[1], height), _weights(maps.shape[2], width)
    return np.asarray(rows @ maps @ columns.T, np.float32)


def _weights(cells: int, px: int) -> Maps:
    """What each cell counts at each px, (px, cells); rows sum to 1."""
    place = np.clip((np.arange(px) + 0.5) * cells / px - 0.5, 0, cells - 1)
    below = np.minimum(place.astype(int), max(cells - 2, 0))
    out = np.zeros((px, cells))
    np.add.at(out, (np.arange(px), below), 1 - (place - below))
    np.add.at(out, (np.arange(px), np.minimum(below + 1, cells - 1)), place - below)
    return out.astype(np.float32)


def scaled(maps: Maps) -> Maps:
    """Each of the maps (n, h, w) over its largest absolute value: 0 to 1 where nothing is negative; a map of zeros stays so."""
    most = np.abs(maps).max(axis=(1, 2), keepdims=True)
    return np.asarray(np.divide(maps, most, out=np.zeros_like(maps), where=most > 0), np.float32)
