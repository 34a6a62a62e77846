"""What a process has held is its own, whatever the one that started it holds."""
from __future__ import annotations

import subprocess
import sys

WORDS = "from mpicamnet.ranks.clock import most_held; before = most_held(); b = bytearray(100 << 20); b[::4096] = b'x' * len(b[::4096]); " \
        "del b; print(before, most_held())"


def test_memory_is_what_this_process_held_at_most_not_its_parent() -> None:
    ballast = bytearray(1 << 30)
    ballast[::4096] = b"x" * len(ballast[::4096])
    before, after = map(int, subprocess.run([sys.executable, "-c", WORDS], capture_output=True, text=True, check=True).stdout.split())
    assert before < len(ballast) // 2
    assert 70 << 20 < after - before < 130 << 20  # 100 MiB, counted though given back; what imports held at most may have been more than is held now
