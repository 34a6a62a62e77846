"""Which rows an epoch takes, and in what order."""
from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mpicamnet.train.order import Order, Pace, copies_of, deal
from mpicamnet.train.source import runs


def order(n: int = 1000, tumor: float = 0.5, **how: int) -> Order:
    rows = np.arange(n) + 17
    return Order(rows, (np.random.default_rng(0).random(n) < tumor).astype(np.int8), 7, **how)


@pytest.mark.parametrize(("run", "pool"), [(1, 1), (8, 1), (1, 128), (8, 16), (5, 7), (999, 3), (3000, 2)])
def test_an_epoch_takes_every_row_once_in_another_order_each_time(run: int, pool: int) -> None:
    o = order(run=run, pool=pool)
    taken = [o.epoch(e) for e in (0, 1)]
    for t in taken:
        assert sorted(t.rows.tolist()) == o.rows.tolist() and not t.copies.any()
    assert (taken[0].rows != taken[1].rows).any() and (o.epoch(1).rows == taken[1].rows).all()
    assert (replace(o, seed=8).epoch(1).rows != taken[1].rows).any()


def test_without_runs_the_order_is_an_even_permutation() -> None:
    """Where row 0 stands in 2,000 epochs over 10 rows: each place 200 times expected, standard deviation 13."""
    places = [int(np.flatnonzero(order(10).epoch(e).rows == 17)[0]) for e in range(2000)]
    assert np.abs(np.bincount(places, minlength=10) - 200).max() < 5 * 13.4


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_a_rank_reads_whole_runs_though_no_batch_holds_two_rows_of_one(ranks: int) -> None:
    """8 rows to a run, 64 runs to a pool: what a rank reads for a pool falls into 64 / ranks reads of 8 rows; one more where a run goes round the end."""
    o = order(4096, run=8, pool=64)
    pace, taken = Pace(4096, 16, ranks), o.epoch(3)
    at_once = o.reach // pace.together
    assert pace.steps // at_once == 8
    for first in range(0, pace.steps, at_once):
        for rank in range(ranks):
            parts = [taken.rows[pace.part(step, rank)] for step in range(first, first + at_once)]
            reads = runs(np.unique(np.concatenate(parts)))
            assert len(reads) <= 64 / ranks + 1
            alone = [(a, b) for a, b in reads if b - a == 8]  # others are runs that touch, or the one round the end
            assert len(alone) >= 24 / ranks
            assert all(((part >= a) & (part < b)).sum() <= 1 for part in parts for a, b in alone)


def test_oversampling_takes_both_classes_equally_often_and_no_row_much_more_than_another() -> None:
    o = replace(order(1000, tumor=0.3), oversample=True)
    tumor = int(o.label.sum())
    assert len(o) == 2 * (1000 - tumor)
    taken = o.epoch(0)
    label = o.label[taken.rows - 17]
    assert label.sum() == len(o) // 2 == (label == 0).sum()
    counts = np.bincount(taken.rows - 17, minlength=1000)
    assert (counts[o.label == 0] == 1).all()
    assert set(counts[o.label == 1]) == {(1000 - tumor) // tumor, (1000 - tumor) // tumor + 1}
    for row in (17 + np.flatnonzero(o.label == 1))[:20]:  # copies are told apart, so that each looks different
        assert sorted(taken.copies[taken.rows == row]) == list(range(counts[row - 17]))


def test_hard_rows_are_taken_boost_times_as_often_and_the_epoch_stays_as_long() -> None:
    o = order(1000)
    normal = o.rows[o.label == 0]
    mined = replace(o, hard=normal[:50], boost=4)
    assert len(mined) == len(o) == len(mined.epoch(0).rows)
    counts = sum(np.bincount(mined.epoch(e).rows - 17, minlength=1000) for e in range(200)) / 200
    hard, easy = counts[normal[:50] - 17], counts[normal[50:] - 17]
    share = len(normal) / (len(normal) + 3 * 50)  # of an epoch: 50 rows of weight 4 among others of weight 1, as many draws as normal rows
    assert easy.mean() == pytest.approx(share, rel=0.01) and hard.mean() == pytest.approx(4 * share, rel=0.01)
    assert (counts[o.label == 1] == 1).all()


def test_copies_are_the_weights_share_of_the_total_rounded_up_or_down() -> None:
    rng = np.random.default_rng(5)
    weights = rng.integers(1, 9, 40)
    exact = 100 * weights / weights.sum()
    drawn = [copies_of(weights, 100, rng) for _ in range(3000)]
    for copies in drawn:
        assert copies.sum() == 100 and (np.abs(copies - exact) < 1).all()
    assert np.abs(np.mean(drawn, axis=0) - exact).max() < 5 * 0.5 / np.sqrt(3000)  # a row's count has a standard deviation of 0.5 at most
    assert copies_of(np.ones(9, np.int64), 9, rng).tolist() == [1] * 9
    assert copies_of(np.zeros(0, np.int64), 0, rng).tolist() == []


def test_no_rows_can_be_dealt() -> None:
    assert deal(0, 8, 16, np.random.default_rng(0)).tolist() == []
