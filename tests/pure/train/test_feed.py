"""Rows, their order, their batches."""
from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.errors import UserError
from mpicamnet.train.ahead import ahead
from mpicamnet.train.augment import symmetries, symmetry
from mpicamnet.train.feed import Feed
from mpicamnet.train.order import Pace, epoch_order
from mpicamnet.train.source import runs
from mpicamnet.train.split import Parts
from mpicamnet.train.table import Table, TableSlide, class_weights, training_rows

NONE = np.zeros(0, np.int32)


class Numbered:
    """A source whose px say which row they are of."""

    def read(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
        return np.broadcast_to(rows.astype(np.uint8)[:, None, None, None], (len(rows), 4, 4, 3)).copy()

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


def table(label: list[int], slide: list[int] | None = None) -> Table:
    slide = slide or [0] * len(label)
    return Table(Path("p"), "pixels", 4, np.array(slide, np.int32), np.zeros((len(label), 2), np.int64), np.array(label, np.int8),
                 tuple(TableSlide(f"s{i}", i, i, None) for i in range(max(slide) + 1)))


def seen(ranks: int, rows: npt.NDArray[np.int64], batch: int, epoch: int) -> list[int]:
    """Rows in the order in which all ranks together see them."""
    feed = Feed(table([0, 1] * 60), Numbered(), np.ones(2, np.float32), 7, True)
    pace = Pace(len(rows), batch, ranks)
    every = [list(feed.epoch(rows, pace, epoch, r)) for r in range(ranks)]
    assert {len(batches) for batches in every} == {pace.steps}
    for batches in every:
        for b in batches:
            assert (b.px[:, 0, 0, 0] == b.rows).all() and (b.label == b.rows % 2).all()
    return [int(row) for step in range(pace.steps) for r in range(ranks) for row in every[r][step].rows]


def test_the_order_does_not_depend_on_how_many_ranks_see_it() -> None:
    rows = np.arange(3, 99)  # 96 rows
    one = seen(1, rows, 24, epoch=2)
    assert sorted(one) == rows.tolist()  # every row once
    assert seen(2, rows, 12, epoch=2) == seen(3, rows, 8, epoch=2) == seen(4, rows, 6, epoch=2) == one
    assert seen(1, rows, 24, epoch=3) != one


def test_all_ranks_take_the_same_number_of_steps_whatever_is_left_over() -> None:
    assert Pace(100, 8, 3).steps == 4  # 96 rows; 4 are left for other epochs
    assert len(set(seen(3, np.arange(100), 8, 0))) == 96
    assert Pace(5, 8, 3).steps == 1
    assert set(seen(3, np.arange(5), 8, 0)) == set(range(5))  # fewer than one step takes: repeated


def test_an_epoch_goes_on_from_any_step() -> None:
    feed = Feed(table([0, 1] * 20), Numbered(), np.ones(2, np.float32), 7, True)
    pace = Pace(40, 4, 2)
    whole, rest = list(feed.epoch(np.arange(40), pace, 1, 0)), list(feed.epoch(np.arange(40), pace, 1, 0, start=3))
    assert [b.rows.tolist() for b in rest] == [b.rows.tolist() for b in whole[3:]]


def test_rows_of_unknown_label_neither_train_nor_judge() -> None:
    t = table([0, -1, 1, 0, -1, 1, 0, 1], [0, 0, 0, 1, 1, 1, 2, 2])
    train, val = training_rows(t, Parts(np.array([0, 1], np.int32), np.array([2], np.int32), NONE))
    assert train.tolist() == [0, 2, 3, 5]
    assert val.tolist() == [6, 7]


@pytest.mark.parametrize(("label", "words"), [
    ([0, 0, 0, 1], "train are all normal"), ([1, 1, 0, 1], "train are all tumour"), ([0, 1, 1, 1], "val are all tumour"),
    ([-1, -1, 0, 1], "no rows are in the split's train"), ([0, 1, -1, -1], "no rows are in the split's val"),
])
def test_one_class_or_none_is_an_error_that_says_which(label: list[int], words: str) -> None:
    with pytest.raises(UserError, match=words):
        training_rows(table(label, [0, 0, 1, 1]), Parts(np.array([0], np.int32), np.array([1], np.int32), NONE))


def test_both_classes_count_the_same_in_all() -> None:
    weights = class_weights(np.array([0] * 30 + [1] * 10, np.int8), "weights")
    assert weights.tolist() == pytest.approx([2 / 3, 2.0])  # 30 * 2/3 = 10 * 2 = 20
    assert class_weights(np.array([0, 0, 1], np.int8), "none").tolist() == [1, 1]


def test_the_eight_symmetries_differ_and_keep_the_px() -> None:
    px = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    made = {symmetry(px, k).tobytes() for k in range(8)}
    assert len(made) == 8
    assert (symmetry(px, 0) == px).all() and (symmetry(px, 4) == px[:, ::-1]).all()
    drawn = symmetries(4000, 7, 0)
    assert np.bincount(drawn, minlength=8).min() > 400  # 500 expected
    assert (drawn == symmetries(4000, 7, 0)).all() and (drawn != symmetries(4000, 7, 1)).any()


def test_the_last_batch_is_filled_up_with_rows_that_do_not_count() -> None:
    feed = Feed(table([0, 1] * 5), Numbered(), np.ones(2, np.float32), 7, False)
    batches = list(feed.in_order(np.arange(10), 4))
    assert [len(b.rows) for b in batches] == [4, 4, 4]
    assert [int(r) for b in batches for r in b.rows[b.weight > 0]] == list(range(10))


def test_rows_are_read_in_runs() -> None:
    assert runs(np.array([2, 3, 4, 7, 9, 10])) == [(2, 5), (7, 8), (9, 11)]
    assert runs(np.array([], np.int64)) == []


def test_an_error_in_making_an_item_is_raised_where_it_is_asked_for() -> None:
    def items() -> object:
        yield 1
        raise OSError("gone")

    with ahead(items(), 1) as made:  # type: ignore[arg-type]
        assert next(made) == 1
        with pytest.raises(OSError, match="gone"):
            next(made)


def test_a_thread_ahead_ends_when_its_user_leaves_early() -> None:
    import itertools
    import threading

    before = threading.active_count()
    with ahead(itertools.count(), 2) as made:
        assert [next(made), next(made)] == [0, 1]
    assert threading.active_count() == before


def test_an_epochs_order_is_a_permutation() -> None:
    rows = np.array([5, 9, 11, 40])
    assert sorted(epoch_order(rows, 1, 0).tolist()) == rows.tolist()
