"""Where time goes: seconds per phase on each rank, their min, mean and max over ranks as lines of timing.jsonl."""
from __future__ import annotations

import contextlib
import json
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .communicators import Comm


class Clock:
    """Seconds, items and bytes by phase; a phase inside another is counted in both."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.items: dict[str, int] = defaultdict(int)
        self.bytes: dict[str, int] = defaultdict(int)

    @contextlib.contextmanager
    def phase(self, name: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - begun

    def count(self, name: str, items: int = 0, size: int = 0) -> None:
        self.items[name] += items
        self.bytes[name] += size

    def table(self, comm: Comm, names: list[str]) -> list[dict[str, Any]]:
        """One row per phase, the same on every rank; collective over `comm`, with the same `names` everywhere.

        `memory` is the most that any rank has held since the program began, bytes.
        """
        mine = np.array([[self.seconds[n], self.items[n], self.bytes[n]] for n in names], np.float64)
        told = comm.allgather((mine, most_held()))
        every, memory = np.array([table for table, _ in told]), max(held for _, held in told)  # (ranks, phases, 3)
        return [
            {"phase": n, "ranks": comm.size,
             "seconds": {"min": round(float(t.min()), 6), "mean": round(float(t.mean()), 6), "max": round(float(t.max()), 6)},
             "items": int(every[:, i, 1].sum()), "bytes": int(every[:, i, 2].sum()), "memory": memory}
            for i, n in enumerate(names) for t in [every[:, i, 0]]
        ]


def most_held() -> int:
    """The most memory that this process has held since it began, bytes; 0 where the system does not say.

    From /proc: the ru_maxrss of getrusage begins with what the process held that started this one.
    """
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    except OSError:
        return 0
    return int(found[1]) << 10 if found else 0


def append_timing(path: Path, stage: str, rows: list[dict[str, Any]], like: str, commit: str) -> None:
    """Add a stage's rows to timing.jsonl; by one rank. `like`: what its speed depends on besides the amount of work, in words."""
    now = time.strftime("%Y-%m-%dT%H:%M:%S%z")
    with path.open("a", encoding="utf-8") as f:
        for row in rows:
            f.write(json.dumps({"stage": stage, **row, "like": like, "commit": commit, "time": now}) + "\n")
