"""Copies of slide files on a node's own disk: what must be copied, what of it is there and sound, and a copy in the making.

Beside a copy lies NAME.sums: a line that says of which file, size and time it is, then the XXH3-128 of each piece. A copy in the making is
NAME.partial; its sums tell how far it came, so a kill costs the piece that was under way. What is there is trusted by its sums alone.
"""
from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
import xxhash

from ..errors import SlideError
from ..slides import SlideRecord

PIECE = 16 << 20  # bytes that are read, sent and checked at a time; no setting: copies of other runs are cut so too
SUM = 16  # bytes
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Source:
    """A file to be copied: its path, size and time of change (ns), and where its copy belongs, relative to the folder of all copies."""

    path: str
    size: int
    changed: int
    place: str

    @property
    def pieces(self) -> int:
        return -(-self.size // PIECE)

    def size_of(self, piece: int) -> int:
        return min(PIECE, self.size - piece * PIECE)


def sources_of(record: SlideRecord) -> list[Source]:
    """The files that a slide consists of, its own first; none where it cannot be told, or the slide cannot be read: it is read where it is."""
    path = Path(record.path)
    if path.suffix.lower() in (".vms", ".vmu"):
        return []
    try:
        files = [path]
        if path.suffix.lower() == ".mrxs":
            files += sorted(p for p in path.with_suffix("").iterdir() if p.is_file())
        elif path.suffix.lower() == ".dcm":
            files += sorted(p for p in path.parent.iterdir() if p.suffix.lower() == ".dcm" and p != path)
        found = [(p, p.stat()) for p in files]
    except OSError:
        return []
    return [Source(str(p), s.st_size, s.st_mtime_ns, str(Path(record.name, p.relative_to(path.parent)))) for p, s in found]


def sound_pieces(folder: Path, source: Source) -> int:
    """How many pieces of a file, from its first on, are on this disk as they were sent; more than there are pieces where the copy is whole.

    A copy that is not sound is put back into the making.
    """
    copy, partial, sums = _paths(folder, source)
    there = copy if copy.exists() else partial
    try:
        with sums.open("rb") as f, there.open("rb") as data:
            if f.readline() != _head(source):
                return 0
            expected = f.read(source.pieces * SUM)
            sound = 0
            while sound < len(expected) // SUM:
                piece = data.read(source.size_of(sound))
                if len(piece) < source.size_of(sound) or xxhash.xxh3_128_digest(piece) != expected[sound * SUM:(sound + 1) * SUM]:
                    break
                sound += 1
    except FileNotFoundError:
        return 0
    if there == copy and sound == source.pieces and copy.stat().st_size == source.size:
        return sound + 1
    if there == copy:
        copy.replace(partial)
    return sound


def read_piece(file: BinaryIO, source: Source, piece: int, out: Bytes) -> int:
    """Fill `out`, uint8 (size + SUM,), with a piece of the original and its sum; returns the size. Raises SlideError where it cannot be read."""
    size, got = source.size_of(piece), 0
    try:
        while got < size:  # a file system may give less than was asked for
            n = os.preadv(file.fileno(), [out.data[got:size]], piece * PIECE + got)
            if n == 0:
                raise SlideError("the slide became shorter while it was copied", source.path, f"it had {source.size:,} bytes")
            got += n
    except OSError as e:
        raise SlideError("the slide cannot be read", source.path, (e.strerror or str(e)).lower()) from None
    out[size:size + SUM] = np.frombuffer(xxhash.xxh3_128_digest(out[:size].data), np.uint8)
    return size


class Copy:
    """A copy in the making; close it when done."""

    def __init__(self, folder: Path, source: Source, sound: int):
        self._source, self._next = source, min(sound, source.pieces)
        self._copy, self._partial, sums = _paths(folder, source)
        self._partial.parent.mkdir(parents=True, exist_ok=True)
        self._copy.unlink(missing_ok=True)  # of another file, or of this one before it changed
        head = _head(source)
        if self._next == 0:
            sums.write_bytes(head)
        self._sums = sums.open("r+b", buffering=0)
        self._sums.truncate(len(head) + self._next * SUM)
        self._sums.seek(0, os.SEEK_END)
        self._data = self._partial.open("r+b" if self._next else "wb", buffering=0)
        self._data.truncate(min(self._next * PIECE, source.size))
        self._data.seek(0, os.SEEK_END)

    def put(self, piece: int, sent: Bytes) -> None:
        """Write a piece as `read_piece` made it; one that is there already is passed over. Raises OSError."""
        if piece < self._next:
            return
        data, checksum = sent[:-SUM], sent[-SUM:].tobytes()
        if xxhash.xxh3_128_digest(data.data) != checksum:
            raise OSError(f"piece {piece} of {self._source.path} was damaged on its way")
        rest = data.data
        while rest:  # an unbuffered write may write less
            rest = rest[self._data.write(rest):]
        self._sums.write(checksum)
        self._next += 1

    def finish(self) -> None:
        self.close()
        self._partial.replace(self._copy)

    def close(self) -> None:
        self._data.close()
        self._sums.close()


def _head(source: Source) -> bytes:
    return json.dumps(asdict(source)).encode() + b"\n"


def _paths(folder: Path, source: Source) -> tuple[Path, Path, Path]:
    """The copy, the copy in the making, the sums."""
    copy = folder / source.place
    return copy, copy.with_name(copy.name + ".partial"), copy.with_name(copy.name + ".sums")
