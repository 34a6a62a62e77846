"""What goes faster where a node's ranks do it one after the other: a kernel lets one process at a time write to a file."""
from __future__ import annotations

from types import TracebackType

import numpy as np
from mpi4py import MPI

from .communicators import Comm


class Turn:
    """Whose turn it is on a node, by courtesy: a rank takes it where no other has it, or all the same (`with`) where it can put the matter off no longer.

    Nobody waits here. A turn that was taken ends with the `with`. Making one and `close` are collective over `node`.
    """

    def __init__(self, node: Comm):
        self._window = MPI.Win.Allocate_shared(node.size if node.rank == 0 else 0, comm=node)
        self._inside = np.asarray(self._window.Shared_query(0)[0], np.uint8)  # one for each rank
        self._mine = node.rank
        self._inside[self._mine] = 0
        node.Barrier()

    def take(self) -> bool:
        """Whether it is this rank's turn now: no other one has it. Of two that ask at the same moment neither may, as a rule: nothing depends on it."""
        self._inside[self._mine] = 1
        mine_alone = int(np.count_nonzero(self._inside)) == 1
        if not mine_alone:
            self._inside[self._mine] = 0
        return mine_alone

    def __enter__(self) -> None:
        self._inside[self._mine] = 1

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self._inside[self._mine] = 0

    def close(self) -> None:
        self._window.Free()
