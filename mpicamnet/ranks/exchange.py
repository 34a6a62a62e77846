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
    """`before`: sums over the lower ranks; `total`: sums over all ranks; both int64 (k,)."""

    before: npt.NDArray[np.int64]
    total: npt.NDArray[np.int64]


class Exchange:
    """One exchange under way; collective over `comm`."""

    def __init__(self, comm: Comm, *numbers: int):
        self._said = np.array(numbers, np.int64)
        self._before = np.zeros_like(self._said)  # Exscan leaves rank 0's buffer as it is: zeros
        self._total = np.zeros_like(self._said)
        self._requests = [comm.Iexscan(self._said, self._before, MPI.SUM), comm.Iallreduce(self._said, self._total, MPI.SUM)]

    def wait(self) -> Heard:
        """What the others said; sleeps until the last has spoken."""
        sleep_until(self._requests)
        return Heard(self._before, self._total)
