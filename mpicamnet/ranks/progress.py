"""How far a stage is: rank 0 says so at most every few seconds, from sums that ranks exchange anyway."""
from __future__ import annotations

import time

from ..words import duration
from .log import Log


class Progress:
    """`update` with what all ranks have done; a line goes out when enough time has passed."""

    def __init__(self, log: Log, what: str, total: int, every: float = 10.0, done: int = 0):
        self._log, self._what, self._total, self._every = log, what, total, every
        self._begun = self._last = time.monotonic()
        self._first = done

    def update(self, done: int) -> None:
        now = time.monotonic()
        if now - self._last < self._every or done >= self._total:
            return
        self._last = now
        rate = (done - self._first) / (now - self._begun)
        left = duration((self._total - done) / rate) if rate > 0 else "unknown"
        self._log.say(f"  {done:,} of {self._total:,} {self._what}, {rate:,.0f}/s, {left} left")
