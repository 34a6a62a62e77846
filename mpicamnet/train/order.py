"""Which rows an epoch takes and in what order: drawn anew each epoch from (seed, epoch), and cut into steps that all ranks take together.

A random row costs a read of its own. So the rows are cut into runs of neighbours in the file; the runs are permuted over the whole file, put
into pools of `pool` runs, and each pool is dealt out like a hand of cards: one row of each of its runs, then another row of each. A rank that
reads a pool's worth of its steps at once finds whole runs in it, while rows of one run never meet in a batch of up to `pool` rows.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ..patches.sampling import generator

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pace:
    """How an epoch over `rows` rows is cut: `batch` rows per rank and step, on `ranks` ranks.

    The last rows of the order that fill no step are left out: other rows in each epoch.
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
        return self.rows // self.together

    @property
    def epoch(self) -> int:
        """Rows that all ranks take in an epoch."""
        return self.steps * self.together

    def part(self, step: int, rank: int) -> slice:
        """The places of one rank in one step of an epoch's order; ranks in turn give a contiguous run of the order."""
        first = step * self.together + rank * self.batch
        return slice(first, first + self.batch)


@dataclass(frozen=True)
class Taken:
    """What an epoch takes, in order: `rows` of patches.h5, and of each how often the same row came before in this epoch; int64 (n,) each."""

    rows: Rows
    copies: Rows


@dataclass(frozen=True)
class Order:
    """How epochs take rows; knows nothing of ranks.

    `rows` int64 (n,), ascending, and their `label` int8 (n,), 0 or 1. `oversample`: both classes are taken equally often. `hard`: normal rows that
    are taken `boost` times as often as other normal rows. `run`, `pool`: see above; 1 and 1 give a permutation of all rows.
    """

    rows: Rows
    label: npt.NDArray[np.int8]
    seed: int
    oversample: bool = False
    run: int = 1
    pool: int = 1
    hard: Rows = field(default_factory=lambda: np.zeros(0, np.int64))
    boost: int = 1

    def __len__(self) -> int:
        """Rows that an epoch takes: the same in all epochs, whatever is hard."""
        return sum(self._totals())

    @property
    def reach(self) -> int:
        """Rows of a pool: what is worth reading together."""
        return self.run * self.pool

    def epoch(self, epoch: int) -> Taken:
        """What an epoch takes, in order."""
        copies = np.zeros(len(self.rows), np.int64)
        for label, total in enumerate(self._totals()):
            of = self.label == label
            weights = np.where(np.isin(self.rows[of], self.hard), self.boost, 1)
            copies[of] = copies_of(weights, total, generator(self.seed, "copies", epoch, label))
        rows = np.repeat(self.rows, copies)
        first = np.repeat(np.cumsum(copies) - copies, copies)
        copy = np.arange(len(rows)) - first
        layers = np.argsort(copy, kind="stable")  # all first copies, ascending; then all second ones
        dealt = layers[deal(len(rows), self.run, self.pool, generator(self.seed, "order", epoch))]
        return Taken(rows[dealt], copy[dealt])

    def _totals(self) -> tuple[int, int]:
        tumor = int(self.label.sum())
        normal = len(self.label) - tumor
        return (max(normal, tumor),) * 2 if self.oversample else (normal, tumor)


def copies_of(weights: Rows, total: int, rng: np.random.Generator) -> Rows:
    """How often each row is taken, int64 (n,), where `total` are taken in all and each in proportion to its weight, rounded up or down.

    Systematic sampling (Madow, Ann Math Statist 20:333, 1949) along an order drawn by `rng`, in integers. Equal weights and total n: each once.
    """
    n = len(weights)
    if n == 0:
        return np.zeros(0, np.int64)
    along = rng.permutation(n)
    reach = np.cumsum(weights[along].astype(np.int64))
    start = int(rng.integers(reach[-1]))
    before = -((start - reach * total) // reach[-1])  # marks at start, start + reach[-1], ... below reach * total
    copies = np.empty(n, np.int64)
    copies[along] = np.diff(before, prepend=0)
    return copies


def deal(n: int, run: int, pool: int, rng: np.random.Generator) -> Rows:
    """A permutation of n places, int64 (n,): runs of `run` places, permuted and dealt out pool by pool.

    The places are cut from a drawn one on, round the end; what is left over is a shorter run and comes last, so that all pools but the last are
    full, and a rank's steps fall into them evenly.
    """
    if n == 0:
        return np.zeros(0, np.int64)
    place = (np.arange(n) + rng.integers(n)) % n
    which, column = place // run, place % run
    whole, runs = n // run, -(-n // run)
    at = np.append(rng.permutation(whole), np.arange(whole, runs))[which]
    column = rng.permuted(np.tile(np.arange(run), (runs, 1)), axis=1)[which, column]
    return np.argsort((at // pool * run + column) * pool + at % pool)
