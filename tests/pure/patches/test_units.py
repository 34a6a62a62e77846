"""How much a rank is handed in a round."""
from __future__ import annotations

import numpy as np
import pytest

from mpicamnet.patches.grid import Grid, block_side
from mpicamnet.patches.units import LEAST_ROUNDS, held_rows, round_rows, unit_rows
from mpicamnet.ranks import reach_of
from mpicamnet.ranks.shares import Dealer


def test_a_rank_holds_what_the_buffer_takes_and_any_unit() -> None:
    assert held_rows(100, 224) == (100 << 20) // (224 * 224 * 3) > unit_rows(224)
    assert held_rows(1, 224) == unit_rows(224)


@pytest.mark.parametrize(("ranks", "least"), [(2, 0.98), (3, 0.95), (4, 0.9)])
def test_small_blocks_at_an_edge_make_no_rank_wait(ranks: int, least: float) -> None:
    grid = Grid(32_768, 32_768, 1.0, 224, 224, block_side(4096, 224))
    weights = np.array([len(grid.windows(b)[0]) for b in range(grid.blocks)], np.int64)
    assert weights.min() < weights.max() / 4, "its last column and row are narrow"
    most, reach = round_rows(weights, held_rows(32, 224), ranks), reach_of(weights)
    longest = sum(max(int(reach[s.stop] - reach[s.start]) for s in shares) for shares in Dealer(reach, 0, ranks, most))
    assert weights.sum() / ranks / longest > least


def test_large_work_goes_in_many_rounds_and_never_over_what_is_held() -> None:
    weights = np.full(10_000, 100, np.int64)
    assert round_rows(weights, 10**9, 4) == 1_000_000 // (LEAST_ROUNDS * 4)
    assert round_rows(weights, 300, 4) == 300
    assert round_rows(weights[:0], 300, 4) >= 1
