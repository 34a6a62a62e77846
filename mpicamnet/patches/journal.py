"""The journal of a file that is being made by all ranks: how far they have come, and which slides had tiles that could not be read.

It lies in the file itself. Marks go to two slots in turn, each with a checksum: a torn write leaves the mark before.
"""
from __future__ import annotations

from dataclasses import astuple, dataclass

import h5py
import numpy as np
import xxhash

from .schema import statuses
from .slab import write_rows


@dataclass(frozen=True)
class Mark:
    """How far all ranks have come: slides whose blocks are all done, blocks done of the slides after them, blocks done in all; rows and JPEG
    bytes written."""

    slides: int = 0
    blocks: int = 0
    total: int = 0
    rows: int = 0
    bytes: int = 0


def lay_journal(file: h5py.File) -> None:
    """Make room for a journal in a new file; collective where the file is."""
    file.create_dataset("journal", (2, 2 + len(astuple(Mark()))), "<i8")


class Journal:
    """The journal of an open file that has a `slides/status`; written by one rank."""

    def __init__(self, file: h5py.File):
        self._file, self._slots = file, file["journal"].id
        self._sequence = 0

    def begin(self) -> None:
        """The first mark of a new file."""
        self._file["journal"][...] = 0
        self.mark(Mark())

    def resume(self) -> None:
        """Go on after the marks of an earlier run."""
        self._sequence = int(self._file["journal"][:, 0].max())

    def mark(self, mark: Mark) -> None:
        """Note how far all have come; after all have written."""
        self._sequence += 1
        entry = [self._sequence, *astuple(mark)]
        write_rows(self._slots, np.array([[*entry, _check(entry)]], "<i8"), self._sequence % 2)

    def note(self, slide: int, status: str) -> None:
        """Set a slide's status, unless it has one that is not ok."""
        if self._file["slides/status"][slide] == b"ok":
            self._file["slides/status"][slide] = statuses([status])[0]


def last_mark(file: h5py.File) -> Mark:
    """The last mark in a file that was left behind; raises IndexError where there is none."""
    marks = sorted(entry for entry in file["journal"][...].tolist() if entry[0] and _check(entry[:-1]) == entry[-1])
    return Mark(*marks[-1][1:-1])


def _check(entry: list[int]) -> int:
    return int(xxhash.xxh3_64_intdigest(np.array(entry, "<i8").tobytes()) >> 1)
