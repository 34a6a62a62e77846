"""The rows of patches.h5, schema mpicamnet.patches/1: columns, digest of a row, texts. Knows no MPI."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import xxhash

from ..errors import SlideError

SCHEMA = "mpicamnet.patches/1"
COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {
    "slide": ("<i4", ()), "xy": ("<i8", (2,)), "label": ("i1", ()), "tumor_fraction": ("<f4", ()), "tissue_fraction": ("<f4", ()),
    "white_share": ("<f4", ()), "black_share": ("<f4", ()), "row_digest": ("u1", (16,)),
}
STATUS_BYTES = 240


@dataclass
class Rows:
    """Rows to be written, in row order. `columns`: arrays (n, ...) by name. `pixels` uint8 (n, p, p, 3), or `jpeg`: a bytes object per row.
    `errors`: by slide, the first tile that could not be read on the way."""

    columns: dict[str, npt.NDArray[Any]]
    pixels: npt.NDArray[np.uint8] | None
    jpeg: list[bytes] | None
    errors: dict[int, SlideError] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.columns["slide"])

    @property
    def jpeg_size(self) -> int:
        return sum(map(len, self.jpeg)) if self.jpeg is not None else 0

    @property
    def nbytes(self) -> int:
        return sum(c.nbytes for c in self.columns.values()) + (self.pixels.nbytes if self.pixels is not None else 0) + self.jpeg_size


def texts(values: list[str]) -> npt.NDArray[np.bytes_]:
    """Strings as fixed-length UTF-8, which ranks can write without a heap."""
    raw = [v.encode("utf-8", "surrogateescape") for v in values]  # a file name may hold any bytes
    return np.array(raw, h5py.string_dtype("utf-8", max([1, *map(len, raw)])))


def statuses(values: list[str]) -> npt.NDArray[np.bytes_]:
    return np.array([v.encode("utf-8", "replace")[:STATUS_BYTES].decode(errors="ignore").encode() for v in values], h5py.string_dtype("utf-8", STATUS_BYTES))


def row_digests(slide: bytes, xy: npt.NDArray[np.int64], label: npt.NDArray[np.int8], payloads: Iterable[Any]) -> npt.NDArray[np.uint8]:
    """XXH3-128, canonical (big-endian), of each row: slide name, 0x00, x and y as int64 LE, label as int8, stored payload; uint8 (n, 16).

    `payloads`: one per row; None where only coordinates are stored.
    """
    n, at = len(label), len(slide) + 1
    heads = np.zeros((n, at + 17), np.uint8)
    heads[:, :at - 1] = np.frombuffer(slide, np.uint8)
    heads[:, at:at + 16] = np.ascontiguousarray(xy, "<i8").view(np.uint8).reshape(n, 16)
    heads[:, at + 16] = label.view(np.uint8)
    raw, size = heads.tobytes(), at + 17
    digests = []
    for i, payload in enumerate(payloads):
        h = xxhash.xxh3_128(raw[i * size:(i + 1) * size])
        if payload is not None:
            h.update(payload)
        digests.append(h.digest())
    return np.frombuffer(b"".join(digests), np.uint8).reshape(n, 16)


def most_jpeg_bytes(patch: int) -> int:
    """The most bytes that a JPEG of a patch can take (libjpeg-turbo's tjBufSize, 4:2:0)."""
    padded = -(-patch // 16) * 16
    return padded * padded * 3 + 2048
