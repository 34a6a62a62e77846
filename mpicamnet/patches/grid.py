"""Blocks: the squares that a slide is cut into, by config and slide alone; and where the windows of dense sampling stand.

Coordinates here are px at the target resolution ("target px"); `Grid` converts to level-0 px.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FILE_TILE = 512  # px; a multiple of nearly every file tile in use, so that blocks end where file tiles do


def block_side(block: int, stride: int) -> int:
    """`block` rounded down to a multiple of `stride`, and of file tiles too where that leaves blocks no larger than asked.

    At least one stride. A block whose edges are edges of file tiles shares no tile with its neighbours: each tile is decoded once.
    """
    both = math.lcm(stride, FILE_TILE)
    step = both if both <= block else stride
    return max(1, block // step) * step


@dataclass(frozen=True)
class Grid:
    """A slide's blocks and windows.

    `width`, `height`: the slide, target px. `downsample`: level-0 px per target px. `patch`, `stride`, `block`: target px.
    """

    width: int
    height: int
    downsample: float
    patch: int
    stride: int
    block: int

    @property
    def columns(self) -> int:
        """Blocks side by side, those in which no patch can begin left out."""
        return max(0, -(-(self.width - self.patch + 1) // self.block))

    @property
    def rows(self) -> int:
        return max(0, -(-(self.height - self.patch + 1) // self.block))

    @property
    def blocks(self) -> int:
        return self.columns * self.rows

    def windows(self, block: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Top-left corners x, y (n,) of the dense windows of a block; by y, then x; none leaves the slide."""
        left, top = block % self.columns * self.block, block // self.columns * self.block
        xs = _multiples(self.stride, left, min(left + self.block, self.width - self.patch + 1))
        ys = _multiples(self.stride, top, min(top + self.block, self.height - self.patch + 1))
        y, x = np.meshgrid(ys, xs, indexing="ij")
        return x.ravel(), y.ravel()

    def block_of(self, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """The block that each top-left corner lies in, numbered row by row over the slide."""
        out: npt.NDArray[np.int64] = y // self.block * self.columns + x // self.block
        return out

    def level0(self, at: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Target px -> level-0 px."""
        out: npt.NDArray[np.int64] = np.rint(at * self.downsample).astype(np.int64)
        return out


def _multiples(step: int, low: int, high: int) -> npt.NDArray[np.int64]:
    """Multiples of `step` in [low, high)."""
    first = -(-low // step) * step
    out: npt.NDArray[np.int64] = np.arange(first, max(high, first), step, dtype=np.int64)
    return out
