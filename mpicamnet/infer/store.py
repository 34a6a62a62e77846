"""predictions.h5.partial: the tiles of all ranks while they are being made, in the order of the plan's blocks, with a journal.

Its datasets are made for all windows that stand on tissue, before the first is read, and flushed: from then on HDF5 metadata does not change,
so a kill leaves a file that opens. Ranks write the tiles of each round where they belong, and rank 0 marks how far all have come. So no rank
holds more than a round, the tiles of a slide come together in the file, and a rerun on any number of ranks goes on from the mark.
"""
from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..patches.journal import Journal, Mark, lay_journal
from ..patches.store import LIBVER, partial_path
from ..ranks import Comm
from .tiles import COLUMNS, Tiles


class Store:
    """The file, open for all ranks of `comm`. `create`, `reopen`, `close` and `abandon` are collective."""

    def __init__(self, file: h5py.File):
        self._file = file
        self._journal = Journal(file)

    @classmethod
    def create(cls, path: Path, comm: Comm, windows: int, attributes: dict[str, str], slides: dict[str, npt.NDArray[Any]]) -> Store:
        """A new file for at most `windows` tiles, its metadata complete and flushed."""
        file = h5py.File(partial_path(path), "w", driver="mpio", comm=comm, libver=LIBVER)
        for name, text in attributes.items():
            file.attrs[name] = text
        for name, values in slides.items():
            file.create_dataset(f"slides/{name}", values.shape, values.dtype)
        lay_journal(file)
        for name, (kind, shape) in COLUMNS.items():
            file.create_dataset(name, (windows, *shape), kind, fill_time="never")
        file.flush()
        return cls(file)

    def begin(self, slides: dict[str, npt.NDArray[Any]]) -> None:
        """Write what is known before the first tile; by one rank, after `create`."""
        for name, values in slides.items():
            self._file[f"slides/{name}"][...] = values
        self._journal.begin()

    @classmethod
    def reopen(cls, path: Path, comm: Comm) -> Store:
        """The file that an earlier run left, or that this one closed: all ranks then see what the others wrote."""
        store = cls(h5py.File(partial_path(path), "r+", driver="mpio", comm=comm, libver=LIBVER))
        store._journal.resume()
        return store

    def write(self, tiles: Tiles, at: int) -> None:
        """Write this rank's tiles from row `at` on."""
        for name in COLUMNS if len(tiles) else ():
            self._file[name][at:at + len(tiles)] = getattr(tiles, name)

    def mark(self, mark: Mark) -> None:
        """Note how far all have come; by one rank, after all have written."""
        self._journal.mark(mark)

    def note(self, slide: int, status: str) -> None:
        """Set a slide's status, unless it has one that is not ok; by one rank."""
        self._journal.note(slide, status)

    def of_slide(self, slide: int, rows: int) -> Tiles:
        """The tiles of a slide among the first `rows`, which stand slide by slide."""
        return tiles_of_slide(self._file, slide, rows)

    def close(self) -> None:
        """Bring all ranks' tiles to the disk and close."""
        self._file.flush()
        self._file.close()

    def abandon(self) -> None:
        """Close after a failure that all ranks know of; what cannot be written any more has been reported by then."""
        with contextlib.suppress(OSError):
            self._file.close()


def tiles_of_slide(file: h5py.File, slide: int, rows: int) -> Tiles:
    """The tiles of a slide, in the order of the plan, among the first `rows` of a file that stand slide by slide."""
    first, last = (_first_of(file["slide"], value, rows) for value in (slide, slide + 1))
    return Tiles(*(file[name][first:last] for name in COLUMNS))


def _first_of(column: h5py.Dataset, value: int, rows: int) -> int:
    """The first of `rows` ascending values that is at least `value`: by halves, so that a file of any size takes a few reads."""
    low, high = 0, rows
    while low < high:
        middle = (low + high) // 2
        if np.int64(column[middle]) < value:
            low = middle + 1
        else:
            high = middle
    return low
