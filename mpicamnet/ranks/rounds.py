"""Rounds: ranks take turns at a list of blocks, and what they make goes to places that depend on what the others made.

In each round a rank works on its piece, tells the others how much came of it, and goes on with the next piece; only then does it hear what the
others said, knows where its outcome belongs, and puts it there. So the exchange costs no waiting while ranks are less than a round apart, and
at most two outcomes are in memory.

    rank 0   work 1 | say 1 . work 2 | hear 1, put 1, say 2 . work 3 | ...
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from .clock import Clock
from .communicators import Comm
from .exchange import Exchange
from .fence import agree, as_error
from .shares import Share, contiguous_shares
from .signals import Signals, stopped

T = TypeVar("T")
FAILED, STOP, SIZES = 0, 1, 2  # places in what ranks tell each other


class Task(Protocol[T]):
    """What a stage does in rounds. `work` and `put` are local; `sizes` and `told` must not raise."""

    def work(self, share: Share) -> T:
        """Do the blocks of a share, and return the outcome."""

    def sizes(self, outcome: T | None) -> tuple[int, ...]:
        """Whole numbers that place the outcome among the others' (rows, bytes, ...); zeros for None."""

    def put(self, outcome: T, before: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> None:
        """Put the outcome where it belongs: `before` is the sum of `sizes` over all earlier rounds and lower ranks.

        Called on every rank in every round, even for an outcome that is empty. `total` is this round's sum over all ranks.
        """

    def finished(self, blocks: int, before: npt.NDArray[np.int64]) -> None:
        """All ranks have put all outcomes of the first `blocks` blocks; called on rank 0 alone, with the sum of their `sizes`."""


class Rounds(Generic[T]):
    """Walk through `weights` (int64, one per block) from block `start` on; collective over `comm`.

    `most`: weight that an outcome in memory may have. `begun`: sum of `sizes` over the blocks before `start`.
    """

    def __init__(self, comm: Comm, weights: npt.NDArray[np.int64], most: int, clock: Clock, signals: Signals):
        self._comm, self._weights, self._most, self._clock, self._signals = comm, weights, most, clock, signals

    def run(self, task: Task[T], start: int, begun: npt.NDArray[np.int64], progress: Callable[[int], None]) -> npt.NDArray[np.int64]:
        """Returns the sum of `sizes` over all blocks. Raises on all ranks what the first failing rank raised, or `stopped()`."""
        comm, at = self._comm, start
        done = np.zeros(comm.size, np.int64)
        before = np.array(begun, np.int64)  # of the rounds that were put
        pending: tuple[Exchange, T | None, int] | None = None
        to_mark: tuple[int, npt.NDArray[np.int64]] | None = None
        error: Exception | None = None
        stop = False
        while True:
            outcome: T | None = None
            working = at < len(self._weights) and not stop
            if working:
                shares = contiguous_shares(self._weights, at, done, self._most)
                if error is None:
                    outcome, error = self._attempt(task, shares[comm.rank])
                done += [int(self._weights[s.start:s.stop].sum()) for s in shares]
                at = shares[-1].stop
            if pending is not None:
                exchange, earlier, end = pending
                with self._clock.phase("wait"):
                    heard = exchange.wait()
                if heard.total[FAILED]:
                    agree(comm, error)
                stop = stop or bool(heard.total[STOP])
                if to_mark is not None and comm.rank == 0:
                    error = error or self._guard(lambda m=to_mark: task.finished(*m))  # type: ignore[misc]
                if earlier is not None:
                    error = error or self._put(task, earlier, before + heard.before[SIZES:], heard.total[SIZES:])
                before = before + heard.total[SIZES:]
                to_mark = (end, before)
                progress(end)
            if not working:
                break
            said = Exchange(comm, int(error is not None), int(self._signals.caught != 0), *task.sizes(outcome))
            pending = (said, outcome, at)
        if to_mark is not None:
            agree(comm, error)  # all have put everything
            if comm.rank == 0:
                error = self._guard(lambda: task.finished(*to_mark))
        agree(comm, error)
        if stop and at < len(self._weights):
            raise stopped()
        return before

    def _attempt(self, task: Task[T], share: Share) -> tuple[T | None, Exception | None]:
        try:
            return task.work(share), None
        except Exception as e:
            return None, as_error(e, "", self._comm.rank)

    def _put(self, task: Task[T], outcome: T, before: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> Exception | None:
        with self._clock.phase("write"):
            return self._guard(lambda: task.put(outcome, before, total))

    def _guard(self, act: Callable[[], None]) -> Exception | None:
        try:
            act()
        except Exception as e:
            return as_error(e, "", self._comm.rank)
        return None
