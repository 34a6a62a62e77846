"""What the program says: rank 0 on standard output and in run.log, other ranks nothing (their errors travel through fences)."""
from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Literal, TextIO

Volume = Literal["quiet", "normal", "verbose"]


class Log:
    """Lines for a person; `say` what they asked for, `detail` what --verbose adds, `warn` what they should look at."""

    def __init__(self, rank: int, volume: Volume = "normal", file: Path | None = None):
        self.rank, self.volume = rank, volume
        self._file = file.open("a", encoding="utf-8") if file is not None and rank == 0 else None
        self._lost: list[TextIO | None] = [None]

    def say(self, text: str) -> None:
        self._write(text, sys.stdout, self.volume != "quiet")

    def detail(self, text: str) -> None:
        self._write(text, sys.stdout, self.volume == "verbose")

    def warn(self, text: str) -> None:
        self._write(f"mpicamnet: warning: {text}", sys.stderr, True)

    def _write(self, text: str, stream: TextIO, shown: bool) -> None:
        if self.rank:
            return
        if shown and stream not in self._lost:
            self._print(text, stream)
        if self._file not in self._lost:
            self._print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", self._file)

    def _print(self, text: str, stream: TextIO | None) -> None:
        """A closed pipe or a full disk takes the words, not the run: that stream hears no more."""
        try:
            print(text, file=stream, flush=True)
        except OSError:
            self._lost.append(stream)
