"""TIFF directories: the few tags that a pyramid needs, read with one `pread` per array, so that opening does not depend on the tile count.

TIFF 6.0 (Adobe, 1992) and BigTIFF; only the main chain of directories, as OpenSlide reads it (pyramids in SubIFDs are not followed).
"""
from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SlideError

SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, DESCRIPTION = 254, 256, 257, 258, 259, 262, 270
ORIENTATION, SAMPLES, X_RESOLUTION, Y_RESOLUTION, PLANAR, RESOLUTION_UNIT, SOFTWARE = 274, 277, 282, 283, 284, 296, 305
PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SAMPLE_FORMAT, JPEG_TABLES = 317, 322, 323, 324, 325, 339, 347
IMAGE_DEPTH = 32997
_WANTED = frozenset({SUBFILE, WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, DESCRIPTION, ORIENTATION, SAMPLES, X_RESOLUTION, Y_RESOLUTION,
                     PLANAR, RESOLUTION_UNIT, SOFTWARE, PREDICTOR, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SAMPLE_FORMAT,
                     JPEG_TABLES, IMAGE_DEPTH})
_TYPES = {1: "u1", 2: "S1", 3: "u2", 4: "u4", 5: "u4", 6: "i1", 7: "u1", 8: "i2", 9: "i4", 10: "i4", 11: "f4", 12: "f8", 13: "u4",
          16: "u8", 17: "i8", 18: "u8"}
_RATIONAL = (5, 10)
_TEXTS = (DESCRIPTION, SOFTWARE)
_MOST_DIRECTORIES = 1000  # a chain longer than this is a damaged file, not a slide


@dataclass(frozen=True)
class Directory:
    """One image of a TIFF file: numbers as arrays, texts as str, JPEG tables as bytes."""
    index: int
    tags: dict[int, Any]

    def number(self, tag: int, default: int = 0) -> int:
        """The first value of a tag of whole numbers."""
        value = self.tags.get(tag)
        return default if value is None or len(value) == 0 else int(value[0])

    def real(self, tag: int) -> float | None:
        """The first value of a tag of fractions; None where it is absent or divides by zero."""
        value = self.tags.get(tag)
        return None if value is None or len(value) == 0 or not np.isfinite(value[0]) else float(value[0])

    def text(self, tag: int) -> str:
        return str(self.tags.get(tag, ""))

    @property
    def tiled(self) -> bool:
        return TILE_WIDTH in self.tags and TILE_HEIGHT in self.tags

    @property
    def tiles_across(self) -> int:
        return -(-self.number(WIDTH) // self.number(TILE_WIDTH))

    @property
    def tiles_down(self) -> int:
        return -(-self.number(HEIGHT) // self.number(TILE_HEIGHT))


def read_directories(fd: int, path: Path) -> list[Directory]:
    """The directories of the open TIFF file `fd`, in file order. Raises SlideError where the file is no TIFF or ends too early."""
    size = os.fstat(fd).st_size
    head = os.pread(fd, 16, 0)
    order = {b"II": "<", b"MM": ">"}.get(head[:2])
    version = struct.unpack(order + "H", head[2:4])[0] if order and len(head) >= 8 else 0
    if order is None or version not in (42, 43) or (version == 43 and len(head) < 16):
        raise SlideError("this is not a slide", path, "its content is no TIFF file, whatever its name says")
    big = version == 43
    offset = struct.unpack(order + ("Q" if big else "I"), head[8:16] if big else head[4:8])[0]
    directories: list[Directory] = []
    seen: set[int] = set()
    while offset:
        if offset in seen or len(directories) >= _MOST_DIRECTORIES:
            raise SlideError("the TIFF directories go in a circle", path, "the file is damaged: copy it again")
        seen.add(offset)
        tags, offset = _directory(fd, size, path, offset, order, big)
        directories.append(Directory(len(directories), tags))
    if not directories:
        raise SlideError("this TIFF file holds no image", path, "the file is damaged: copy it again")
    return directories


def _directory(fd: int, size: int, path: Path, offset: int, order: str, big: bool) -> tuple[dict[int, Any], int]:
    """The wanted tags of the directory at `offset`, and the offset of the next."""
    word, entry_bytes = (8, 20) if big else (4, 12)
    unsigned = order + ("Q" if big else "I")
    (entries,) = struct.unpack(order + ("Q" if big else "H"), _bytes(fd, size, path, offset, 8 if big else 2))
    start = offset + (8 if big else 2)
    raw = _bytes(fd, size, path, start, entries * entry_bytes + word)
    tags: dict[int, Any] = {}
    for k in range(entries):
        entry = raw[k * entry_bytes:(k + 1) * entry_bytes]
        tag, kind = struct.unpack(order + "HH", entry[:4])
        if tag not in _WANTED or kind not in _TYPES or (kind == 2) != (tag in _TEXTS):
            continue
        (count,) = struct.unpack(unsigned, entry[4:4 + word])
        dtype = np.dtype(_TYPES[kind]).newbyteorder("<" if order == "<" else ">")
        length = count * dtype.itemsize * (2 if kind in _RATIONAL else 1)
        inline = entry[4 + word:]
        data = inline[:length] if length <= word else _bytes(fd, size, path, struct.unpack(unsigned, inline)[0], length)
        tags[tag] = _value(tag, kind, data, dtype)
    return tags, struct.unpack(unsigned, raw[entries * entry_bytes:])[0]


def _value(tag: int, kind: int, data: bytes, dtype: np.dtype[Any]) -> Any:
    if kind == 2:
        return data.split(b"\0", 1)[0].decode("utf-8", "replace")
    if tag == JPEG_TABLES:
        return data
    values: npt.NDArray[Any] = np.frombuffer(data, dtype)
    if kind in _RATIONAL:
        pairs = values.reshape(-1, 2).astype(np.float64)
        return np.divide(pairs[:, 0], pairs[:, 1], out=np.full(len(pairs), np.nan), where=pairs[:, 1] != 0)
    return values.astype(np.float64 if dtype.kind == "f" else np.int64)


def _bytes(fd: int, size: int, path: Path, offset: int, length: int) -> bytes:
    if offset + length > size:
        raise SlideError("the file is truncated", path,
                         f"a TIFF directory needs byte {offset + length:,}, but it ends at {size:,}: copy it again")
    return os.pread(fd, length, offset)
