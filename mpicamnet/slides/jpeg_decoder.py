"""The JPEG tiles of a TIFF directory: by our kernels where a tile is baseline JPEG without fault, otherwise by libjpeg-turbo, which gives the same px."""
from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .jpeg_header import ZIGZAG, Header, header_of
from .slide import Pixels


@dataclass(frozen=True)
class _Plan:
    """How tiles with this header are decoded, `fields`: what jpeg_tile.decode takes, up to the places. `sizes`: of its room."""
    header: bytes
    start: int
    fields: tuple[Any, ...]
    sizes: tuple[int, int, int]


@dataclass(frozen=True)
class _Room:
    """What a tile needs while it is decoded."""
    data: npt.NDArray[np.uint8]
    coefficients: npt.NDArray[np.int16]
    work: npt.NDArray[np.int16]
    samples: npt.NDArray[np.uint64]
    sums: npt.NDArray[np.uint16]
    wide: npt.NDArray[np.uint8]


class JpegDecoder:
    """Decodes tiles of `shape` (height, width, 3); several threads may do so at once.

    Parameters
    ----------
    tables
        TIFF's JPEGTables.
    rgb
        Whether the channels are RGB, else YCbCr. As libtiff does it, this is the photometric tag's to say, not the JPEG's markers' (Aperio writes RGB
        without a marker).
    """

    def __init__(self, shape: tuple[int, int, int], tables: bytes | None, rgb: bool):
        import imagecodecs
        self._other: Callable[..., Pixels] = imagecodecs.jpeg8_decode
        self._shape, self._tables, self._rgb = shape, tables, rgb
        self._plan: _Plan | None = None
        self._rooms: list[_Room] = []

    def __call__(self, data: bytes, out: Pixels | None = None) -> Pixels:
        """The tile's px, in `out` if given: uint8, C-contiguous. Raises what imagecodecs.jpeg8_decode does."""
        px = self.own(data, out)
        if px is None:
            px = self._other(data, tables=self._tables, colorspace="RGB" if self._rgb else "YCBCR", outcolorspace="RGB", out=out)
        return px

    def own(self, data: bytes, out: Pixels | None = None) -> Pixels | None:
        """The tile's px by our kernels; None where they decline it, and `out` may then hold anything."""
        plan = self._plan
        if plan is None or not data.startswith(plan.header):
            plan = self._planned(data)
            if plan is None:
                return None
            self._plan = plan
        if out is None:
            out = np.empty(self._shape, np.uint8)
        elif out.shape != self._shape or out.dtype != np.uint8 or not out.flags.c_contiguous:
            return None
        from .jpeg_tile import decode
        room = self._room(plan, len(data))
        done = decode(np.frombuffer(data, np.uint8), plan.start, *plan.fields, room.data, room.coefficients, room.work, room.samples, room.sums,
                      room.wide, out.reshape(-1))
        self._rooms.append(room)
        return out if done else None

    def _planned(self, data: bytes) -> _Plan | None:
        header = header_of(data, self._tables) if sys.byteorder == "little" else None  # eight samples are packed into a number, the first one lowest
        if header is None or (header.height, header.width, 3) != self._shape or min(self._shape[:2]) < 8:
            return None
        return _plan_of(header, data[:header.scan], self._rgb)

    def _room(self, plan: _Plan, size: int) -> _Room:
        """Room that no other thread has; it is kept from tile to tile."""
        from .jpeg_tile import LANES, PAD
        try:
            room = self._rooms.pop()
        except IndexError:
            room = None
        coefficients, samples, line = plan.sizes
        if room is None or len(room.data) < size + PAD or (len(room.coefficients), len(room.samples), len(room.wide)) != (coefficients, samples, 2 * line):
            room = _Room(np.empty(size + size // 4 + PAD, np.uint8), np.empty(coefficients, np.int16), np.empty(64 * LANES, np.int16),
                         np.empty(samples, np.uint64), np.empty(2 * line, np.uint16), np.empty(2 * line, np.uint8))
        return room


def _plan_of(header: Header, raw: bytes, rgb: bool) -> _Plan:
    """Where everything lies; see jpeg_tile.decode."""
    from .jpeg_codes import BITS, tables
    from .jpeg_tile import CHUNK, LANES
    h, v = header.sampling
    across, down = -(-header.width // (8 * h)), -(-header.height // (8 * v))
    chunks = [-(-across * h // LANES)] * v + [-(-across // LANES)] * 2
    begins = np.cumsum([0, *chunks]) * CHUNK  # of the rows of blocks of an MCU row: luma's, Cb, Cr
    kinds = list(dict.fromkeys(zip(header.dc, header.ac, strict=True)))  # mostly luma's tables, and those of both colours
    table = [kinds.index(kind) << BITS for kind in zip(header.dc, header.ac, strict=True)]
    blocks = [(begins[a], h, b, table[0], 0, table[0]) for a in range(v) for b in range(h)]
    blocks[-1] = (*blocks[-1][:5], table[1])
    blocks += [(begins[v + c], 1, 0, table[1 + c], 1 + c, table[(2 + c) % 3]) for c in range(2)]
    luma, colour = chunks[0] * LANES, chunks[v] * LANES  # strides, of eight samples
    planes = [(begins[a], chunks[0], a * 8 * luma, luma, 0, 8 * v) for a in range(v)]
    planes += [(begins[v + c], chunks[v], 8 * down * (v * luma + c * colour), colour, 64 * (1 + c), 8) for c in range(2)]
    places = np.full(256, 64 * LANES, np.uint64)
    places[:64] = ZIGZAG * LANES
    fields = (np.array([header.height, header.width, h, v], np.uint64), header.restart, rgb,
              *(np.concatenate(t) for t in zip(*(tables(*kind) for kind in kinds), strict=True)),
              header.quantisers.reshape(-1), *(np.array(lines, np.uint64).reshape(-1) for lines in (blocks, planes)), places)
    return _Plan(raw, header.scan, fields, (int(begins[-1]), 8 * down * (v * luma + 2 * colour), 8 * luma + 64))
