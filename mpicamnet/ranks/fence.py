"""Fences: local work that can fail, with all ranks told at its end.

    with fence(comm):
        ...          # local work only: no collective call in here
    # here no rank failed; had one, all would have raised its error

Without them a rank that raises leaves the others waiting in their next collective call for ever.
"""
from __future__ import annotations

import contextlib
import traceback
from collections.abc import Iterator

import numpy as np
from mpi4py import MPI

from ..errors import FAULT, UserError, file_system_error
from .communicators import Comm, sleep_until


class RankFault(Exception):
    """A fault of the program on one rank, raised on all; its text is that rank's traceback."""


@contextlib.contextmanager
def fence(comm: Comm, where: object = "") -> Iterator[None]:
    """Run the block on every rank, then raise on all what the first failing rank raised; collective over `comm`.

    A UserError travels as it is; an OSError becomes one about the file system at `where`; anything else a RankFault with its traceback.
    """
    error: Exception | None = None
    try:
        yield
    except Exception as e:
        error = as_error(e, where, comm.rank)
    agree(comm, error)


def as_error(error: Exception, where: object, rank: int) -> Exception:
    """`error` in a form that can travel to other ranks."""
    if isinstance(error, (UserError, RankFault)):
        return error
    if isinstance(error, OSError):
        return file_system_error(error, error.filename or where)
    return RankFault(f"rank {rank}:\n" + "".join(traceback.format_exception(error)))


def agree(comm: Comm, error: Exception | None) -> None:
    """Raise on all ranks the error of the lowest rank that has one; collective over `comm`."""
    said, first = np.array(comm.size if error is None else comm.rank, np.int64), np.zeros((), np.int64)
    sleep_until([comm.Iallreduce(said, first, MPI.MIN)])  # one rank may have work to do in a fence, and need the core of those that wait
    if first < comm.size:
        raise comm.bcast(error, root=int(first))


def exit_code(error: Exception) -> int:
    return error.code if isinstance(error, UserError) else FAULT
