"""Pictures inside the page: made smaller until they fit their share of its size, as WebP in a data URI."""
from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

QUALITIES = (85, 70, 50)


@dataclass(frozen=True)
class Picture:
    """A WebP file, and its size in px."""

    webp: bytes
    width: int
    height: int

    @property
    def uri(self) -> str:
        return "data:image/webp;base64," + base64.b64encode(self.webp).decode("ascii")


def photograph(px: npt.NDArray[np.uint8], most: int, sides: Sequence[int]) -> Picture:
    """RGB uint8 (h, w, 3) in at most `most` bytes: the largest of `sides` (px of the longer side) and the best quality that fit.

    Where nothing fits, the smallest: a page is rather too large than without a picture.
    """
    return _fitting(Image.fromarray(px), most, sides, QUALITIES)


def drawing(path: Path, most: int, sides: Sequence[int]) -> Picture:
    """A figure from a file, as `photograph`, but kept without loss where that may fit: lines and letters stay sharp."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    if path.stat().st_size <= 2 * most:  # lossless WebP halves a PNG at best, and takes its time
        exact = _encoded(_shrunk(image, sides[0]), None)
        if len(exact.webp) <= most:
            return exact
    return _fitting(image, most, sides, QUALITIES)


def _fitting(image: Image.Image, most: int, sides: Sequence[int], qualities: Sequence[int]) -> Picture:
    last: Picture | None = None
    for side in sides:
        small = _shrunk(image, side)
        for quality in qualities:
            last = _encoded(small, quality)
            if len(last.webp) <= most:
                return last
    assert last is not None
    return last


def _shrunk(image: Image.Image, side: int) -> Image.Image:
    """At most `side` px on the longer side; never made larger."""
    factor = side / max(image.size)
    if factor >= 1:
        return image
    return image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), Image.Resampling.LANCZOS)


def _encoded(image: Image.Image, quality: int | None) -> Picture:
    out = io.BytesIO()
    if quality is None:
        image.save(out, "WEBP", lossless=True, method=4)
    else:
        image.save(out, "WEBP", quality=quality, method=4)
    return Picture(out.getvalue(), image.width, image.height)
