"""What ranks tell each other once per round, without stopping: a few whole numbers, summed, and one from each.

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


@dataclass(frozen=True)
class Heard:
    """`before`: sums over the lower ranks; `total`: sums over all ranks; both int64 (k,). `own`: what each rank told of itself, int64 (ranks,)."""

    before: npt.NDArray[np.int64]
    total: npt.NDArray[np.int64]
    own: npt.NDArray[np.int64]


class Exchange:
    """One exchange under way of `numbers`, and of what each rank tells of itself (`own`); collective over `comm`."""

    def __init__(self, comm: Comm, *numbers: int, own: int):
        self._said = np.array(numbers, np.int64)
        self._before = np.zeros_like(self._said)  # Exscan leaves rank 0's buffer as it is: zeros
        self._total = np.zeros_like(self._said)
        self._mine = np.zeros(comm.size, np.int64)
        self._mine[comm.rank] = own
        self._own = np.zeros_like(self._mine)
        # A sum with zeros for `own`: Open MPI's non-blocking allgather sends a message from each rank to each other.
        self._requests = [comm.Iexscan(self._said, self._before, MPI.SUM), comm.Iallreduce(self._said, self._total, MPI.SUM),
                          comm.Iallreduce(self._mine, self._own, MPI.SUM)]

    def nudge(self) -> Heard | None:
        """Pass on what has come, microseconds; and what the others said, where all have spoken."""
        return Heard(self._before, self._total, self._own) if MPI.Request.Testall(self._requests) else None

    def wait(self) -> Heard:
        """What the others said; sleeps until the last has spoken."""
        sleep_until(self._requests)
        return Heard(self._before, self._total, self._own)
