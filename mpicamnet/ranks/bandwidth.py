"""How fast ranks reduce and write together: small measurements before a large job. Collective over the communicator."""
from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
from mpi4py import MPI

from .communicators import Comm
from .fence import fence


def library() -> str:
    """The MPI library's own words for itself, and the thread level that it gave."""
    levels = {MPI.THREAD_SINGLE: "single", MPI.THREAD_FUNNELED: "funneled", MPI.THREAD_SERIALIZED: "serialized", MPI.THREAD_MULTIPLE: "multiple"}
    return f"{MPI.Get_library_version().split(',')[0].strip()}, threads {levels[MPI.Query_thread()]}"


def hosts(comm: Comm) -> list[str]:
    """The host of each rank."""
    return comm.allgather(MPI.Get_processor_name())


def allreduce_rate(comm: Comm, size: int = 16 << 20, repeats: int = 3) -> float:
    """Bytes per second at which `size` bytes of float32 are summed over all ranks: size over the fastest of `repeats`."""
    mine, total = np.ones(size // 4, np.float32), np.empty(size // 4, np.float32)
    best = np.inf
    for _ in range(repeats + 1):  # the first sets up connections
        comm.Barrier()
        begun = time.perf_counter()
        comm.Allreduce(mine, total)
        best = min(best, comm.allreduce(time.perf_counter() - begun, op=MPI.MAX))
    return size / best


def write_rate(comm: Comm, path: Path, size: int = 32 << 20) -> float:
    """Bytes per second at which all ranks write `size` bytes each into one file and sync it; the file goes again. Raises UserError on all ranks alike."""
    data = np.random.default_rng(comm.rank).integers(0, 256, size, dtype=np.uint8).tobytes()
    comm.Barrier()
    begun = time.perf_counter()
    with fence(comm, path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
        try:
            os.pwrite(fd, data, comm.rank * size)
            os.fsync(fd)
        finally:
            os.close(fd)
    taken: float = comm.allreduce(time.perf_counter() - begun, op=MPI.MAX)
    with fence(comm, path):
        if comm.rank == 0:
            path.unlink()
    return size * comm.size / taken
