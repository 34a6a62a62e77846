"""A patch as JPEG, as `extract.storage: jpeg` keeps it."""
from __future__ import annotations

import imagecodecs
import numpy as np
import numpy.typing as npt


def encoded(patch: npt.NDArray[np.uint8], quality: int) -> bytes:
    """RGB uint8 (p, p, 3) as a JPEG of YCbCr, 4:2:0."""
    return bytes(imagecodecs.jpeg8_encode(patch, level=quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="420"))
