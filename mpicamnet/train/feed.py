"""Rows -> batches, as the network eats them.

One thread reads a pool's worth of rows at once, in runs; others bring the colours to the reference and augment, batch by batch, without the GIL.
Whatever the number of threads, batches come in order, and their px depend on seed, epoch and row alone.
"""
from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..config import Augment
from .ahead import ahead, in_parallel
from .augment import looking, looks
from .order import Order, Pace, Rows, Taken
from .source import Source
from .stain import AS_THEY_ARE, Stain, normalised
from .table import Table

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Batch:
    """`px` uint8 (b, p, p, 3) RGB; `label`, `weight` float32 (b,); `rows` int64 (b,) of patches.h5. Weight 0: there to fill the batch."""

    px: Pixels
    label: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    rows: Rows


@dataclass(frozen=True)
class _Task:
    """What a batch is made of: the patches `px[places]`, of rows `rows` that came `copies` times before; the first `count` count."""

    px: Pixels
    places: Rows
    rows: Rows
    copies: Rows
    count: int


@dataclass(frozen=True)
class Feed:
    """Batches of one rank. `weights` float32 (2,): what a row of each class counts. `readers`: threads that prepare px, besides the one that
    reads them."""

    table: Table
    source: Source
    weights: npt.NDArray[np.float32]
    seed: int
    augment: Augment
    stain: Stain = AS_THEY_ARE
    readers: int = 1

    def epoch(self, order: Order, pace: Pace, epoch: int, rank: int, start: int = 0) -> Generator[Batch, None, None]:
        """The batches of a rank in an epoch of `order`, from step `start` on: `pace.steps - start` of them."""
        tasks = self._tasks(order.epoch(epoch), pace, rank, start, max(1, order.reach // pace.together))
        with ahead(tasks, 1) as read:
            yield from in_parallel(lambda task: self._batch(task, epoch), (task for window in read for task in window), self.readers)

    def in_order(self, rows: Rows, batch: int) -> Generator[Batch, None, None]:
        """`rows` as they come, `batch` at a time, not augmented; the last batch is filled up with its last row at weight 0, so that all have one shape."""
        with ahead(self._plain(rows, batch), 1) as read:
            yield from in_parallel(lambda task: self._batch(task, None), read, self.readers)

    def _tasks(self, taken: Taken, pace: Pace, rank: int, start: int, at_once: int) -> Iterator[list[_Task]]:
        """The tasks of `at_once` steps, whose rows are read together; then those of as many more."""
        for first in range(start - start % at_once, pace.steps, at_once):
            parts = [pace.part(step, rank) for step in range(max(first, start), min(first + at_once, pace.steps))]
            wanted = np.unique(np.concatenate([taken.rows[part] for part in parts]))
            px = self.source.read(wanted)
            yield [_Task(px, np.searchsorted(wanted, taken.rows[part]), taken.rows[part], taken.copies[part], pace.batch) for part in parts]

    def _plain(self, rows: Rows, batch: int) -> Iterator[_Task]:
        for first in range(0, len(rows), batch):
            part = rows[first:first + batch]
            places = np.minimum(np.arange(batch), len(part) - 1)
            yield _Task(self.source.read(part), places, part[places], np.zeros(batch, np.int64), len(part))

    def _batch(self, task: _Task, epoch: int | None) -> Batch:
        label = self.table.label[task.rows]
        weight = self.weights[label]
        weight[task.count:] = 0
        px, places = task.px, task.places
        if self.stain != AS_THEY_ARE:
            px, places = normalised(px[places], self.stain), np.arange(len(places))
        if epoch is None:
            return Batch(px[places], label.astype(np.float32), weight, task.rows)
        look = looks(self.augment, self.seed, epoch, task.rows, task.copies)
        return Batch(looking(px, places, look), label.astype(np.float32), weight, task.rows)
