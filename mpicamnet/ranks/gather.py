"""Rows of arrays from all ranks in rank order, and lists of objects in the order of their items."""
from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from .communicators import Comm

T = TypeVar("T")
MOST = 1 << 30  # bytes per message: MPI counts are 32-bit


def gather_rows(comm: Comm, rows: npt.NDArray[Any], root: int = 0) -> npt.NDArray[Any] | None:
    """All ranks' rows (n, ...) stacked in rank order on `root`, None elsewhere; collective over `comm`."""
    sent = np.ascontiguousarray(rows)
    counts = comm.gather(len(sent), root=root)
    if comm.rank != root:
        for part in _parts(sent):
            comm.Send(part, dest=root)
        return None
    assert counts is not None
    out = np.empty((sum(counts), *sent.shape[1:]), sent.dtype)
    at = 0
    for rank, n in enumerate(counts):
        into = out[at:at + n]
        if rank == root:
            into[...] = sent
        else:
            for part in _parts(into):
                comm.Recv(part, source=rank)
        at += n
    return out


def allgather_list(comm: Comm, mine: dict[int, T]) -> list[T]:
    """Items 0 to n-1, each made by one rank and keyed by its number, as one list on every rank; collective over `comm`."""
    merged: dict[int, T] = {}
    for part in comm.allgather(mine):
        merged.update(part)
    return [merged[i] for i in range(len(merged))]


def _parts(rows: npt.NDArray[Any]) -> list[npt.NDArray[np.uint8]]:
    flat = rows.reshape(-1).view(np.uint8)
    return [flat[i:i + MOST] for i in range(0, len(flat), MOST)]
