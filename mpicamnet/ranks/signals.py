"""SIGTERM, SIGINT and SIGUSR1 become a flag that a stage looks at between rounds; all ranks then agree to stop (exit code 75)."""
from __future__ import annotations

import os
import signal
from types import FrameType

from ..errors import STOPPED, UserError
from .communicators import Comm


class Signals:
    """Asks for a stop are noted, not obeyed: work in progress must reach a point from which it can go on."""

    def __init__(self) -> None:
        self.caught = 0
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            signal.signal(number, self._note)

    def _note(self, number: int, _: FrameType | None) -> None:
        if self.caught:  # asked twice: at once
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.caught = number

    def any_stopped(self, comm: Comm) -> bool:
        """Whether any rank was asked to stop; collective over `comm`."""
        return bool(comm.allreduce(int(self.caught != 0)) > 0)

    def stop_here(self, comm: Comm) -> None:
        """Raise `stopped()` on all ranks where any was asked to stop; collective over `comm`."""
        if self.any_stopped(comm):
            raise stopped()


def stopped() -> UserError:
    return UserError("stopped by a signal", "", "run again: it goes on from here", STOPPED)
