"""Page frames for what a run writes, held until it writes.

A hypervisor that is told of free page frames takes them back some seconds after they were freed, and the first use of another costs a fault: a run
that writes gigabytes then measures the hypervisor, and differs by what ran before it. So frames are held while the run starts, and let go just
ahead of its output, which takes those that were freed last.
"""
from __future__ import annotations

import contextlib
import mmap
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np

AHEAD = 24 << 20  # bytes let go for each core before they are written: more than is written between two looks, and soon used up
LOOK = 0.002  # seconds between two looks
UNIT = 2 << 20  # frames are let go in huge pages


def available() -> int:
    """Bytes of memory that are free or can be made so."""
    with open("/proc/meminfo", encoding="ascii") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("MemAvailable"))


@contextlib.contextmanager
def held(size: int, output: Path, writers: int) -> Iterator[None]:
    """Hold frames for `size` bytes, at most two thirds of the memory that is there, and let them go as `output` grows (bytes that it has on disk); all of
    them where it has gone, or at the end. It is written on the first `writers` cores, where so many ranks are bound."""
    size = min(size, available() * 2 // 3) // UNIT * UNIT
    if not size:
        yield
        return
    with mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as frames:
        frames.madvise(mmap.MADV_HUGEPAGE)
        with memoryview(frames) as view:
            np.frombuffer(view, np.uint8)[::mmap.PAGESIZE] = 1
        done = threading.Event()
        follower = threading.Thread(target=_follow, args=(frames, size, output, sorted(os.sched_getaffinity(0))[:writers], done), daemon=True)
        follower.start()
        try:
            yield
        finally:
            done.set()
            follower.join()


def _follow(frames: mmap.mmap, size: int, output: Path, cores: list[int], done: threading.Event) -> None:
    left, seen = size, False
    while left and not done.wait(LOOK):
        try:
            wanted, seen = max(0, size - AHEAD * len(cores) - output.stat().st_blocks * 512), True
        except FileNotFoundError:
            wanted = 0 if seen else size
        # Linux keeps what a core frees for that core (some 100 MB): let go a part on each, or a rank is given what the hypervisor took back.
        part = (left - wanted) // len(cores) // UNIT * UNIT
        if part <= 0:
            continue
        for core in cores:
            os.sched_setaffinity(0, {core})  # of this thread alone
            left -= part
            frames.madvise(mmap.MADV_DONTNEED, left, part)
