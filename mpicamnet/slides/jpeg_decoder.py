"""The JPEG tiles of a TIFF directory: by our kernels where a tile is baseline JPEG without fault, otherwise by libjpeg-turbo, which gives the same px."""
from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .jpeg_header import ZIGZAG, Header, header_of
from .slide import Pixels

_LOOKS, _TILES = 16, 16  # a new header takes 0.5 ms: where tiles bring their own tables, as optimised ones may, it is looked at in one tile of 16


class _Sizes(NamedTuple):
    """What a tile needs while it is decoded: numbers of items, and `pad`: bytes beyond the stream."""
    coefficients: int
    work: int
    samples: int
    line: int
    pad: int


@dataclass(frozen=True)
class _Plan:
    """How tiles that begin with these bytes are decoded: what jpeg_tile.decode takes between the stream and its room; and how large that is."""
    header: bytes
    fields: tuple[Any, ...]
    room: _Sizes
    decode: Callable[..., bool]


class _Room:
    """Arrays of such sizes."""

    def __init__(self, sizes: _Sizes, stream: int):
        self.sizes, self.most = sizes, stream
        self.arrays = (np.empty(stream + sizes.pad, np.uint8), np.empty(sizes.coefficients, np.int16), np.empty(sizes.work, np.int16),
                       np.empty(sizes.samples, np.uint32), np.empty(2 * sizes.line, np.uint16), np.empty(2 * sizes.line, np.uint8))


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
        self._looks = self._tiles = 0  # headers that were looked at, of so many tiles
        self._rooms: list[_Room] = []

    def __call__(self, data: bytes, out: Pixels | None = None) -> Pixels:
        """The tile's px, in `out` if given. Raises what imagecodecs.jpeg8_decode does."""
        px = self.own(data, out)
        if px is None:
            px = self._other(data, tables=self._tables, colorspace="RGB" if self._rgb else "YCBCR", outcolorspace="RGB", out=out)
        return px

    def own(self, data: bytes, out: Pixels | None = None) -> Pixels | None:
        """The tile's px by our kernels; None where they decline it, and `out` may then hold anything."""
        plan = self._plan
        self._tiles += 1
        if plan is None or not data.startswith(plan.header):
            if self._looks > _LOOKS + self._tiles // _TILES:
                return None
            self._looks += 1
            plan = self._planned(data)
            if plan is None:
                return None
            self._plan = plan
        if out is None:
            out = np.empty(self._shape, np.uint8)
        elif out.shape != self._shape or out.dtype != np.uint8 or not out.flags.carray:
            return None
        room = self._room(plan.room, len(data))
        done = plan.decode(np.frombuffer(data, np.uint8), *plan.fields, *room.arrays, out.reshape(-1))
        self._rooms.append(room)
        return out if done else None

    def _planned(self, data: bytes) -> _Plan | None:
        if platform.machine() != "x86_64":  # elsewhere libjpeg-turbo's instructions make other px of damage, and ours were never timed
            return None
        header = header_of(data, self._tables)
        if header is None or (header.height, header.width, 3) != self._shape or min(self._shape[:2]) < 8:
            return None
        return _plan_of(header, data[:header.scan], self._rgb)

    def _room(self, sizes: _Sizes, stream: int) -> _Room:
        """Room that no other thread has; it is kept from tile to tile."""
        try:
            room = self._rooms.pop()
        except IndexError:
            room = None
        if room is None or room.most < stream or room.sizes != sizes:
            room = _Room(sizes, stream + stream // 4)
        return room


def load_kernels() -> None:
    """Load the kernels, which the first tile of a process would do: 0.13 s."""
    import imagecodecs
    white = np.full((16, 16, 3), 255, np.uint8)
    JpegDecoder(white.shape, None, False).own(bytes(imagecodecs.jpeg8_encode(white)))


def _plan_of(header: Header, raw: bytes, rgb: bool) -> _Plan:
    """Where everything lies; see jpeg_tile.decode."""
    from .jpeg_codes import BITS, tables
    from .jpeg_dct import CHUNK, LANES
    from .jpeg_scan import PAD
    from .jpeg_tile import decode
    h, v = header.sampling
    across = -(-header.width // (8 * h))
    chunks = [-(-across * h // LANES)] * v + [-(-across // LANES)] * 2
    begins = np.cumsum([0, *chunks]) * CHUNK  # of the rows of blocks of an MCU row: luma's, Cb, Cr
    kinds = list(dict.fromkeys(zip(header.dc, header.ac, strict=True)))  # mostly luma's tables, and those of both colours
    table = [kinds.index(kind) << BITS for kind in zip(header.dc, header.ac, strict=True)]
    blocks = [(begins[a], h, b, table[0], 0, table[0]) for a in range(v) for b in range(h)]
    blocks[-1] = (*blocks[-1][:5], table[1])
    blocks += [(begins[v + c], 1, 0, table[1 + c], 1 + c, table[(2 + c) % 3]) for c in range(2)]
    luma, colour = chunks[0] * LANES, chunks[v] * LANES  # strides, of eight samples
    planes = [(begins[a], chunks[0], a * 8 * luma, luma, 0, 8 * v) for a in range(v)]
    planes += [(begins[v + c], chunks[v], 16 * (v * luma + c * colour), colour, 64 * (1 + c), 8) for c in range(2)]
    places = np.full(256, 64 * LANES, np.uint64)
    places[:64] = ZIGZAG * LANES
    fields = (header.scan, np.array([header.height, header.width, h, v], np.uint64), header.restart, rgb,
              *(np.concatenate(t) for t in zip(*(tables(*kind) for kind in kinds), strict=True)),
              header.quantisers.reshape(-1), *(np.array(lines, np.uint64).reshape(-1) for lines in (blocks, planes)), places)
    sizes = _Sizes(int(begins[-1]), 64 * LANES, 32 * (v * luma + 2 * colour), 8 * luma + 64, PAD)
    return _Plan(raw, fields, sizes, decode)
