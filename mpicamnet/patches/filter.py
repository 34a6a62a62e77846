"""The white and black rule, fused with the copy of pixels into patches.

A px is white where all three channels are above `white`, black where all three are below `black`. Kernels run without the GIL. Indices are
unsigned on purpose: with signed ones Numba guards against negative indices, and neither the copy nor the counts become vector instructions
(measured: 0.8 against 19 GB/s).
"""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..compiled import compiled
from ..config import Extract

_u64 = np.uint64
_one, _two, _three = np.uint64(1), np.uint64(2), np.uint64(3)
_long, _short = np.uint64(64), np.uint64(16)  # px that are counted at once; a loop of a fixed length becomes vector instructions without a remainder


@compiled
def _copy(source: Any, at: Any, target: Any, to: Any, n: Any) -> None:
    for j in range(n):
        target[to + _u64(j)] = source[at + _u64(j)]


@compiled
def _count_px(rgb: Any, at: Any, n: Any, white: Any, black: Any) -> Any:
    """White and black px among `n` px from byte `at` on; n below 256, since they are summed in 8 bits."""
    w, b = np.uint8(0), np.uint8(0)
    for j in range(n):
        k = at + _three * _u64(j)
        red, green, blue = rgb[k], rgb[k + _one], rgb[k + _two]
        w = np.uint8(w + np.uint8((red > white) & (green > white) & (blue > white)))
        b = np.uint8(b + np.uint8((red < black) & (green < black) & (blue < black)))
    return np.int64(w), np.int64(b)


@compiled
def _count(rgb: Any, at: Any, n: Any, white: Any, black: Any) -> Any:
    """White and black px among `n` px from byte `at` on."""
    whites, blacks = np.int64(0), np.int64(0)
    done = _u64(0)
    while done + _long <= n:
        w, b = _count_px(rgb, at + _three * done, 64, white, black)
        whites, blacks, done = whites + w, blacks + b, done + _long
    while done + _short <= n:
        w, b = _count_px(rgb, at + _three * done, 16, white, black)
        whites, blacks, done = whites + w, blacks + b, done + _short
    w, b = _count_px(rgb, at + _three * done, n - done, white, black)
    return whites + w, blacks + b


@compiled
def _copy_and_count(source: Any, at: Any, target: Any, to: Any, n: Any, white: Any, black: Any) -> Any:
    """Copy `n` px, and count the white and black ones among them while they are at hand."""
    whites, blacks = np.int64(0), np.int64(0)
    done = _u64(0)
    while done + _long <= n:
        _copy(source, at + _three * done, target, to + _three * done, 192)
        w, b = _count_px(source, at + _three * done, 64, white, black)
        whites, blacks, done = whites + w, blacks + b, done + _long
    while done + _short <= n:
        _copy(source, at + _three * done, target, to + _three * done, 48)
        w, b = _count_px(source, at + _three * done, 16, white, black)
        whites, blacks, done = whites + w, blacks + b, done + _short
    _copy(source, at + _three * done, target, to + _three * done, _three * (n - done))
    w, b = _count_px(source, at + _three * done, n - done, white, black)
    return whites + w, blacks + b


@compiled
def scatter(tile: Any, tile_x: int, tile_y: int, x: Any, y: Any, picks: Any, out: Any, counts: Any, white: Any, black: Any) -> None:
    """Copy what a decoded file tile holds of each picked patch to its place, and count the white and black px copied.

    The tile is walked row by row: a decoder leaves it too large for the nearest cache, and reading in order is what memory does best.

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
    size = side * side * 3
    source, target = tile.reshape(height * width * 3), out.reshape(out.shape[0] * size)
    for row in range(height):
        for k in range(picks.shape[0]):
            i = picks[k]
            down = tile_y + row - y[i]
            if down < 0 or down >= side:
                continue
            left, right = max(x[i], tile_x), min(x[i] + side, tile_x + width)
            if right <= left:
                continue
            n = _u64(right - left)
            at = _u64((row * width + left - tile_x) * 3)
            w, b = _copy_and_count(source, at, target, _u64(i * size + (down * side + left - x[i]) * 3), n, white, black)
            counts[i, 0] += w
            counts[i, 1] += b


@compiled
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


def passes(white: npt.NDArray[np.float32], black: npt.NDArray[np.float32], extract: Extract) -> npt.NDArray[np.bool_]:
    """Which patches are neither too white nor too black; shares float32 (n,) -> bool (n,)."""
    return (white <= np.float32(extract.white.max_share)) & (black <= np.float32(extract.black.max_share))


@compiled
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
