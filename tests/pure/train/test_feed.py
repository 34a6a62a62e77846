"""Rows, their order, their batches."""
from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.config import Augment
from mpicamnet.errors import UserError
from mpicamnet.train.ahead import ahead, in_parallel
from mpicamnet.train.feed import Feed
from mpicamnet.train.order import Order, Pace
from mpicamnet.train.source import runs
from mpicamnet.train.split import Parts
from mpicamnet.train.table import Table, TableSlide, class_weights, training_rows

NONE = np.zeros(0, np.int32)
FLIPS = Augment(stain=0, brightness=0, contrast=0, hue=0, saturation=0)


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


def feed(labels: list[int], augment: Augment = FLIPS, readers: int = 1) -> Feed:
    return Feed(table(labels), Numbered(), np.ones(2, np.float32), 7, augment, readers=readers)


def order(rows: npt.NDArray[np.int64], run: int = 4, pool: int = 3) -> Order:
    return Order(rows, (rows % 2).astype(np.int8), 7, run=run, pool=pool)


def seen(ranks: int, rows: npt.NDArray[np.int64], batch: int, epoch: int) -> list[int]:
    """Rows in the order in which all ranks together see them."""
    pace = Pace(len(rows), batch, ranks)
    every = [list(feed([0, 1] * 60).epoch(order(rows), pace, epoch, r)) for r in range(ranks)]
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
    assert seen(1, rows, 8, epoch=2) == seen(3, rows, 4, epoch=2) == one  # nor on how many rows a step takes
    assert seen(1, rows, 24, epoch=3) != one


def test_all_ranks_take_the_same_number_of_steps_whatever_is_left_over() -> None:
    assert Pace(100, 8, 3).steps == 4  # 96 rows; 4 are left for other epochs
    assert len(set(seen(3, np.arange(100), 8, 0))) == 96
    assert Pace(5, 8, 3).steps == 0


@pytest.mark.parametrize("start", [0, 1, 3, 4])
def test_an_epoch_goes_on_from_any_step_with_the_same_px(start: int) -> None:
    pace, rows = Pace(40, 4, 2), np.arange(40)
    f = feed([0, 1] * 20, Augment())
    whole, rest = list(f.epoch(order(rows), pace, 1, 0)), list(f.epoch(order(rows), pace, 1, 0, start=start))
    assert [b.rows.tolist() for b in rest] == [b.rows.tolist() for b in whole[start:]]
    assert [b.px.tobytes() for b in rest] == [b.px.tobytes() for b in whole[start:]]


def test_px_of_a_row_do_not_depend_on_ranks_nor_on_threads() -> None:
    rows = np.arange(3, 99)

    def px(ranks: int, readers: int) -> dict[int, bytes]:
        pace = Pace(96, 24 // ranks, ranks)
        return {int(row): b.px[i].tobytes() for r in range(ranks) for b in feed([0, 1] * 60, Augment(), readers).epoch(order(rows), pace, 2, r)
                for i, row in enumerate(b.rows)}

    assert px(1, 1) == px(1, 3) == px(4, 2)
    assert len(px(1, 1)) == 96


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
    assert class_weights(np.array([0, 0, 1], np.int8), "oversample").tolist() == [1, 1]  # it is done by taking rows


def test_the_last_batch_is_filled_up_with_rows_that_do_not_count() -> None:
    batches = list(feed([0, 1] * 5, Augment()).in_order(np.arange(10), 4))
    assert [len(b.rows) for b in batches] == [4, 4, 4]
    assert [int(r) for b in batches for r in b.rows[b.weight > 0]] == list(range(10))
    assert all((b.px[:, 0, 0, 0] == b.rows).all() for b in batches)  # who judges sees rows as they are


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


def test_items_made_in_parallel_come_in_their_order_and_not_all_at_once() -> None:
    import time

    made: list[int] = []

    def slow(i: int) -> int:
        time.sleep(0.02 if i % 3 == 0 else 0)
        made.append(i)
        return i

    items = in_parallel(slow, iter(range(12)), 3)
    assert next(items) == 0
    assert len(made) <= 4
    assert [0, *items] == list(range(12))


def test_threads_of_an_epoch_end_when_its_user_leaves_early() -> None:
    import threading

    before = threading.active_count()
    with ahead(feed([0, 1] * 60, readers=2).epoch(order(np.arange(120)), Pace(120, 4, 1), 0, 0), 2) as batches:
        next(batches)
    assert threading.active_count() == before
