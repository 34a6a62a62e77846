"""Pieces of a mask. Apart from its caller, as importing Numba takes half a second.

SciPy's `label` does the same; importing scipy.ndimage takes as long as all else that a rank does before its first block, and reads 100 files,
on every rank, from what is often a shared file system.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..compiled import compiled


@compiled
def without_small_pieces(mask: npt.NDArray[np.bool_], least: int) -> Any:
    """The mask (bool (h, w)) without its pieces, connected by edges or corners, of fewer than `least` px.

    Union-find over the runs of rows in reading order (He, Chao and Suzuki 2008), the first run of a piece being its root.
    """
    h, w = mask.shape
    row, begin, end = _runs(mask)
    n = len(row)
    root, area = np.arange(n), np.zeros(n, np.int64)
    above = 0  # the first run of the row above that may still touch
    for i in range(n):
        while above < i and (row[above] < row[i] - 1 or (row[above] == row[i] - 1 and end[above] < begin[i])):
            above += 1
        k = above
        while k < i and row[k] == row[i] - 1 and begin[k] <= end[i]:
            a, b = _root(root, i), _root(root, k)
            root[max(a, b)] = min(a, b)
            k += 1
    for i in range(n):  # a root comes before all of its piece
        root[i] = root[root[i]]
        area[root[i]] += end[i] - begin[i]
    out = np.zeros((h, w), np.bool_)
    for i in range(n):
        if area[root[i]] >= least:
            out[row[i], begin[i]:end[i]] = True
    return out


@compiled
def _runs(mask: npt.NDArray[np.bool_]) -> Any:
    """The runs of True in reading order: row, first column, column after the last; int64 (n,) each."""
    h, w = mask.shape
    n = 0
    for y in range(h):
        for x in range(w):
            n += mask[y, x] and not (x > 0 and mask[y, x - 1])
    row, begin, end = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    i = 0
    for y in range(h):
        x = 0
        while x < w:
            if not mask[y, x]:
                x += 1
                continue
            row[i], begin[i] = y, x
            while x < w and mask[y, x]:
                x += 1
            end[i] = x
            i += 1
    return row, begin, end


@compiled
def _root(root: Any, i: int) -> Any:
    while root[i] != i:
        root[i] = root[root[i]]
        i = root[i]
    return i
