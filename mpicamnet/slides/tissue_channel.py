"""What the tissue mask sees of each px, in one pass where NumPy takes a dozen. Apart from its caller, as importing Numba takes half a second."""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..compiled import compiled

_BLACK = 30  # a px whose three channels are all below: gaps between scanned strips, the background of fluorescence
_PADDING_WHITE = 250  # all three at or above: painted by the scanner's program; glass itself is 235 to 249 and belongs in the histogram
_NEARLY_WHITE = 235  # all three at or above: glass, whatever the threshold
_SATURATION = np.minimum((255 * np.arange(256) + np.arange(256)[:, None] // 2) // np.maximum(np.arange(256)[:, None], 1), 255).astype(np.uint8)


@compiled
def look(px: npt.NDArray[np.uint8], grey: bool, counts: npt.NDArray[np.int64]) -> Any:
    """Of RGB uint8 (h, w, 3), contiguous: the channel that is thresholded, uint8 (h, w), and what is never tissue, bool (h, w).

    The channel is HSV saturation, 0 to 255, rounded (looked up, as dividing takes three times as long), or Rec. 601 luma in 8-bit fractions. Adds it
    to `counts`, int64 (256,), without padding.
    """
    h, w = px.shape[:2]
    channel, never = np.empty(h * w, np.uint8), np.empty(h * w, np.bool_)
    flat = px.reshape(px.size)
    for i in range(h * w):  # flat, with unsigned indices: two thirds of the time
        k = np.uint64(i)
        at = np.uint64(3) * k
        r, g, b = np.int32(flat[at]), np.int32(flat[at + np.uint64(1)]), np.int32(flat[at + np.uint64(2)])
        high, low = max(r, g, b), min(r, g, b)
        black = high < _BLACK
        value = np.uint8((r * 77 + g * 150 + b * 29) >> 8) if grey else _SATURATION[np.uint64(high), np.uint64(high - low)]
        channel[k] = value
        never[k] = black or low >= _NEARLY_WHITE
        counts[np.uint64(value)] += not (black or low >= _PADDING_WHITE)
    return channel.reshape(h, w), never.reshape(h, w)
