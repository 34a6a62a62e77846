"""The order in which rows are seen: drawn anew each epoch from (seed, epoch), and cut into steps that all ranks take together."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..patches.sampling import generator

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pace:
    """How an epoch over `rows` rows is cut: `batch` rows per rank and step, on `ranks` ranks.

    The last rows of the order that fill no step are left out: other rows in each epoch. Where there are fewer rows than one step takes, the
    order is repeated.
    """

    rows: int
    batch: int
    ranks: int

    @property
    def together(self) -> int:
        """Rows that all ranks take in a step."""
        return self.batch * self.ranks

    @property
    def steps(self) -> int:
        """Steps in an epoch; the same on all ranks, since it depends on nothing else."""
        return max(1, self.rows // self.together)

    def part(self, order: Rows, step: int, rank: int) -> Rows:
        """The rows of one rank in one step of an epoch's order; ranks in turn give a contiguous run of the order."""
        first = step * self.together + rank * self.batch
        return np.take(order, np.arange(first, first + self.batch), mode="wrap")


def epoch_order(rows: Rows, seed: int, epoch: int) -> Rows:
    """All `rows`, each once, in the order of an epoch; knows nothing of ranks."""
    return generator(seed, "order", epoch).permutation(rows)
