"""How far a stage is, from sums that ranks exchange anyway: on a terminal always in sight, elsewhere a line every few seconds."""
from __future__ import annotations

import time

from .display import Count
from .log import Log
from .rounds import Standing


class Progress:
    """`update` with what all ranks have done; a line goes out when enough time has passed."""

    def __init__(self, log: Log, what: str, total: int, done: int = 0):
        self._log, self._count, self._last = log, Count(what, total, done), time.monotonic()
        if done < total:
            log.follow(self._count)

    def update(self, done: int, *facts: str, at: str = "") -> None:
        """`at`: what the line begins with; `facts`: what a display shows besides."""
        count, now = self._count, time.monotonic()
        count.update(done, tuple(fact for fact in (at, *facts) if fact))
        if now - self._last >= self._log.every and done < count.total:
            self._last = now
            self._log.progress(f"  {at}{': ' if at else ''}{done:,} of {count.total:,} {count.what}, {count.rate()}, {count.left()} left")


def slowest(now: Standing) -> str:
    """Which rank has worked longest, in words; empty where none has worked longer than the others."""
    return f"slowest rank {now.slowest} ({now.over:.2f} x the mean)" if now.over > 1 else ""
