"""A heatmap as px over the slide: probabilities interpolated between windows, NaN outside tissue.

The value at a point is the mean of the windows' probabilities, weighted by a kernel of the distance to their centres. Where windows overlap
so far that a point lies in more than two of them per axis, the kernel is as wide as a window: all that saw the point have their say, the more
the nearer it is to their middle. Elsewhere it reaches to the neighbouring windows, which is interpolation as one knows it.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..patches.grid import Grid
from .heatmap import Heatmap

PER_STRIDE = 4  # px of the raster in a stride, at least, but for slides so large that MOST binds
LEAST_SIDE = 512  # px of the raster's longer side, at least, where the slide has as many: its last px may reach beyond the slide
MOST = 1 << 25  # px of a raster: 128 MiB as float32
STRIP = 256  # rows worked on at a time

Places = npt.NDArray[np.floating[Any]]
Kernel = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]  # cells (n, taps) and their weights, which sum to 1


@dataclass(frozen=True)
class Raster:
    """`prob` float32 (h, w), NaN outside tissue. Px (row, column) covers the level-0 square of side `step` at (column * step, row * step)."""

    prob: npt.NDArray[np.float32]
    step: int

    def half(self) -> Raster:
        """The same at half the resolution: means over 2 x 2 px of what is tissue."""
        h, w = self.prob.shape
        even = np.pad(self.prob, ((0, h % 2), (0, w % 2)), constant_values=np.nan)
        known = np.isfinite(even)
        quads = (np.where(known, even, 0), known.astype(np.float32))
        total, count = (q.reshape(len(q) // 2, 2, -1, 2).sum(axis=(1, 3), dtype=np.float32) for q in quads)
        with np.errstate(invalid="ignore"):
            return Raster(np.where(count > 0, total / count, np.float32(np.nan)).astype(np.float32), 2 * self.step)


def raster(grid: Grid, heat: Heatmap, size: tuple[int, int], tissue: npt.NDArray[np.bool_], downsample: float, interpolation: str) -> Raster:
    """The heatmap of a slide as px.

    Parameters
    ----------
    grid, heat
        The slide's windows, and their probabilities, NaN where there is none.
    size
        Width and height of the slide, level-0 px.
    tissue
        bool (h, w): the tissue mask, a px of which is `downsample` level-0 px wide. Outside it, and outside all windows, the raster is NaN.
    interpolation
        nearest, linear (a tent) or cubic (Keys 1981, a = -1/2; clipped to [0, 1]).
    """
    step = step_of(grid, size)
    width, height = (-(-s // step) for s in size)
    out = np.full((height, width), np.nan, np.float32)
    present = np.isfinite(heat.prob)
    if not present.any():
        return Raster(out, step)
    from scipy import ndimage  # 0.3 s, for those who only ask how a raster would be: `plan`, and each rank at its start
    nearest = ndimage.distance_transform_edt(~present, return_distances=False, return_indices=True)
    cells = heat.prob[tuple(nearest)]  # beyond the edge of what was looked at, as it is at the edge
    reach = np.zeros((present.shape[0] + 1, present.shape[1] + 1), np.int64)
    reach[1:, 1:] = present.cumsum(0).cumsum(1)
    x, y = (step * (np.arange(n, dtype=np.float64) + 0.5) for n in (width, height))  # middles of px, level 0
    across, down = (_kernel(at / grid.downsample, grid, n, interpolation) for at, n in ((x, present.shape[1]), (y, present.shape[0])))
    left, right = _covering(x / grid.downsample, grid, present.shape[1])
    above, below = _covering(y / grid.downsample, grid, present.shape[0])
    column = np.minimum((x / downsample).astype(np.int64), tissue.shape[1] - 1)
    row = np.minimum((y / downsample).astype(np.int64), tissue.shape[0] - 1)
    for first in range(0, height, STRIP):
        part = slice(first, first + STRIP)
        seen = reach[np.ix_(below[part], right)] - reach[np.ix_(above[part], right)] - reach[np.ix_(below[part], left)] + reach[np.ix_(above[part], left)]
        wanted = (seen > 0) & tissue[np.ix_(row[part], column)]
        lines = _weighted(cells, (down[0][part], down[1][part]))
        values = _weighted(lines.T, across).T
        out[part] = np.where(wanted, np.clip(values, 0, 1), np.float32(np.nan))
    return Raster(out, step)


def step_of(grid: Grid, size: tuple[int, int]) -> int:
    """Level-0 px per px of a slide's raster: a power of two, so that viewers lay it over the slide without a fraction."""
    wanted = max(1.0, min(grid.stride * grid.downsample / PER_STRIDE, max(size) / LEAST_SIDE))
    step = 1 << int(np.log2(wanted) + 1e-9)
    while -(-size[0] // step) * -(-size[1] // step) > MOST:
        step *= 2
    return step


def _kernel(at: Places, grid: Grid, cells: int, interpolation: str) -> Kernel:
    """The cells that each place (target px) is made of, and how much of each; at the edge the last cell stands for those beyond."""
    u = (at - grid.patch / 2) / grid.stride  # cell k has its middle at k
    if interpolation == "nearest":
        return np.clip(np.floor(u + 0.5).astype(np.int64), 0, cells - 1)[:, None], np.ones((len(u), 1), np.float32)
    wide = max(1.0, grid.patch / (2 * grid.stride))
    radius = wide if interpolation == "linear" else 2 * wide
    taps = np.floor(u - radius).astype(np.int64)[:, None] + np.arange(1, int(np.ceil(2 * radius)) + 1)
    d = np.abs(u[:, None] - taps) / wide
    weights = np.maximum(0, 1 - d) if interpolation == "linear" else _keys(d)
    weights /= weights.sum(axis=1, keepdims=True)
    return np.clip(taps, 0, cells - 1), weights.astype(np.float32)


def _keys(d: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -1/2 (IEEE Trans. ASSP 29:1153, equation 15)."""
    return np.where(d < 1, (1.5 * d - 2.5) * d * d + 1, np.where(d < 2, ((-0.5 * d + 2.5) * d - 4) * d + 2, 0))


def _weighted(cells: npt.NDArray[np.float32], kernel: Kernel) -> npt.NDArray[np.float32]:
    """Weighted sums of rows of `cells`: (n, columns). Sums in one order, not by a BLAS, whose bits depend on its threads."""
    picks, weights = kernel
    total = weights[:, :1] * cells[picks[:, 0]]
    for k in range(1, picks.shape[1]):
        total += weights[:, k:k + 1] * cells[picks[:, k]]
    return total


def _covering(at: Places, grid: Grid, cells: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Windows `first` to `last` (not included) in whose extent each place (target px) lies, along one axis.

    Where windows leave gaps between them, a place in a gap counts to the window before it; beyond the last window, to none.
    """
    extent = max(grid.patch, grid.stride)
    first = np.floor((at - extent) / grid.stride).astype(np.int64) + 1
    last = np.floor(at / grid.stride).astype(np.int64) + 1
    return np.clip(first, 0, cells), np.clip(last, 0, cells)
