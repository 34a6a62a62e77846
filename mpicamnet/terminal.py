"""Does a person watch this output? mpirun gives its ranks a terminal of their own making, wherever its output goes."""
from __future__ import annotations

import os
import sys


def on_terminal() -> bool:
    """Whether standard output is a terminal, and, under mpirun, mpirun's own is one too."""
    if not sys.stdout.isatty():
        return False
    if "OMPI_COMM_WORLD_SIZE" not in os.environ:
        return True
    try:
        with open(f"/proc/{os.getppid()}/fd/1") as outer:
            return outer.isatty()
    except OSError:  # a daemon on another node, or a closed output
        return False
