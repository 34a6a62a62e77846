"""Tiled TIFF slides (generic, Aperio SVS, Philips), decoded tile by tile: the program's hot path.

A tile costs one `pread` and one call of the codec, which writes into the caller's buffer with the GIL released. Pixels are those of
OpenSlide: those of libjpeg-turbo's accurate DCT and fancy upsampling, which our own kernels (jpeg_decoder.py) give, too.
"""
from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from ..errors import SlideError
from . import codecs, ifd
from .codecs import Decode
from .pyramid import pyramid_of
from .slide import Level, Pixels, agreed_mpp, level_of

VENDORS = ("generic-tiff", "aperio", "philips")  # OpenSlide's names of the formats whose rules we know


@dataclass(frozen=True)
class _Tiles:
    """Where a level's tiles lie, row by row, and how they are decoded. Lists, as an int of an array is much slower to get at."""
    across: int
    down: int
    offsets: list[int]
    counts: list[int]
    shape: tuple[int, int, int]
    decode: Decode


class TiffSlide:
    """A tiled TIFF slide; see `Slide`.

    `certain_only`: a file that we may not read as OpenSlide does is no error, `refusal` says why, and the slide is of no use.
    """

    def __init__(self, path: Path, vendor: str, mpp: float | None = None, certain_only: bool = False):
        self.path, self.name, self.vendor = path, path.stem, vendor or "generic-tiff"
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.refusal = ""
        try:
            if vendor and vendor not in VENDORS:
                raise SlideError(f"the tiff reader does not read {vendor} slides", path, "set data.reader to auto or openslide")
            self._open(mpp, certain_only)
        except BaseException:
            self.close()
            raise

    def _open(self, mpp: float | None, certain_only: bool) -> None:
        size = os.fstat(self._fd).st_size
        pyramid = pyramid_of(ifd.read_directories(self._fd, self.path), self.vendor, self.path)
        self.levels: tuple[Level, ...] = pyramid.levels
        self.width, self.height = self.levels[0].width, self.levels[0].height
        self.mpp, self.mpp_note = agreed_mpp(pyramid.mpp_x, pyramid.mpp_y, mpp)
        self.magnification = pyramid.magnification
        self._tiles: list[_Tiles] = []
        for index, d in enumerate(pyramid.directories):
            across, down = d.tiles_across, d.tiles_down
            offsets, counts = (_whole(d, tag, across * down, self.path) for tag in (ifd.TILE_OFFSETS, ifd.TILE_COUNTS))
            counts = np.where(offsets == 0, 0, counts)
            last = int((offsets + counts).max())
            if last > size:
                raise SlideError("the file is truncated", self.path,
                                 f"level {index} needs byte {last:,}, but it ends at {size:,}: copy it again")
            self.refusal = self.refusal or self._refusal(d, index, offsets, counts)
            if self.refusal:
                if certain_only:
                    return
                raise SlideError(self.refusal, self.path, "set data.reader to auto or openslide")
            shape = (d.number(ifd.TILE_HEIGHT), d.number(ifd.TILE_WIDTH), 3)
            self._tiles.append(_Tiles(across, down, offsets.tolist(), counts.tolist(), shape, codecs.decoder(d)))

    def _refusal(self, d: ifd.Directory, index: int, offsets: np.typing.NDArray[np.int64], counts: np.typing.NDArray[np.int64]) -> str:
        reason = codecs.refusal(d, self.vendor)
        if not reason and self.vendor == "aperio" and not counts.all():
            # OpenSlide paints such a tile, and those above it in the pyramid, from the next finer level.
            return "a missing tile in an Aperio slide"
        j2k = not reason and d.number(ifd.COMPRESSION) in (codecs.J2K_RGB, codecs.J2K_YCBCR)
        if j2k and codecs.subsampled(os.pread(self._fd, 64, int(offsets[0]))):
            return "JPEG 2000 with subsampled colours"
        return reason

    def tile(self, level: int, column: int, row: int, out: Pixels | None = None) -> Pixels | None:
        """See `Slide.tile`; a tile beyond the level's edge is None, too."""
        t = self._tiles[level]
        if not (0 <= column < t.across and 0 <= row < t.down):
            return None
        k = row * t.across + column
        count = t.counts[k]
        if not count:
            return None
        try:
            px = t.decode(os.pread(self._fd, count, t.offsets[k]), out=out)
        except (RuntimeError, ValueError, OSError) as e:
            raise self._bad_tile(level, column, row, str(e)) from None
        if px.shape != t.shape:
            raise self._bad_tile(level, column, row, f"it is {px.shape[1]} x {px.shape[0]} px")
        return px

    def read(self, x: int, y: int, w: int, h: int, level: int = 0) -> Pixels:
        """See `Slide.read`."""
        lv = self.level_of(level)
        left, top = lv.column_row(x, y)
        px = np.empty((h, w, 3), np.uint8)
        x0, x1 = max(left, 0), min(left + w, lv.width)
        y0, y1 = max(top, 0), min(top + h, lv.height)
        if x1 - x0 < w or y1 - y0 < h:
            px[...] = 255
        if x0 >= x1 or y0 >= y1:
            return px
        tw, th = lv.tile_width, lv.tile_height
        buffer = np.empty((th, tw, 3), np.uint8)
        for row in range(y0 // th, -(-y1 // th)):
            a, b = max(y0, row * th), min(y1, (row + 1) * th)
            for column in range(x0 // tw, -(-x1 // tw)):
                tile = self.tile(level, column, row, buffer)
                c, d = max(x0, column * tw), min(x1, (column + 1) * tw)
                px[a - top:b - top, c - left:d - left] = 255 if tile is None else tile[a - row * th:b - row * th, c - column * tw:d - column * tw]
        return px

    def level_of(self, index: int) -> Level:
        """See `Slide.level_of`."""
        return level_of(self.levels, index, self.name)

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _bad_tile(self, level: int, column: int, row: int, why: str) -> SlideError:
        what = f"tile {column}, {row} of level {level} cannot be decoded"
        return SlideError(what, self.path, f"{why or 'bad data'}: copy the file again")


def _whole(d: ifd.Directory, tag: int, tiles: int, path: Path) -> np.typing.NDArray[np.int64]:
    values = d.tags.get(tag)
    if values is None or len(values) < tiles:
        listed = 0 if values is None else len(values)
        raise SlideError(f"TIFF directory {d.index} lists {listed:,} tiles of {tiles:,}", path, "the file is damaged: copy it again")
    whole: np.typing.NDArray[np.int64] = values[:tiles]
    return whole
