"""One rank reads, all have it: pieces of data broadcast in a row, with the reading of the next and the writing of the last beside the sending."""
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
from mpi4py import MPI

from .communicators import Comm
from .fence import agree, as_error

Piece = npt.NDArray[np.uint8]
BUFFERS = 3  # one is read, one is sent, one is written


def node_leaders(world: Comm, node: Comm) -> Comm | None:
    """The first rank of each node, in rank order; None on the others. Collective over `world`."""
    comm = world.Split(0 if node.rank == 0 else MPI.UNDEFINED, key=world.rank)
    return comm if isinstance(comm, MPI.Intracomm) and node.rank == 0 else None


def among(comm: Comm, members: tuple[int, ...]) -> Comm | None:
    """Those ranks of `comm`; None on the others. Collective over `comm`."""
    part = comm.Split(0 if comm.rank in members else MPI.UNDEFINED, key=comm.rank)
    return part if isinstance(part, MPI.Intracomm) and comm.rank in members else None


def spread(comm: Comm, root: int, sizes: list[int], read: Callable[[int, Piece], None], put: Callable[[int, Piece], None]) -> None:
    """Send pieces of `sizes` bytes from `root` to all: `read` fills a piece (on `root` only), `put` takes it (everywhere), in order.

    Both are local and run in threads of their own. Collective over `comm`; raises on all ranks what the first failing one raised, when all
    pieces have gone by.
    """
    buffers = [np.empty(max(sizes, default=0), np.uint8) for _ in range(BUFFERS)]
    errors: list[Exception] = []

    def attempt(act: Callable[[int, Piece], None], k: int) -> None:
        if errors:
            return  # the others are still to be served, with whatever stands in the buffer
        try:
            act(k, buffers[k % BUFFERS][:sizes[k]])
        except Exception as e:
            errors.append(as_error(e, "", comm.rank))

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(1) as writer:
        reading: list[Future[None]] = []
        writing: list[Future[None]] = []
        for k, size in enumerate(sizes):
            if k >= BUFFERS - 1:
                writing[k + 1 - BUFFERS].result()  # the next piece is read into that buffer
            if comm.rank == root:
                if k == 0:
                    reading.append(reader.submit(attempt, read, 0))
                reading[k].result()
                if k + 1 < len(sizes):
                    reading.append(reader.submit(attempt, read, k + 1))
            comm.Bcast(buffers[k % BUFFERS][:size], root=root)
            writing.append(writer.submit(attempt, put, k))
    agree(comm, errors[0] if errors else None)
