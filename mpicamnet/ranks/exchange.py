"""What ranks tell each other once per round, without stopping: a few whole numbers, summed.

`post` starts the exchange and returns at once; the rank works on, and `wait` gives what the others said. So a slow rank delays nobody until
the round after. Every rank posts and waits the same number of times, in the same order.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from .communicators import Comm, sleep_until


@dataclass(frozen=True)
class Heard:
    """`before`: sums over the lower ranks; `total`: sums over all ranks; both int64 (k,). `own`: each rank's own number, int64 (ranks,)."""

    before: npt.NDArray[np.int64]
    total: npt.NDArray[np.int64]
    own: npt.NDArray[np.int64]


class Exchange:
    """One exchange under way of `numbers`, and of a number `own` that is not summed; collective over `comm`."""

    def __init__(self, comm: Comm, *numbers: int, own: int = 0):
        self._said = np.zeros(len(numbers) + comm.size, np.int64)  # own numbers too travel in the sum, each at its rank's place
        self._said[:len(numbers)] = numbers
        self._said[len(numbers) + comm.rank] = own
        self._total = np.zeros_like(self._said)
        self._before = np.zeros(len(numbers), np.int64)  # Exscan leaves rank 0's buffer as it is: zeros
        self._requests = [comm.Iexscan(self._said[:len(numbers)], self._before, MPI.SUM), comm.Iallreduce(self._said, self._total, MPI.SUM)]

    def wait(self) -> Heard:
        """What the others said; sleeps until the last has spoken."""
        sleep_until(self._requests)
        return Heard(self._before, *np.split(self._total, [len(self._before)]))
