"""Slides through OpenSlide: for every format that the tiled-TIFF reader leaves (NDPI, MIRAX, DICOM, Leica, Ventana, ...).

OpenSlide's C function is called directly: openslide-python makes a PIL image of every region, in three more copies.
"""
from __future__ import annotations

import ctypes
import re
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from ..errors import SlideError
from .codecs import compression_name
from .slide import Level, Pixels, agreed_mpp, level_of

_LEAST_TILE = 64  # px: NDPI "tiles" are strips 8 px high; as many calls would cost more than the decoding
_OWN_TILE = 512


def vendor_of(path: Path) -> str:
    """OpenSlide's name of the format (`generic-tiff`, `aperio`, `dicom`, ...), "" where it is none of its formats. Reads a few kB."""
    from openslide import lowlevel
    return lowlevel.detect_vendor(str(path)) or ""


class OpenSlideSlide:
    """A slide read by OpenSlide; see `Slide`. After one bad tile OpenSlide refuses all others: open the slide anew to go on."""

    def __init__(self, path: Path, mpp: float | None = None):
        import openslide

        from .argb import rgb_on_white
        self.path, self.name = path, path.stem
        self._rgb_on_white = rgb_on_white
        try:
            self._slide = openslide.OpenSlide(path)
        except openslide.OpenSlideUnsupportedFormatError:
            raise SlideError("this is not a slide", path, "OpenSlide knows no format like it") from None
        except openslide.OpenSlideError as e:
            raise SlideError(*_in_words(str(e), path)) from None
        self._handle: Any = self._slide._osr
        self._argb = np.empty((0, 0), np.uint32)  # kept: memory fresh from the system is 1 % slower
        self._error = openslide.OpenSlideError
        p = self._slide.properties
        self.vendor = p["openslide.vendor"]
        sizes = [(int(p.get(f"openslide.level[{i}].tile-width") or 0), int(p.get(f"openslide.level[{i}].tile-height") or 0))
                 for i in range(self._slide.level_count)]
        own = [min(size) < _LEAST_TILE for size in sizes]
        self.levels = tuple(
            Level(w, h, float(d), *((_OWN_TILE, _OWN_TILE) if o else size)) for (w, h), d, size, o in
            zip(self._slide.level_dimensions, self._slide.level_downsamples, sizes, own, strict=True))
        if not any(own):
            # Tiles are asked for as they lie in the file, each once: OpenSlide's cache of 32 MiB would only push px out of the processor's (3 % of time).
            self._slide.set_cache(openslide.OpenSlideCache(0))
        self.width, self.height = self.levels[0].width, self.levels[0].height
        self.mpp, self.mpp_note = agreed_mpp(_number(p.get("openslide.mpp-x")), _number(p.get("openslide.mpp-y")), mpp)
        self.magnification = _number(p.get("openslide.objective-power"))

    def tile(self, level: int, column: int, row: int, out: Pixels | None = None) -> Pixels | None:
        """See `Slide.tile`; here a missing tile is not told from a white one. A tile beyond the level's edge is None."""
        lv = self.levels[level]
        if not (0 <= column < lv.tiles_across and 0 <= row < lv.tiles_down):
            return None
        if out is None:
            out = np.empty((lv.tile_height, lv.tile_width, 3), np.uint8)
        x, y = round(column * lv.tile_width * lv.downsample), round(row * lv.tile_height * lv.downsample)
        self._read(x, y, level, out, f"tile {column}, {row}")
        return out

    def read(self, x: int, y: int, w: int, h: int, level: int = 0) -> Pixels:
        """See `Slide.read`. Where a level's downsample is no whole number, OpenSlide interpolates between px (by less than half a px)."""
        lv = self.level_of(level)
        left, top = lv.column_row(x, y)
        out = np.full((h, w, 3), 255, np.uint8)
        # Only what lies inside: left of and above the slide OpenSlide rounds the offset to whole px, and the picture would shift.
        x0, y0, x1, y1 = max(left, 0), max(top, 0), min(left + w, lv.width), min(top + h, lv.height)
        if x0 < x1 and y0 < y1:
            inside = out[y0 - top:y1 - top, x0 - left:x1 - left]
            self._read(round(x0 * lv.downsample), round(y0 * lv.downsample), level, inside, f"the area at {x}, {y}")
        return out

    def _read(self, x: int, y: int, level: int, out: Pixels, what: str) -> None:
        from openslide import lowlevel
        h, w = out.shape[:2]
        if self._argb.shape != (h, w):
            self._argb = np.empty((h, w), np.uint32)
        try:
            lowlevel._read_region(self._handle, self._argb.ctypes.data_as(ctypes.POINTER(ctypes.c_uint32)), x, y, level, w, h)
        except self._error as e:
            raise SlideError(f"{what} of level {level} cannot be decoded", self.path, str(e)) from None
        rgb = out if out.flags.c_contiguous else np.empty(out.shape, np.uint8)
        self._rgb_on_white(self._argb, rgb)
        if rgb is not out:
            out[...] = rgb

    def level_of(self, index: int) -> Level:
        """See `Slide.level_of`."""
        return level_of(self.levels, index, self.name)

    def close(self) -> None:
        """Close the file; harmless when it is closed."""
        self._slide.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def _in_words(error: str, path: Path) -> tuple[str, Path, str]:
    """OpenSlide's error as what, where, how to mend."""
    compression = re.search(r"compression: (\d+)", error)
    if compression:
        name = compression_name(int(compression[1]))
        return f"unsupported compression {name}", path, "convert it to JPEG tiles, e.g. vips tiffsave --tile --pyramid --compression jpeg"
    return "the slide cannot be opened", path, error


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None
