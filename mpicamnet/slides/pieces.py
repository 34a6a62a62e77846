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

    Union-find over px in reading order (Rosenfeld and Pfaltz 1966), the smallest px of a piece being its root.
    """
    h, w = mask.shape
    root = np.arange(h * w, dtype=np.int32)
    area = np.zeros(h * w, np.int32)
    for y in range(h):
        for x in range(w):
            if not mask[y, x]:
                continue
            here = y * w + x
            for dy, dx in ((0, -1), (-1, -1), (-1, 0), (-1, 1)):
                v, u = y + dy, x + dx
                if v < 0 or u < 0 or u >= w or not mask[v, u]:
                    continue
                a, b = here, v * w + u
                while root[a] != a:
                    root[a] = root[root[a]]
                    a = root[a]
                while root[b] != b:
                    root[b] = root[root[b]]
                    b = root[b]
                root[max(a, b)] = min(a, b)
    for i in range(h * w):  # a root comes before all of its piece
        root[i] = root[root[i]]
        if mask[i // w, i % w]:
            area[root[i]] += 1
    out = np.zeros((h, w), np.bool_)
    for i in range(h * w):
        out[i // w, i % w] = mask[i // w, i % w] and area[root[i]] >= least
    return out
