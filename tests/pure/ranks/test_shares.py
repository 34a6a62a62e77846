"""Shares: contiguous, complete, bounded, even."""
from __future__ import annotations

import numpy as np
import pytest

from mpicamnet.ranks import reach_of
from mpicamnet.ranks.shares import Dealer


def dealt(weights: list[int], ranks: int, most: int, start: int = 0) -> list[list[list[int]]]:
    """All rounds from a block on, as lists of block numbers per rank."""
    out, at = [], start
    for shares in Dealer(reach_of(np.array(weights, np.int64)), start, ranks, most):
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


def test_a_rank_that_works_longer_is_given_less() -> None:
    """Four ranks, rounds of 1,200 in 12 s of work, 100 a second. The last one worked 0.6 s longer than the mean, 60, which is 80 behind the others' mean."""
    dealer = Dealer(reach_of(np.ones(12_000, np.int64)), 0, 4, 300)
    rounds = iter(dealer)
    assert [len(s) for s in next(rounds)] == [300] * 4
    dealer.hear(np.array([2_800_000, 2_800_000, 2_800_000, 3_600_000]))
    assert [len(s) for s in next(rounds)] == [300, 300, 300, 220]
    dealer.hear(np.array([5_800_000, 5_800_000, 5_800_000, 6_600_000]))  # 3 s each: no nearer
    first, *_, last = (len(s) for s in next(rounds))
    assert first - last == pytest.approx(100, abs=1)  # the others are 20 ahead of the mean of all


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 24])
@pytest.mark.parametrize(("slower", "pause_of"), [(1, 0), (1.1, 0), (1.5, 0), (1, 20)])
def test_ranks_of_different_speed_end_almost_together(ranks: int, slower: float, pause_of: int) -> None:
    """Coarse blocks, one of which is all that a rank can hold; the last rank is slower, or once rests for many rounds: all have waited for it then, and it
    does not idle while the others do as much. A rank waits only where it is a round ahead, and at the end."""
    reach = reach_of(np.full(95 * ranks, 256, np.int64))
    pause = np.array([1.0] * (ranks - 1) + [slower])
    dealer = Dealer(reach, 0, ranks, 320)
    now = busy = np.zeros(ranks)
    told: list[tuple[float, np.ndarray]] = []
    for shares in dealer:
        work = pause * [float(reach[s.stop] - reach[s.start]) for s in shares]
        if shares[0].start <= 40 * ranks < shares[-1].stop:
            work[-1] += 256 * pause_of
        now, busy = now + work, busy + work
        if told:
            last, worked = told.pop()
            now = np.maximum(now, last)
            dealer.hear(np.rint(1000 * worked).astype(np.int64))
        told.append((now.max(), busy))
    assert now.max() < 256 * pause_of + 1.06 * reach[-1] / (1 / pause).sum()
