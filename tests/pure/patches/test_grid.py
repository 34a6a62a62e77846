"""Blocks and windows."""
from __future__ import annotations

import numpy as np
import pytest

from mpicamnet.patches.grid import Grid, block_side


@pytest.mark.parametrize(("block", "stride", "side"), [
    (4096, 224, 3584),  # 3584 = 16 x 224 = 7 x 512: no file tile is shared by two blocks
    (4096, 256, 4096), (4096, 96, 3072), (1024, 40, 1000),  # no common multiple of 40 and 512 fits into 1024
    (64, 224, 224)])  # never less than a stride
def test_block_sides_worked_by_hand(block: int, stride: int, side: int) -> None:
    assert block_side(block, stride) == side


@pytest.mark.parametrize("stride", [5, 8, 20, 33])
@pytest.mark.parametrize(("width", "height"), [(100, 70), (97, 33), (20, 20), (64, 128)])
def test_blocks_divide_the_windows_and_no_patch_leaves_the_slide(stride: int, width: int, height: int) -> None:
    grid = Grid(width, height, 1.0, 20, stride, block_side(32, stride))
    every = {(x, y) for y in range(0, height - 19, stride) for x in range(0, width - 19, stride)}
    found = [(x, y) for b in range(grid.blocks) for x, y in zip(*(v.tolist() for v in grid.windows(b)), strict=True)]
    assert sorted(found) == sorted(every), "each window in one block"
    for b in range(grid.blocks):
        x, y = grid.windows(b)
        assert (grid.block_of(x, y) == b).all()
        assert list(zip(y.tolist(), x.tolist(), strict=True)) == sorted(zip(y.tolist(), x.tolist(), strict=True)), "by y, then x"


def test_a_patch_larger_than_the_slide_leaves_no_block() -> None:
    assert Grid(100, 100, 1.0, 101, 101, 101).blocks == 0


def test_level_0_positions_are_rounded_to_the_nearest_px() -> None:
    grid = Grid(100, 100, 4.002, 20, 20, 20)
    assert grid.level0(np.array([0, 100, 1000])).tolist() == [0, 400, 4002]
