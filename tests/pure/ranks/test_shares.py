"""Shares: contiguous, complete, bounded, even."""
from __future__ import annotations

import numpy as np
import pytest

from mpicamnet.ranks import reach_of
from mpicamnet.ranks.shares import rounds_of


def dealt(weights: list[int], ranks: int, most: int, start: int = 0) -> list[list[list[int]]]:
    """All rounds from a block on, as lists of block numbers per rank."""
    out, at = [], start
    for shares in rounds_of(reach_of(np.array(weights, np.int64)), start, ranks, most):
        assert len(shares) == ranks and shares[0].start == at
        assert all(a.stop == b.start for a, b in zip(shares, shares[1:], strict=False))
        assert shares[-1].stop > at, "a round without work would never end"
        out.append([list(range(s.start, s.stop)) for s in shares])
        at = shares[-1].stop
    return out


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7, 50])
@pytest.mark.parametrize("most", [10, 25, 1000])
def test_every_block_is_dealt_once_in_order_and_no_piece_exceeds_what_a_rank_can_hold(ranks: int, most: int) -> None:
    weights = np.random.default_rng(1).integers(1, 11, 40).tolist()
    rounds = dealt(weights, ranks, most)
    assert [b for r in rounds for piece in r for b in piece] == list(range(40))
    assert max(sum(weights[b] for b in piece) for r in rounds for piece in r) <= most


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_the_weight_of_all_rounds_evens_out_to_about_one_block(ranks: int) -> None:
    weights = [256] * 100 + [144] * 11
    load = [sum(weights[b] for r in dealt(weights, ranks, 600) for b in r[k]) for k in range(ranks)]
    assert max(load) - min(load) <= 256


def test_one_rank_takes_what_it_can_hold_and_two_share_four_equal_blocks_in_halves() -> None:
    assert dealt([4, 4, 4], 1, 8) == [[[0]], [[1, 2]]] or dealt([4, 4, 4], 1, 8) == [[[0, 1]], [[2]]]
    assert dealt([5, 5, 5, 5], 2, 100) == [[[0, 1], [2, 3]]]


def test_rounds_from_any_block_hold_each_block_after_it_once_in_order() -> None:
    weights = [5, 1, 9, 2, 2, 7, 3, 3, 8, 1]
    for start in range(11):
        assert [b for r in dealt(weights, 3, 9, start) for piece in r for b in piece] == list(range(start, 10))


@pytest.mark.parametrize(("blocks", "ranks"), [(2, 64), (4, 8), (3, 7)])
def test_fewer_blocks_than_ranks_are_done_in_one_round_by_as_many_ranks(blocks: int, ranks: int) -> None:
    """No rank is due half a block: all the same each block goes to a rank of its own, and none waits for another."""
    first, *more = dealt([100] * blocks, ranks, 100)
    assert not more and sorted(len(b) for b in first) == [0] * (ranks - blocks) + [1] * blocks


def test_a_rank_that_is_behind_and_can_hold_no_more_catches_up_as_the_one_ahead_gets_none() -> None:
    """14 blocks to a row, the last one smaller: with two ranks it always falls to the same one, and neither can hold two blocks."""
    weights = ([256] * 13 + [176]) * 40
    load = [sum(weights[b] for r in dealt(weights, 2, 320) for b in r[k]) for k in range(2)]
    assert max(load) - min(load) <= 256
