"""Pictures inside the page: made smaller until they fit their share of its size, as WebP in a data URI."""
from __future__ import annotations

import base64
import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

QUALITIES = (85, 60)
LEAST = 96  # px of the longer side


@dataclass(frozen=True)
class Picture:
    """A WebP file, and its size in px."""

    webp: bytes
    width: int
    height: int

    @property
    def uri(self) -> str:
        return "data:image/webp;base64," + base64.b64encode(self.webp).decode("ascii")


def photograph(px: npt.NDArray[np.uint8], most: int, side: int) -> Picture:
    """RGB uint8 (h, w, 3) in at most `most` bytes, its longer side at most `side` px.

    Where it cannot be made to fit, `LEAST` px: a page is rather too large than without a picture.
    """
    return _fitting(Image.fromarray(px), most, side)


def drawing(path: Path, most: int, side: int) -> Picture:
    """A figure from a file, as `photograph`, but kept without loss where that may fit: lines and letters stay sharp."""
    with Image.open(path) as file:
        image = file.convert("RGB")
    if path.stat().st_size <= 2 * most:  # lossless WebP halves a PNG at best, and takes its time
        exact = _encoded(_shrunk(image, side), None)
        if len(exact.webp) <= most:
            return exact
    return _fitting(image, most, side)


def _fitting(image: Image.Image, most: int, side: int) -> Picture:
    """Full size in the best quality that fits; else as many px as bytes allow, which go about as the px do."""
    side = min(side, max(image.size))
    for quality in QUALITIES:
        picture = _encoded(_shrunk(image, side), quality)
        if len(picture.webp) <= most:
            return picture
    while side > LEAST and len(picture.webp) > most:
        side = max(LEAST, int(side * min(0.95, 0.97 * math.sqrt(most / len(picture.webp)))))
        picture = _encoded(_shrunk(image, side), QUALITIES[-1])
    return picture


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
