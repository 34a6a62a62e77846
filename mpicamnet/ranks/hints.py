"""MPI-IO hints."""
from __future__ import annotations

from collections.abc import Mapping

from mpi4py import MPI


def hints(values: Mapping[str, str]) -> MPI.Info:
    """An MPI Info object of the given hints; the MPI-IO library ignores those it does not know."""
    info = MPI.Info.Create()
    for key, value in values.items():
        info.Set(key, value)
    return info
