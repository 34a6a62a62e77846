"""A slide, whatever its format: its size, its resolution, its pyramid levels, and its pixels as RGB.

`open_slide` picks the reader: the tiled-TIFF reader where it handles the file with certainty (it decodes tiles straight into the caller's
buffer), else OpenSlide. Both give the same pixels.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from ..errors import SlideError, UserError
from .record import SlideRecord

Pixels = npt.NDArray[np.uint8]
PLAUSIBLE_MPP = (0.05, 100.0)  # um per px: finer than any objective resolves, and coarser than any scanner's level 0


@dataclass(frozen=True)
class Level:
    """One pyramid level: its size and its file tiles' size in px of this level; `downsample` is level-0 px per px of this level."""
    width: int
    height: int
    downsample: float
    tile_width: int
    tile_height: int

    @property
    def tiles_across(self) -> int:
        return -(-self.width // self.tile_width)

    @property
    def tiles_down(self) -> int:
        return -(-self.height // self.tile_height)

    def column_row(self, x: int, y: int) -> tuple[int, int]:
        """The px of this level nearest to (x, y) of level 0.

        Nearest, not the one below: px k of a level with a broken downsample stands at round(k * downsample) on level 0, and must come back
        as k.
        """
        return math.floor(x / self.downsample + 0.5), math.floor(y / self.downsample + 0.5)


class Slide(Protocol):
    """An open slide (a context manager). `mpp`: um per px of level 0, None where unknown, `mpp_note` then says why."""
    path: Path
    name: str
    vendor: str
    width: int
    height: int
    mpp: float | None
    mpp_note: str
    magnification: float | None
    levels: tuple[Level, ...]

    def read(self, x: int, y: int, w: int, h: int, level: int = 0) -> Pixels:
        """RGB uint8 (h, w, 3) of w x h px of a level whose top-left px is the one nearest to (x, y) of level 0; white outside the slide.

        Raises SlideError where the level does not exist or a tile cannot be decoded.
        """

    def tile(self, level: int, column: int, row: int, out: Pixels | None = None) -> Pixels | None:
        """One decoded file tile, RGB uint8 (tile_height, tile_width, 3), in `out` where given; None: a missing tile, that is white.

        What of an edge tile lies beyond the level's width and height is undefined. Safe to call from several threads.
        """

    def level_of(self, index: int) -> Level:
        """The level of this index; raises SlideError where there is none."""

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...


def open_slide(path: str | Path, reader: str = "auto", mpp: float | None = None) -> Slide:
    """Open a slide file.

    Parameters
    ----------
    path : the file (of a DICOM or MIRAX slide: any one of its files that OpenSlide takes).
    reader : "auto", "tiff" or "openslide".
    mpp : um per px of level 0, instead of what the file says.

    Raises
    ------
    SlideError, naming the file: missing, no slide, truncated, or of a kind that the reader cannot read.
    """
    path = Path(path)
    if reader not in ("auto", "tiff", "openslide"):
        raise UserError(f"there is no reader `{reader}`", path, "it can be auto, tiff or openslide")
    try:
        with open(path, "rb") as f:
            head = f.read(4)
    except OSError as e:
        raise SlideError("the slide cannot be read", path, (e.strerror or str(e)).lower()) from None
    from . import openslide_reader, tiff
    vendor = openslide_reader.vendor_of(path)
    if reader == "tiff":
        return tiff.TiffSlide(path, vendor, mpp)
    # OpenSlide knows no big-endian TIFF; we read it as a generic one.
    if reader == "auto" and (vendor in tiff.VENDORS or (not vendor and head[:2] in (b"II", b"MM"))):
        slide = tiff.TiffSlide(path, vendor, mpp, certain_only=True)
        if not slide.refusal:
            return slide
        slide.close()
    return openslide_reader.OpenSlideSlide(path, mpp)


def open_record(record: SlideRecord, reader: str = "auto") -> Slide:
    """Open a slide of the catalogue: its copy on the node's own disk where there is one, under the slide's own name. Raises SlideError."""
    if record.copy is None:
        return open_slide(record.path, reader, record.mpp)
    try:
        slide = open_slide(record.copy, reader, record.mpp)
    except SlideError as e:
        raise SlideError(*(text.replace(record.copy, record.path) for text in (e.what, e.where, e.mend))) from None
    slide.path = Path(record.path)  # what it says of itself, and of its damages, is the same wherever it is read
    return slide


def level_of(levels: tuple[Level, ...], index: int, name: str) -> Level:
    """`levels[index]`; raises SlideError where there is no such level."""
    if not 0 <= index < len(levels):
        has = "it has 1 level, 0" if len(levels) == 1 else f"it has {len(levels)} levels, 0 to {len(levels) - 1}"
        raise SlideError(f"level {index} does not exist", name, has)
    return levels[index]


def agreed_mpp(x: float | None, y: float | None, override: float | None) -> tuple[float | None, str]:
    """One mpp from a file's two, or from the override; where the file's cannot be believed: None, and a note that says why."""
    if override is not None:
        return override, ""
    if x is None or y is None:
        return None, "the file does not say its resolution"
    low, high = PLAUSIBLE_MPP
    if not (low <= x <= high and low <= y <= high):
        return None, f"the file says {x:.6g} um per px, which is implausible"
    if abs(x - y) > 0.01 * max(x, y):
        return None, f"the file says {x:.6g} um per px across but {y:.6g} down"
    return (x + y) / 2, ""
