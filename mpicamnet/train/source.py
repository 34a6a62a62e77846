"""Rows -> px, whatever patches.h5 keeps of a patch: its px, a JPEG, or its place on the slide."""
from __future__ import annotations

import abc
from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import h5py
import imagecodecs
import numpy as np
import numpy.typing as npt

from ..config import Config
from ..slides import Resolution, Slide, SlideRecord, open_record, read_patch, resolve
from .table import Table

Pixels = npt.NDArray[np.uint8]
Indices = npt.NDArray[np.int64]


class Source(Protocol):
    """An open source of px, read by one rank on its own (a context manager)."""

    def read(self, rows: Indices) -> Pixels:
        """RGB uint8 (k, p, p, 3) of the rows (k,), in the order asked for."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def open_source(table: Table, config: Config, records: Sequence[SlideRecord]) -> Source:
    """The source that fits the storage of `table`; `records` is the catalogue, for coords alone."""
    if table.storage == "pixels":
        return PixelRows(table)
    return JpegRows(table) if table.storage == "jpeg" else CoordRows(table, config, records)


def runs(rows: Indices) -> list[tuple[int, int]]:
    """Ascending rows as runs `first` to `last` (not included) without gaps: one read each. Rows that come twice are read once."""
    if len(rows) == 0:
        return []
    breaks = np.flatnonzero(np.diff(rows) > 1) + 1
    starts, ends = np.concatenate(([0], breaks)), np.concatenate((breaks, [len(rows)])) - 1
    return [(int(rows[a]), int(rows[b]) + 1) for a, b in zip(starts, ends, strict=True)]


class _Closing(abc.ABC):
    @abc.abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


class PixelRows(_Closing):
    """Storage pixels."""

    def __init__(self, table: Table):
        self._patch = table.patch
        self._file = h5py.File(table.path, "r")
        self._pixels = self._file["pixels"]

    def read(self, rows: Indices) -> Pixels:
        wanted, back = np.unique(rows, return_inverse=True)
        out = np.empty((len(wanted), self._patch, self._patch, 3), np.uint8)
        at = 0
        for first, last in runs(wanted):
            self._pixels.read_direct(out, np.s_[first:last], np.s_[at:at + last - first])
            at += last - first
        return out if np.array_equal(wanted, rows) else out[back]

    def close(self) -> None:
        self._file.close()


class JpegRows(_Closing):
    """Storage jpeg."""

    def __init__(self, table: Table):
        self._patch = table.patch
        self._file = h5py.File(table.path, "r")
        self._bytes, self._offset = self._file["jpeg/bytes"], self._file["jpeg/offset"]

    def read(self, rows: Indices) -> Pixels:
        wanted, back = np.unique(rows, return_inverse=True)
        out = np.empty((len(wanted), self._patch, self._patch, 3), np.uint8)
        at = 0
        for first, last in runs(wanted):
            ends = self._offset[first:last + 1].astype(np.int64)
            data = self._bytes[ends[0]:ends[-1]]
            for a, b in zip(ends - ends[0], ends[1:] - ends[0], strict=False):
                out[at] = imagecodecs.jpeg8_decode(data[a:b].tobytes())
                at += 1
        return out[back]

    def close(self) -> None:
        self._file.close()


class CoordRows(_Closing):
    """Storage coords: px come from the slides, each kept open once it has been asked for."""

    def __init__(self, table: Table, config: Config, records: Sequence[SlideRecord]):
        self._table, self._data = table, config.data
        self._records = {r.name: r for r in records}
        self._open: dict[int, tuple[Slide, Resolution]] = {}

    def read(self, rows: Indices) -> Pixels:
        out = np.empty((len(rows), self._table.patch, self._table.patch, 3), np.uint8)
        for i in np.argsort(rows, kind="stable"):
            slide, resolution = self._slide(int(self._table.slide[rows[i]]))
            x, y = self._table.xy[rows[i]]
            out[i] = read_patch(slide, int(x), int(y), self._table.patch, resolution)
        return out

    def _slide(self, index: int) -> tuple[Slide, Resolution]:
        if index not in self._open:
            record = self._records[self._table.slides[index].name]
            slide = open_record(record, self._data.reader)
            self._open[index] = slide, resolve(slide, self._data.level, self._data.mpp)
        return self._open[index]

    def close(self) -> None:
        for slide, _ in self._open.values():
            slide.close()
        self._open.clear()
