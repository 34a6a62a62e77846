"""Does a person watch this output, and where? mpirun gives its ranks a terminal of their own making, wherever its output goes."""
from __future__ import annotations

import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO


@dataclass(frozen=True)
class Terminal:
    """A terminal that a person watches. `owner`: the process whose standard output it is, under mpirun mpirun itself; `errors_too`: standard error
    goes there too."""

    owner: int
    errors_too: bool

    def open(self) -> TextIO:
        """The terminal, for writing, past mpirun: what that hands on comes late, and its two streams in no order. Raises OSError."""
        fd = os.open(f"/proc/{self.owner}/fd/1", os.O_WRONLY | os.O_NOCTTY)
        return open(fd, "w", encoding=sys.stdout.encoding, errors="replace")

    def in_front(self) -> bool:
        """Whether the terminal is this job's now: not after Ctrl-Z, nor where it was begun with `&`."""
        try:
            group, front = (_status(self.owner)[k] for k in (2, 5))
        except OSError:  # mpirun has ended
            return False
        return front in (group, "-1")  # -1: without job control


def terminal() -> Terminal | None:
    """The terminal that standard output ends at, or None where it ends elsewhere."""
    if not sys.stdout.isatty():
        return None
    owner = os.getpid()
    try:
        if "OMPI_COMM_WORLD_SIZE" in os.environ:
            inner = _end(owner, 1).st_rdev
            while _end(owner, 1).st_rdev == inner:  # a script between mpirun and this program has the same terminal of mpirun's making
                owner = int(_status(owner)[1])
        out, err = (_end(owner, n) for n in (1, 2))
        if not stat.S_ISCHR(out.st_mode):  # opening a pipe might wait
            return None
        fd = os.open(f"/proc/{owner}/fd/1", os.O_WRONLY | os.O_NOCTTY)
    except OSError:  # mpirun is on another node, or in another container, or its output is closed
        return None
    shown = os.isatty(fd)
    os.close(fd)
    return Terminal(owner, err.st_rdev == out.st_rdev) if shown else None


def on_terminal() -> bool:
    """Whether standard output is a terminal, and, under mpirun, mpirun's own is one too."""
    return terminal() is not None


def _end(process: int, stream: int) -> os.stat_result:
    return os.stat(f"/proc/{process}/fd/{stream}")


def _status(process: int) -> list[str]:
    """What /proc says of a process after its name: state, parent, process group, session, terminal, the process group in front there, ..."""
    return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
