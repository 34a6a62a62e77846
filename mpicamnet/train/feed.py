"""Rows -> batches, as the network eats them."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .augment import symmetries, symmetry
from .order import Pace, epoch_order
from .source import Source
from .table import Table


@dataclass(frozen=True)
class Batch:
    """`px` uint8 (b, p, p, 3) RGB; `label`, `weight` float32 (b,); `rows` int64 (b,) of patches.h5. Weight 0: there to fill the batch."""

    px: npt.NDArray[np.uint8]
    label: npt.NDArray[np.float32]
    weight: npt.NDArray[np.float32]
    rows: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Feed:
    """Batches of one rank. `weights` float32 (2,): what a row of each class counts."""

    table: Table
    source: Source
    weights: npt.NDArray[np.float32]
    seed: int
    augment: bool

    def epoch(self, rows: npt.NDArray[np.int64], pace: Pace, epoch: int, rank: int, start: int = 0) -> Iterator[Batch]:
        """The batches of a rank in an epoch over `rows`, from step `start` on: `pace.steps - start` of them."""
        order = epoch_order(rows, self.seed, epoch)
        turns = symmetries(len(self.table), self.seed, epoch) if self.augment else None
        for step in range(start, pace.steps):
            part = pace.part(order, step, rank)
            batch = self._batch(part)
            if turns is not None:
                for i, row in enumerate(part):
                    batch.px[i] = symmetry(batch.px[i].copy(), int(turns[row]))
            yield batch

    def in_order(self, rows: npt.NDArray[np.int64], batch: int) -> Iterator[Batch]:
        """`rows` as they come, `batch` at a time; the last batch is filled up with its last row at weight 0, so that all have one shape."""
        for first in range(0, len(rows), batch):
            part = rows[first:first + batch]
            whole = self._batch(np.concatenate([part, np.repeat(part[-1:], batch - len(part))]))
            whole.weight[len(part):] = 0
            yield whole

    def _batch(self, rows: npt.NDArray[np.int64]) -> Batch:
        label = self.table.label[rows]
        return Batch(self.source.read(rows), label.astype(np.float32), self.weights[label], rows)
