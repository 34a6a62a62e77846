"""What the program says: rank 0 on standard output and in run.log, other ranks nothing (their errors travel through fences)."""
from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Literal

Volume = Literal["quiet", "normal", "verbose"]


class Log:
    """Lines for a person; `say` what they asked for, `detail` what --verbose adds, `warn` what they should look at."""

    def __init__(self, rank: int, volume: Volume = "normal", file: Path | None = None):
        self.rank, self.volume = rank, volume
        self._begun = time.monotonic()
        self._file = file.open("a", encoding="utf-8") if file is not None and rank == 0 else None

    def say(self, text: str) -> None:
        self._write(text, sys.stdout, self.volume != "quiet")

    def detail(self, text: str) -> None:
        self._write(text, sys.stdout, self.volume == "verbose")

    def warn(self, text: str) -> None:
        self._write(f"mpicamnet: warning: {text}", sys.stderr, True)

    def _write(self, text: str, stream: object, shown: bool) -> None:
        if self.rank:
            return
        if shown:
            print(text, file=stream, flush=True)  # type: ignore[call-overload]
        if self._file:
            print(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}", file=self._file, flush=True)


def duration(seconds: float) -> str:
    """`0.8 s`, `42 s`, `3 min 12 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    s = round(seconds)
    if s < 60:
        return f"{s} s"
    return f"{s // 60} min {s % 60} s" if s < 3600 else f"{s // 3600} h {s % 3600 // 60} min"


def size(n: float) -> str:
    """`812 B`, `1.2 GB` (powers of 1,000)."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" or n >= 100 else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"
