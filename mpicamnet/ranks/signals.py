"""SIGTERM, SIGINT and SIGUSR1 become a flag that a stage looks at between rounds; all ranks then agree to stop (exit code 75)."""
from __future__ import annotations

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
        self.caught = number

    def any_stopped(self, comm: Comm) -> bool:
        """Whether any rank was asked to stop; collective over `comm`."""
        return bool(comm.allreduce(int(self.caught != 0)) > 0)


def stopped() -> UserError:
    return UserError("stopped by a signal", "", "run again: it goes on from here", STOPPED)
