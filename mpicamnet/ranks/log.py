"""What the program says: rank 0 on standard output and in run.log, other ranks nothing (their errors travel through fences)."""
from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, TextIO

from .display import Count, display

Volume = Literal["quiet", "normal", "verbose"]


class Log:
    """Lines for a person; `say` what they asked for, `detail` what --verbose adds, `warn` what they should look at.

    `every`: seconds between two lines of `progress`. On a terminal they go to `file` alone, and its foot shows the counts that it is to `follow`.
    """

    def __init__(self, rank: int, volume: Volume = "normal", file: Path | None = None, every: float = 10.0):
        self.rank, self.volume, self.every = rank, volume, every
        self._file = file.open("a", encoding="utf-8") if file is not None and rank == 0 else None
        self._display = display() if rank == 0 and volume != "quiet" else None
        self._lost: list[TextIO | None] = [None]

    def say(self, text: str) -> None:
        self._write(text, sys.stdout, self.volume != "quiet")

    def detail(self, text: str) -> None:
        self._write(text, sys.stdout, self.volume == "verbose")

    def warn(self, text: str) -> None:
        self._write(f"mpicamnet: warning: {text}", sys.stderr, True)

    def progress(self, text: str) -> None:
        self._write(text, sys.stdout, self.volume != "quiet" and (self._display is None or not self._display.live))

    def showing(self, stage: str, stopping: Callable[[], bool]) -> contextlib.AbstractContextManager[None]:
        """While a stage works, until it ends or `stopping` says that it will: show how far it is, where there is a terminal."""
        return self._display.showing(stage, stopping) if self._display is not None else contextlib.nullcontext()

    def follow(self, count: Count) -> None:
        """Show `count`, where there is a terminal."""
        if self._display is not None:
            self._display.follow(count)

    def _write(self, text: str, stream: TextIO, shown: bool) -> None:
        if self.rank:
            return
        if shown and self._display is not None and (stream is sys.stdout or self._display.errors_too):
            self._display.say(text)
        elif shown and stream not in self._lost:
            self._print(text, stream)
        if self._file not in self._lost:
            self._print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", self._file)

    def _print(self, text: str, stream: TextIO | None) -> None:
        """A closed pipe or a full disk takes the words, not the run: that stream hears no more."""
        try:
            print(text, file=stream, flush=True)
        except OSError:
            self._lost.append(stream)
