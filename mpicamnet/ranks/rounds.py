"""Rounds: ranks take turns at a list of blocks, and what they make goes to places that depend on what the others made.

In each round a rank works on its piece, tells the others how much came of it, and goes on with the next piece; only then does it hear what the
others said, knows where its outcome belongs, and puts it there. So the exchange costs no waiting while ranks are less than a round apart (and pass
on, by `nudge`, what the others tell each other), and at most two outcomes are in memory. A rank alone puts each outcome at once. A task that nudges
may have its outcome put in the midst of work, as soon as all have told and at a moment of its choice.

Pieces are near-equal by weight, and even out by how long ranks work on them.

    rank 0   work 1 | say 1 . work 2 | hear 1, put 1, say 2 . work 3 | ...
"""
from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from .clock import Clock
from .communicators import Comm
from .exchange import Exchange
from .fence import agree, as_error
from .shares import Dealer, Share, reach_of
from .signals import Signals, stopped

T = TypeVar("T")
R = TypeVar("R")
NUDGE = 0.004  # seconds between two looks at what the others say: short beside a round, long beside a look
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


@dataclass(frozen=True)
class Standing:
    """How far all ranks are: `blocks` are put, with these `sums` of `sizes`; rank `slowest` has worked longest, `over` times the mean (1: a rank alone)."""

    blocks: int
    sums: npt.NDArray[np.int64]
    slowest: int
    over: float


@dataclass
class _Walk(Generic[T]):
    """Where a walk stands on one rank."""

    task: Task[T]
    progress: Callable[[Standing], None]
    before: npt.NDArray[np.int64]  # sum of sizes over the rounds that were put
    dealer: Dealer
    pending: tuple[Exchange, T | None, int] | None = None  # a round that was told, not put; the block it ends at
    to_mark: tuple[int, npt.NDArray[np.int64]] | None = None  # blocks that are put here, but perhaps not yet everywhere
    error: Exception | None = None  # what first went wrong on this rank: the others do not know yet
    stop: bool = False
    busy: float = 0.0  # seconds that this rank has worked
    since: float = 0.0  # when it began the work in hand
    took: float = 0.0  # seconds that the one before took


class Rounds(Generic[T]):
    """A walk through `weights` (int64, one per block), at most `most` of weight per rank and round; collective over `comm`.

    `beforehand`: shares follow from the weights alone, and `shares` tells them; else they follow how long ranks work, too.
    """

    def __init__(self, comm: Comm, weights: npt.NDArray[np.int64], most: int, clock: Clock, signals: Signals, beforehand: bool = False):
        self._comm, self._most, self._clock, self._signals, self._beforehand = comm, most, clock, signals, beforehand
        self._reach = reach_of(weights)
        self._walk: _Walk[T] | None = None
        self._nudged = 0.0

    def nudge(self, may_put: Callable[[npt.NDArray[np.int64]], bool] = lambda total: False) -> None:
        """Pass on what ranks tell each other: for work that takes long, as often as it likes, on the thread that called `run`.

        Where all have told of the last round, and `may_put` of its `total` says that putting needs no other rank and that now is a good moment, puts it;
        not at once, as who told last has the most time left: those who have waited for it go first.
        """
        now, walk = time.perf_counter(), self._walk
        if walk is None or walk.pending is None or now - self._nudged < NUDGE:
            return
        self._nudged = now
        heard = walk.pending[0].nudge()
        if heard is not None and now - walk.since > walk.took / 4 and not heard.total[FAILED] and may_put(heard.total[SIZES:]):
            self._settle(walk)
            walk.busy -= time.perf_counter() - now  # of the work around it, which is timed as a whole

    def shares(self, start: int) -> Iterator[Share]:
        """What this rank will be handed, round after round, in a walk from block `start` on: so it can be read ahead."""
        assert self._beforehand
        return (shares[self._comm.rank] for shares in Dealer(self._reach, start, self._comm.size, self._most))

    def run(self, task: Task[T], start: int, begun: npt.NDArray[np.int64], progress: Callable[[Standing], None]) -> npt.NDArray[np.int64]:
        """Walk from block `start` on; `begun` is the sum of `sizes` over the blocks before it.

        Returns that sum over all blocks. Raises on all ranks what the first failing rank raised, or `stopped()`.
        """
        comm, at = self._comm, start
        walk = self._walk = _Walk(task, progress, np.array(begun, np.int64), Dealer(self._reach, start, comm.size, self._most))
        blocks = len(self._reach) - 1
        for shares in walk.dealer:
            outcome: T | None = None
            if walk.error is None:
                walk.since = time.perf_counter()
                outcome = self._attempt(walk, lambda share=shares[comm.rank]: task.work(share))  # type: ignore[misc]
                walk.took = time.perf_counter() - walk.since
                walk.busy += walk.took
            at = shares[-1].stop
            self._settle(walk)
            told = Exchange(comm, int(walk.error is not None), int(self._signals.caught != 0), *task.sizes(outcome), own=round(1e6 * walk.busy))
            walk.pending = (told, outcome, at)
            if comm.size == 1:  # nobody to wait for: put it while it is in the processor's cache
                self._settle(walk)
            if walk.stop:
                break
        self._settle(walk)
        agree(comm, walk.error)  # from here on all have put everything
        self._mark(walk)
        agree(comm, walk.error)
        if at < blocks:
            raise stopped()
        return walk.before

    def _settle(self, walk: _Walk[T]) -> None:
        """Hear what the others said of the pending round, and put this rank's outcome where it belongs."""
        if walk.pending is None:
            return
        exchange, outcome, end = walk.pending
        walk.pending = None
        with self._clock.phase("wait"):
            heard = exchange.wait()
        if heard.total[FAILED]:
            agree(self._comm, walk.error)
        if not self._beforehand:
            walk.dealer.hear(heard.own)
        walk.stop = bool(heard.total[STOP])
        self._mark(walk)  # who told of this round had put the one before
        if outcome is not None:  # also where something went wrong here since: a collective write waits for every rank
            since = time.thread_time()  # of putting, what this rank's core does: it waits for the file system in its turn, and is not slow for that
            with self._clock.phase("write"):
                self._attempt(walk, lambda: walk.task.put(outcome, walk.before + heard.before[SIZES:], heard.total[SIZES:]))
            walk.busy += time.thread_time() - since
        walk.before = walk.before + heard.total[SIZES:]
        walk.to_mark = (end, walk.before)
        walk.progress(Standing(end, walk.before, int(heard.own.argmax()), float(heard.own.max() / max(1.0, heard.own.mean()))))

    def _mark(self, walk: _Walk[T]) -> None:
        """Have rank 0 mark what all have put, unless something went wrong there."""
        if walk.to_mark is None or self._comm.rank or walk.error is not None:
            return
        blocks, sums = walk.to_mark
        self._clock.count("mark", 1)
        with self._clock.phase("mark"):
            self._attempt(walk, lambda: walk.task.finished(blocks, sums))

    def _attempt(self, walk: _Walk[T], act: Callable[[], R]) -> R | None:
        """What `act` gives, or None where it fails: then `walk` has the error, the first of several, which may be of a put in the midst of `act`."""
        try:
            return act()
        except Exception as e:
            walk.error = walk.error or as_error(e, "", self._comm.rank)
            return None
