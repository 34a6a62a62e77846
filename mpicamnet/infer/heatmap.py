"""Probabilities of tiles -> a map of the slide: a cell for each window of the grid, NaN where there was no tile."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..patches.grid import Grid


@dataclass(frozen=True)
class Heatmap:
    """`prob` float32 (rows, columns), NaN outside tissue. In level-0 px: `left`, `top`, the corner of cell (0, 0), and `cell`, its width.

    A cell is the middle of its window, one stride wide: cells tile the slide without gap or overlap.
    """

    prob: npt.NDArray[np.float32]
    left: float
    top: float
    cell: float

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Left, right, bottom, top in level-0 px."""
        rows, columns = self.prob.shape
        return self.left, self.left + columns * self.cell, self.top + rows * self.cell, self.top


def heatmap(grid: Grid, xy: npt.NDArray[np.int64], prob: npt.NDArray[np.float32]) -> Heatmap:
    """The map of a slide from its tiles: `xy` int64 (n, 2) level-0 px, `prob` float32 (n,)."""
    cell = grid.stride * grid.downsample
    shape = ((grid.height - grid.patch) // grid.stride + 1, (grid.width - grid.patch) // grid.stride + 1)
    out = np.full(shape, np.nan, np.float32)
    column, row = np.rint(xy.T / cell).astype(np.int64)
    out[row, column] = prob
    margin = (grid.patch - grid.stride) / 2 * grid.downsample
    return Heatmap(out, margin, margin, cell)
