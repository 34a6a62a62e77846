"""From tiles to a map."""
from __future__ import annotations

import numpy as np
import pytest

from mpicamnet.infer.heatmap import heatmap
from mpicamnet.infer.picture import round_length
from mpicamnet.infer.tiles import Tiles
from mpicamnet.patches.grid import Grid


def test_a_cell_lies_over_the_middle_of_its_window() -> None:
    grid = Grid(width=400, height=300, downsample=2.0, patch=100, stride=50, block=200)
    heat = heatmap(grid, np.array([[0, 0], [200, 100]]), np.array([0.25, 0.75], np.float32))  # level-0 px
    assert heat.prob.shape == (5, 7)  # (300 - 100) / 50 + 1 rows, (400 - 100) / 50 + 1 columns
    assert heat.prob[0, 0] == 0.25 and heat.prob[1, 2] == 0.75
    assert np.isnan(heat.prob).sum() == 33  # no tile, no probability
    assert heat.cell == 100 and heat.extent == (50, 750, 550, 50)  # window 0..200 of level 0 has its middle at 100


@pytest.mark.parametrize(("downsample", "stride"), [(2.00003, 96), (1.7, 33)])
def test_every_window_finds_its_cell_also_where_level_0_px_are_rounded(downsample: float, stride: int) -> None:
    grid = Grid(6000, 5000, downsample, 96, stride, block=200 * stride)  # one block, larger than the slide
    x, y = grid.windows(0)
    prob = np.arange(len(x), dtype=np.float32)
    heat = heatmap(grid, np.stack([grid.level0(x), grid.level0(y)], axis=1), prob)
    assert (heat.prob.ravel() == prob).all()  # windows come row by row


def test_tiles_stand_by_slide_then_row_then_column() -> None:
    xy = np.array([[0, 0], [5, 9], [7, 2], [3, 9]])
    tiles = Tiles(np.array([1, 0, 0, 0], np.int32), xy, np.zeros(4, np.int8), np.array([1, 2, 3, 4], np.float32))
    assert tiles.in_order().prob.tolist() == [3, 4, 2, 1]


@pytest.mark.parametrize(("most", "length"), [(0.85, 0.5), (2.0, 2.0), (7.3, 5.0), (0.019, 0.01)])
def test_a_scale_bar_has_a_round_length(most: float, length: float) -> None:
    assert round_length(most) == pytest.approx(length)
