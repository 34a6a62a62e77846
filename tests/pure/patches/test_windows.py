"""Windows on tissue: block by block, with short ways where a block is all glass or all tissue, the same as over the whole mask at once."""
from __future__ import annotations

import numpy as np
import pytest

from mpicamnet.config import Config, Tissue
from mpicamnet.patches.grid import Grid, block_side
from mpicamnet.patches.plan import _windows_on_tissue
from mpicamnet.slides import tissue_fractions


@pytest.mark.parametrize("least", [0.0, 0.25, 1.0])
@pytest.mark.parametrize("downsample", [1.0, 8.0, 15.9])
def test_blocks_find_what_the_whole_mask_shows(downsample: float, least: float) -> None:
    grid = Grid(2000, 1500, 1.0, 96, 96, block_side(384, 96))
    mask = np.zeros((int(1500 / downsample), int(2000 / downsample)), bool)  # as a level is: the last px of the slide may lie outside
    mask[:, mask.shape[1] // 3:] = True  # blocks without tissue, with some, and all of it
    mask[mask.shape[0] // 2:, mask.shape[1] // 2:] &= np.random.default_rng(0).random((mask.shape[0] - mask.shape[0] // 2, 1)) > 0.3
    config = Config(work="unused", tissue=Tissue(min_fraction=least))
    full = 0
    for block in range(grid.blocks):
        x, y = grid.windows(block)
        fraction = tissue_fractions(mask, downsample, x, y, 96)
        expected = fraction >= least
        got_x, got_y, got = _windows_on_tissue(mask, downsample, grid, config, block)
        close = np.isclose(fraction, least, atol=1e-6)  # in a sum of its own, either side of it
        assert set(zip(x[expected & ~close], y[expected & ~close], strict=True)) <= set(zip(got_x, got_y, strict=True))
        kept = np.isin(y * 10_000 + x, got_y * 10_000 + got_x)
        assert (expected | close)[kept].all() and np.allclose(got, fraction[kept], atol=1e-6)
        full += len(got) == len(x) and bool((got == 1).all())
    assert 0 < full < grid.blocks
