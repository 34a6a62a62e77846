"""What ranks tell each other once per round, without stopping: a few whole numbers, summed.

An exchange starts as it is made; the rank works on, and `wait` gives what the others said. So a slow rank delays nobody until the round after.
What is said goes from rank to rank in several steps, and each waits until a rank calls MPI: one that works long calls `nudge` now and then, or others
wait for it. Every rank makes and awaits the same number of exchanges, in the same order.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from .communicators import Comm, sleep_until

_RANKS = 1 << 20  # places for ranks beside a number of 43 bits


@dataclass(frozen=True)
class Heard:
    """`before`: sums over the lower ranks; `total`: sums over all ranks; both int64 (k,). `most`: the largest of what ranks gave as `own`, of rank `by`."""

    before: npt.NDArray[np.int64]
    total: npt.NDArray[np.int64]
    most: int
    by: int


class Exchange:
    """One exchange under way of `numbers`, and of a number `own` (below 2**43) of which the largest is told; collective over `comm`."""

    def __init__(self, comm: Comm, *numbers: int, own: int = 0):
        self._said = np.array(numbers, np.int64)
        self._before = np.zeros_like(self._said)  # Exscan leaves rank 0's buffer as it is: zeros
        self._total = np.zeros_like(self._said)
        self._own = np.array(own * _RANKS + comm.rank, np.int64)  # one number, as 8,000 nodes have too many ranks for a list of all
        self._most = np.zeros_like(self._own)
        self._requests = [comm.Iexscan(self._said, self._before, MPI.SUM), comm.Iallreduce(self._said, self._total, MPI.SUM),
                          comm.Iallreduce(self._own, self._most, MPI.MAX)]

    def nudge(self) -> None:
        """Pass on what has come: microseconds."""
        MPI.Request.Testall(self._requests)

    def wait(self) -> Heard:
        """What the others said; sleeps until the last has spoken."""
        sleep_until(self._requests)
        return Heard(self._before, self._total, *divmod(int(self._most), _RANKS))
