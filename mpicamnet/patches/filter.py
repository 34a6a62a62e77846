"""The white and black rule, fused with the copy of pixels into patches.

A px is white where all three channels are above `white`, black where all three are below `black`. Kernels run without the GIL. Indices are
unsigned on purpose: with signed ones Numba guards against negative indices, and neither the copy nor the counts become vector instructions
(measured: 0.8 against 19 GB/s).
"""
from __future__ import annotations

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

_u64 = np.uint64
_one, _two, _three = np.uint64(1), np.uint64(2), np.uint64(3)
_lanes = np.uint64(240)  # px whose flags are summed in 8 bits: any number below 256


@numba.njit(nogil=True, cache=True)
def _copy(source: Any, at: Any, target: Any, to: Any, n: Any) -> None:
    for j in range(n):
        target[to + j] = source[at + j]


@numba.njit(nogil=True, cache=True)
def _count(rgb: Any, at: Any, n: Any, white: Any, black: Any) -> Any:
    """White and black px among `n` px from byte `at` on."""
    whites, blacks = np.int64(0), np.int64(0)
    done = _u64(0)
    while done < n:
        run = min(n - done, _lanes)
        first = at + _three * done
        w, b = np.uint8(0), np.uint8(0)
        for j in range(run):
            k = first + _three * j
            red, green, blue = rgb[k], rgb[k + _one], rgb[k + _two]
            w = np.uint8(w + np.uint8((red > white) & (green > white) & (blue > white)))
            b = np.uint8(b + np.uint8((red < black) & (green < black) & (blue < black)))
        whites += w
        blacks += b
        done += run
    return whites, blacks


@numba.njit(nogil=True, cache=True)
def scatter(tile: Any, tile_x: int, tile_y: int, x: Any, y: Any, picks: Any, out: Any, counts: Any, white: Any, black: Any) -> None:
    """Copy what a decoded file tile holds of each picked patch to its place, and count the white and black px copied.

    Parameters
    ----------
    tile
        uint8 (th, tw, 3), top-left corner at `tile_x`, `tile_y`.
    x, y
        int64 (n,): top-left corners of the patches, px of the same level.
    picks
        int64 (k,): the patches that meet the tile.
    out
        uint8 (n, side, side, 3).
    counts
        int64 (n, 2): white and black px, added to.
    white, black
        uint8: the two intensities.
    """
    height, width = tile.shape[0], tile.shape[1]
    side = out.shape[1]
    source = tile.reshape(height * width * 3)
    for k in range(picks.shape[0]):
        i = picks[k]
        left, right = max(x[i], tile_x), min(x[i] + side, tile_x + width)
        top, bottom = max(y[i], tile_y), min(y[i] + side, tile_y + height)
        if right <= left or bottom <= top:
            continue
        n = _u64(right - left)
        target = out[i].reshape(side * side * 3)
        for row in range(top, bottom):
            at = _u64(((row - tile_y) * width + left - tile_x) * 3)
            to = _u64(((row - y[i]) * side + left - x[i]) * 3)
            _copy(source, at, target, to, _three * n)
            w, b = _count(source, at, n, white, black)
            counts[i, 0] += w
            counts[i, 1] += b


@numba.njit(nogil=True, cache=True)
def count(patches: Any, white: Any, black: Any) -> Any:
    """White and black px of whole patches: uint8 (n, h, w, 3) -> int64 (n, 2)."""
    n, px = patches.shape[0], patches.shape[1] * patches.shape[2]
    counts = np.zeros((n, 2), np.int64)
    for i in range(n):
        flat = patches[i].reshape(px * 3)
        counts[i, 0], counts[i, 1] = _count(flat, _u64(0), _u64(px), white, black)
    return counts


def shares(counts: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.float32]:
    """Counts (n, 2) as shares of the patch, float32 (n, 2): white, black."""
    return (counts / float(side * side)).astype(np.float32)


@numba.njit(nogil=True, cache=True)
def compact(rows: Any, keep: Any) -> int:
    """Move the kept rows (bool (n,)) of uint8 (n, bytes) to the front, in order, in place; returns how many there are."""
    size = _u64(rows.shape[1])
    flat = rows.reshape(rows.shape[0] * rows.shape[1])
    kept = 0
    for i in range(rows.shape[0]):
        if keep[i]:
            if kept != i:
                _copy(flat, _u64(i) * size, flat, _u64(kept) * size, size)
            kept += 1
    return kept
