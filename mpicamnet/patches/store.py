"""patches.h5: one HDF5 file that all ranks write at once through MPI-IO, and that survives a kill at any moment.

Life of the file, all under `patches.h5.partial` until the last step:

1. `create`: every dataset is made for the most rows that there can be, allocated early and not filled, and flushed. From here on HDF5 metadata
   does not change, so a kill leaves a file that opens.
2. `write_rows`, by each rank at its own rows; then rank 0 marks in `journal` how far all have come (`mark`).
3. `finish`, by one rank: datasets are cut to the rows there are, digests noted, and the file renamed. What HDF5 will change is put aside first
   (`.head`), so that a kill in here can be undone.
"""
from __future__ import annotations

import contextlib
import errno
import hashlib
import math
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from h5py import h5fd, h5p

from ..config import Extract
from ..errors import FILE_SYSTEM, UserError, file_system_error
from ..ranks import Comm, abort
from ..ranks.hints import hints
from .journal import Journal, last_mark, lay_journal
from .journal import Mark as Mark
from .schema import COLUMNS, Rows, most_jpeg_bytes
from .slab import write_rows

COLUMN_CHUNK = 16384  # rows
LIBVER = ("earliest", "v108")  # newer formats mark a file as open for writing, so a killed run would leave one that refuses to open


def partial_path(path: Path) -> Path:
    return path.with_name(path.name + ".partial")


def _head_path(path: Path) -> Path:
    return path.with_name(path.name + ".head")


class Store:
    """patches.h5 open for writing by all ranks of `comm`. `create` and `reopen` are collective, as is `close`."""

    def __init__(self, file: h5py.File, comm: Comm, collective: bool):
        self._file, self._comm, self._collective = file, comm, collective
        self._datasets = {name: file[name].id for name in [*COLUMNS, "pixels", "jpeg/offset", "jpeg/bytes"] if name in file}
        self._transfer = h5p.create(h5p.DATASET_XFER)
        self._transfer.set_dxpl_mpio(h5fd.MPIO_COLLECTIVE if collective else h5fd.MPIO_INDEPENDENT)
        self._journal = Journal(file)

    @classmethod
    def create(cls, path: Path, comm: Comm, extract: Extract, patch: int, rows: int, attributes: dict[str, str], slides: dict[str, npt.NDArray[Any]]) -> Store:
        """A new file for at most `rows` rows, with its metadata complete and flushed; collective."""
        chunk, front = _chunk_rows(extract, patch), _front(extract, patch, rows)
        file = h5py.File(partial_path(path), "w", driver="mpio", comm=comm, info=hints(extract.hints), libver=LIBVER, meta_block_size=front,
                         alignment_threshold=(extract.alignment << 9) or 1, alignment_interval=(extract.alignment << 10) or 1)
        for name, text in attributes.items():
            file.attrs[name] = text
        for name, values in slides.items():
            file.create_dataset(f"slides/{name}", values.shape, values.dtype)
        lay_journal(file)
        for name, (kind, shape) in COLUMNS.items():
            _resizable(file, name, rows, shape, kind, COLUMN_CHUNK)
        if extract.storage == "jpeg":
            _resizable(file, "jpeg/offset", rows + 1, (), "<u8", COLUMN_CHUNK)
            _resizable(file, "jpeg/bytes", rows * most_jpeg_bytes(patch), (), "u1", extract.chunk << 20)
        if extract.storage == "pixels":  # last, so that what is cut off at the end is the end of the file
            _resizable(file, "pixels", rows, (patch, patch, 3), "u1", chunk)
        file.flush()
        return cls(file, comm, extract.io == "collective")

    def begin(self, slides: dict[str, npt.NDArray[Any]]) -> None:
        """Write what is known before the first row; by one rank, after `create`."""
        for name, values in slides.items():
            self._file[f"slides/{name}"][...] = values
        if "jpeg" in self._file:
            self._file["jpeg/offset"][0] = 0
        self._journal.begin()

    @classmethod
    def reopen(cls, path: Path, comm: Comm, extract: Extract) -> Store:
        """The file of a run that was stopped; collective."""
        file = h5py.File(partial_path(path), "r+", driver="mpio", comm=comm, info=hints(extract.hints), libver=LIBVER)
        store = cls(file, comm, extract.io == "collective")
        store._journal.resume()
        return store

    def write_rows(self, rows: Rows, at: int, byte: int) -> int:
        """Write this rank's rows from row `at` (and JPEG byte `byte`) on; returns bytes written. Collective where io is collective.

        Raises OSError; in collective writes ends the job instead, since the others are inside the next one and cannot be told.
        """
        slabs: list[tuple[str, npt.NDArray[Any], int]] = [(name, values, at) for name, values in rows.columns.items()]
        if rows.pixels is not None:
            slabs.append(("pixels", rows.pixels, at))
        if rows.jpeg is not None:
            ends = byte + np.cumsum([len(j) for j in rows.jpeg], dtype=np.uint64)
            slabs += [("jpeg/offset", ends.astype(np.uint64), at + 1), ("jpeg/bytes", np.frombuffer(b"".join(rows.jpeg), np.uint8), byte)]
        try:
            written = sum(write_rows(self._datasets[name], values, at, self._transfer) for name, values, at in slabs if len(values) or self._collective)
        except OSError as e:
            if self._collective:
                abort(write_error(e, Path(self._file.filename), rows.nbytes))
            raise
        if self._collective:
            self._read_back(slabs)
        return written

    def _read_back(self, slabs: list[tuple[str, npt.NDArray[Any], int]]) -> None:
        """Compare the file with what was written: Open MPI 4.1.4's collective writes do not tell of a full disk. Collective."""
        self._comm.Barrier()  # an aggregator may still be writing for others
        for name, values, at in slabs:
            if len(values) and not np.array_equal(self._file[name][at:at + len(values)], values):
                raise OSError(errno.ENOSPC, "no space left on device (the file does not hold what was written)")

    def mark(self, mark: Mark) -> None:
        """Note how far all have come; by one rank, after all have written."""
        self._journal.mark(mark)

    def note(self, slide: int, status: str) -> None:
        """Set a slide's status, unless it has one that is not ok; by one rank."""
        self._journal.note(slide, status)

    def close(self) -> None:
        """Bring all ranks' rows to the disk and close; collective."""
        self._datasets.clear()
        self._file.flush()
        self._file.close()

    def abandon(self) -> None:
        """Close after a failure that all ranks know of; what cannot be written any more has been reported by then. Collective."""
        self._datasets.clear()
        with contextlib.suppress(OSError):
            self._file.close()


def _chunk_rows(extract: Extract, patch: int) -> int:
    """Patches per chunk of `pixels`."""
    return max(1, (extract.chunk << 20) // (patch * patch * 3))


def _front(extract: Extract, patch: int, rows: int) -> int:
    """Bytes that HDF5 takes for metadata at a time: one block that holds all of it keeps it together at the front of the file."""
    stored = {"pixels": rows // _chunk_rows(extract, patch), "jpeg": rows * most_jpeg_bytes(patch) // (extract.chunk << 20), "coords": 0}[extract.storage]
    chunks = (len(COLUMNS) + 1) * (rows // COLUMN_CHUNK + 1) + stored + 1
    return 1 << max(20, math.ceil(math.log2(1 << 16 | chunks * 128 * 2)))  # 128 bytes: a B-tree entry; a node may be half full


def room_for_metadata(path: Path, extract: Extract, patch: int, rows: int) -> None:
    """Raise UserError where not even the empty file fits: laying it out is collective, and a full disk there would be one rank's alone."""
    wanted = 2 * _front(extract, patch, rows)
    if shutil.disk_usage(path.parent).free < wanted:
        raise file_system_error(OSError(errno.ENOSPC, "no space left on device"), path)


def _resizable(file: h5py.File, name: str, rows: int, shape: tuple[int, ...], kind: str, chunk: int) -> None:
    # Filling would write every chunk twice.
    file.create_dataset(name, (rows, *shape), kind, chunks=(max(1, min(chunk, rows)), *shape), maxshape=(None, *shape), fill_time="never")


def left_behind(path: Path, config_digest: str, plan_digest: str) -> tuple[Mark | None, str]:
    """How far an earlier run came with the same config, input and plans, or None and, where there is something to say, why it cannot be gone on with.

    By one rank, before `reopen`. Undoes a `finish` that was killed.
    """
    partial, head = partial_path(path), _head_path(path)
    if not partial.exists():
        head.unlink(missing_ok=True)
        return None, ""
    if head.exists():
        _restore(partial, head)
    try:
        with h5py.File(partial, "r") as f:
            if str(f.attrs["config_digest"]) != config_digest:
                return None, f"{partial.name} was begun with another config or other slides: begun anew"
            if str(f.attrs["plan_digest"]) != plan_digest:
                return None, f"slides read otherwise than when {partial.name} was begun: begun anew"
            return last_mark(f), ""
    except OSError as e:
        if e.errno is not None:  # the file system's word; HDF5's own, of a file that was cut off while it was laid out, has no number
            raise
    except (KeyError, ValueError, IndexError):
        pass
    return None, f"{partial.name} was stopped before its first round: begun anew"


def finish(path: Path, mark: Mark, attributes: dict[str, Any]) -> str:
    """Cut the file to `mark.rows` rows, note digests and `attributes`, rename it; returns the content digest. By one rank, when all have closed."""
    partial, head = partial_path(path), _head_path(path)
    with system_errors(path):
        _put_aside(partial, head)
        with h5py.File(partial, "r+", libver=LIBVER) as f:
            content = content_digest(f["row_digest"], mark.rows)
            for name in [*COLUMNS, "pixels"]:
                if name in f:
                    f[name].resize(mark.rows, 0)
            if "jpeg" in f:
                f["jpeg/offset"].resize(mark.rows + 1, 0)
                f["jpeg/bytes"].resize(mark.bytes, 0)
            del f["journal"]
            for name, value in {**attributes, "content_digest": content, "created": time.strftime("%Y-%m-%dT%H:%M:%S%z")}.items():
                f.attrs[name] = value
        synced(partial)
        partial.replace(path)
        head.unlink()
        synced(path.parent)
    return content


def content_digest(row_digests: h5py.Dataset, rows: int) -> str:
    """Hex SHA-256 over the rows' digests in row order."""
    h = hashlib.sha256()
    for first in range(0, rows, 1 << 20):
        h.update(row_digests[first:min(rows, first + (1 << 20))].tobytes())
    return h.hexdigest()


@dataclass(frozen=True)
class Content:
    """What a finished file holds: statuses by slide, rows by slide and label (-1, 0, 1) int64 (slides, 3), the file's size in bytes."""

    statuses: list[str]
    counts: npt.NDArray[np.int64]
    size: int


def content_of(path: Path) -> Content:
    with h5py.File(path, "r") as f:
        status = [s.decode("utf-8", "replace") for s in f["slides/status"][...]]
        counts = np.zeros((len(status), 3), np.int64)
        for first in range(0, len(f["slide"]), 1 << 20):
            rows = slice(first, first + (1 << 20))
            np.add.at(counts, (f["slide"][rows], f["label"][rows].astype(np.int64) + 1), 1)
    return Content(status, counts, path.stat().st_size)


def _put_aside(partial: Path, head: Path) -> None:
    """Copy the front of the file, where all metadata and the journal are, with the file's size; whole before it has its name."""
    with h5py.File(partial, "r") as f:
        first = max(f["journal"].id.get_offset() + f["journal"].nbytes, min([_first_byte(f[name]) for name in COLUMNS if f[name].size], default=0))
    making = head.with_name(head.name + ".partial")
    with partial.open("rb") as source, making.open("wb") as copy:
        copy.write(partial.stat().st_size.to_bytes(8, "little"))
        copy.write(source.read(first))
        copy.flush()
        os.fsync(copy.fileno())
    making.replace(head)
    synced(head.parent)


def _first_byte(dataset: h5py.Dataset) -> int:
    return int(dataset.id.get_offset() if dataset.chunks is None else dataset.id.get_chunk_info(0).byte_offset)


def _restore(partial: Path, head: Path) -> None:
    data = head.read_bytes()
    with partial.open("r+b") as f:
        f.write(data[8:])
        f.truncate(int.from_bytes(data[:8], "little"))
        f.flush()
        os.fsync(f.fileno())
    head.unlink()


def synced(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def system_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        raise write_error(e, path, 1 << 20) from None


def write_error(error: OSError, path: Path, size: int) -> UserError:
    """What an error of HDF5 or MPI-IO means: they seldom pass on the system's own word, so the file system is asked."""
    if error.errno is None and shutil.disk_usage(path.parent).free < size:
        return file_system_error(OSError(errno.ENOSPC, "no space left on device"), path)
    if error.errno is None:
        return UserError("writing failed", path, "look at the file system, then run again: it goes on from here (" + " ".join(str(error).split())[:120] + ")",
                         FILE_SYSTEM)
    return file_system_error(error, path)
