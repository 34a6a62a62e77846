"""A tiled, pyramidal BigTIFF written in one pass: tiles of every level go to the file as they are made, the directories follow at the end.

tifffile writes one level after the other, so that lower levels of a slide of 100,000 px would have to be kept or drawn twice; and its
`photometric="ycbcr"` stores RGB input unconverted under that name. Here tiles come as JPEG streams.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import BinaryIO

SHORT, LONG, RATIONAL, LONG8, ASCII = 3, 4, 5, 16, 2
FORMAT = {SHORT: "H", LONG: "I", RATIONAL: "I", LONG8: "Q"}


class PyramidWriter:
    """Takes JPEG tiles (YCbCr 4:2:0) of any level in any order; `finish` makes the file a slide.

    Parameters
    ----------
    file : open for writing and seeking
    levels : (width, height) of each level in px, the largest first
    tile : side of the tiles, px
    mpp : um per px of level 0
    """

    def __init__(self, file: BinaryIO, levels: list[tuple[int, int]], tile: int, mpp: float, description: str = ""):
        self.levels, self.tile, self.mpp, self.description = levels, tile, mpp, description
        self._file = file
        self._across = [-(-w // tile) for w, _ in levels]
        self._places = [[0] * (across * -(-h // tile)) for across, (_, h) in zip(self._across, levels, strict=True)]
        self._lengths = [[0] * len(p) for p in self._places]
        self._end = file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 0))

    def write(self, level: int, column: int, row: int, jpeg: bytes) -> None:
        index = row * self._across[level] + column
        self._places[level][index], self._lengths[level][index] = self._end, len(jpeg)
        self._end += self._file.write(jpeg)

    def finish(self) -> None:
        """Write the directories. Raises ValueError if a tile is missing."""
        if any(0 in lengths for lengths in self._lengths):
            raise ValueError("a tile was never written")
        self._pad()
        pointer = 8
        for level in range(len(self.levels)):
            place, next_pointer = self._directory(level)
            self._file.seek(pointer)
            self._file.write(struct.pack("<Q", place))
            self._file.seek(self._end)
            pointer = next_pointer

    def _directory(self, level: int) -> tuple[int, int]:
        """Write one directory; returns its place, and the place of its pointer to the next."""
        width, height = self.levels[level]
        density = Fraction(10_000 / (self.mpp * 2**level)).limit_denominator(100_000)  # px per cm
        resolution = [density.numerator, density.denominator]
        tags: list[tuple[int, int, list[int] | bytes]] = [
            (254, LONG, [int(level > 0)]),
            (256, LONG, [width]),
            (257, LONG, [height]),
            (258, SHORT, [8, 8, 8]),
            (259, SHORT, [7]),
            (262, SHORT, [6]),  # JPEG, YCbCr
            (277, SHORT, [3]),
            (282, RATIONAL, resolution),
            (283, RATIONAL, resolution),
            (284, SHORT, [1]),
            (296, SHORT, [3]),
            (322, LONG, [self.tile]),
            (323, LONG, [self.tile]),
            (324, LONG8, self._places[level]),
            (325, LONG, self._lengths[level]),
            (530, SHORT, [2, 2]),
            (532, RATIONAL, [0, 1, 255, 1, 128, 1, 255, 1, 128, 1, 255, 1]),
        ]
        if self.description and level == 0:
            tags.insert(6, (270, ASCII, self.description.encode("ascii") + b"\0"))
        entries = []
        for tag, kind, values in tags:
            data = values if isinstance(values, bytes) else struct.pack(f"<{len(values)}{FORMAT[kind]}", *values)
            if len(data) > 8:
                place = self._end
                self._end += self._file.write(data)
                self._pad()
                inline = struct.pack("<Q", place)
            else:
                inline = data.ljust(8, b"\0")
            entries.append(struct.pack("<HHQ", tag, kind, len(values) // (2 if kind == RATIONAL else 1)) + inline)
        start = self._end
        self._end += self._file.write(struct.pack("<Q", len(entries)) + b"".join(entries) + struct.pack("<Q", 0))
        return start, self._end - 8

    def _pad(self) -> None:
        self._end += self._file.write(b"\0" * (-self._end % 8))
