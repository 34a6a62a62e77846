"""The foot of a terminal while a stage works: how far it is, painted in place twice a second; what is said meanwhile stands above it.

A thread paints from counts that the work leaves there, so the work never waits for it. The cursor stays visible and the foot ends with its line: a
rank that is killed leaves a terminal in order, and what others then say begins on a line of its own.
"""
from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator

from ..terminal import Terminal, terminal
from ..words import duration

TICK = 0.5  # seconds between two paintings
NARROW, WIDEST_BAR = 72, 40  # columns: without a bar below that, and the longest


class Count:
    """`done` of `total` so far, some of them before this run; `facts`: what else is known of the work. Times are of time.monotonic."""

    def __init__(self, what: str, total: int, done: int):
        self.what, self.total, self.done = what, total, done
        self.facts: tuple[str, ...] = ()
        self._before, self._begun = done, time.monotonic()
        self._rate = self._end = 0.0

    def update(self, done: int, facts: tuple[str, ...]) -> None:
        now = time.monotonic()
        self.done, self.facts = done, facts
        self._rate = (done - self._before) / max(now - self._begun, 1e-9)
        self._end = now + (self.total - done) / self._rate if self._rate > 0 else now

    @property
    def moving(self) -> bool:
        return self._rate > 0 and self.done < self.total

    def rate(self) -> str:
        """How many are done in a second or a minute; over the whole of this run, so that a pause in it counts."""
        r = self._rate
        return f"{r:,.0f}/s" if r >= 10 or r == 0 else f"{r:.1f}/s" if r >= 0.1 else f"{60 * r:.1f}/min"

    def left(self) -> str:
        """The time that the rest will take at this rate."""
        return duration(max(0.0, self._end - time.monotonic())) if self._rate > 0 else "unknown"


class Display:
    """A terminal whose foot shows a stage at work. Raises OSError where it cannot be opened."""

    def __init__(self, terminal: Terminal):
        from rich.console import Console

        self.errors_too = terminal.errors_too
        self._terminal = terminal
        self._out = terminal.open()
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # under mpirun a rank is never in front: `stty tostop` would stop it at its first word
        self._console = Console(file=self._out, force_terminal=True, highlight=False)
        self._lock = threading.Lock()
        self._foot = ""  # as it stands there
        self._stage: tuple[str, float] | None = None
        self._stopping: Callable[[], bool] = lambda: False
        self._counts: list[Count] = []
        self._lost = False

    @property
    def live(self) -> bool:
        """Whether it shows counts now: not between stages, nor while the terminal is another job's."""
        return self._stage is not None and self._is_ours()

    def say(self, text: str) -> None:
        with self._lock:
            self._write(f"{self._erasing()}{text}\n{self._foot}")

    def follow(self, count: Count) -> None:
        """Show `count` until the stage ends, or, once it is finished, until the next one begins."""
        with self._lock:
            self._counts = [*(c for c in self._counts if c.done < c.total), count]

    @contextlib.contextmanager
    def showing(self, stage: str, stopping: Callable[[], bool]) -> Iterator[None]:
        """While a stage works. Once `stopping` says so the foot stays as it is: others may write below it, and what they say is worth more."""
        self._stage, self._stopping = (stage, time.monotonic()), stopping
        ended = threading.Event()
        painter = threading.Thread(target=self._paint_until, args=(ended,), daemon=True)
        painter.start()
        try:
            yield
        finally:
            ended.set()
            painter.join()
            self._write(self._erasing())
            self._stage, self._foot, self._counts = None, "", []

    def _paint_until(self, ended: threading.Event) -> None:
        while not ended.wait(TICK):
            with self._lock:
                if self._is_ours():
                    erasing, self._foot = self._erasing(), self._painted()
                    self._write(erasing + self._foot)

    def _is_ours(self) -> bool:
        return not self._lost and not self._stopping() and self._terminal.in_front()

    def _erasing(self) -> str:
        """What takes the foot away, where it still is the last thing there."""
        if self._foot and not self._is_ours():
            self._foot = ""
        lines = self._foot.count("\n")
        return f"\x1b[{lines}A\r\x1b[J" if lines else ""

    def _painted(self) -> str:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        assert self._stage is not None
        width, height = self._size()
        self._console.size = width, height
        stage, begun = self._stage
        table = Table.grid(padding=(0, 2, 0, 0))
        for _ in range(5):
            table.add_column(no_wrap=True)
        for c in self._counts:
            bar = ProgressBar(c.total, c.done, min(WIDEST_BAR, width - 62), complete_style="green") if width >= NARROW else ""
            pace = (c.rate(), f"{c.left()} left") if c.moving else ("", "")
            table.add_row(f"  {c.what}", bar, f"{c.done:,} of {c.total:,}", *pace)
        facts = "; ".join(fact for c in self._counts for fact in c.facts)
        with self._console.capture() as drawn:
            self._console.print(Text(stage, "bold").append(f"  {duration(time.monotonic() - begun)}", "not bold"))
            self._console.print(table)
            if facts:
                self._console.print(Text(f"  {facts}"))
        lines = drawn.get().splitlines(keepends=True)
        return "".join(lines[:max(1, height - 1)])  # more would scroll away, out of reach

    def _size(self) -> tuple[int, int]:
        """Columns and lines of the terminal now."""
        try:
            columns, lines = os.get_terminal_size(self._out.fileno())
        except OSError:
            columns = lines = 0
        return columns or 80, lines or 24

    def _write(self, text: str) -> None:
        """A terminal that is gone takes the words, not the run."""
        if self._lost or not text:
            return
        try:
            self._out.write(text)
            self._out.flush()
        except OSError:
            self._lost = True


def display() -> Display | None:
    """A display on the terminal that a person watches; None where there is none that could show it."""
    found = terminal()
    if found is None or os.environ.get("TERM", "dumb") == "dumb":
        return None
    try:
        return Display(found)
    except OSError:
        return None
