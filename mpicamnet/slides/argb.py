"""OpenSlide's px to RGB: one pass, GIL released. Apart from its caller, as importing Numba takes half a second."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..compiled import compiled


@compiled
def rgb_on_white(argb: npt.NDArray[np.uint32], out: npt.NDArray[np.uint8]) -> None:
    """Lay premultiplied ARGB uint32 (h, w) over white, into RGB uint8 (h, w, 3), both contiguous.

    Flat, with unsigned indices: a third of the time, as this becomes vector instructions.
    """
    source, target = argb.reshape(argb.size), out.reshape(out.size)
    for i in range(source.shape[0]):
        k = np.uint64(i)
        to = np.uint64(3) * k
        v = source[k]
        rest = np.uint8(255) - np.uint8(v >> np.uint32(24))
        target[to] = np.uint8(v >> np.uint32(16)) + rest
        target[to + np.uint64(1)] = np.uint8(v >> np.uint32(8)) + rest
        target[to + np.uint64(2)] = np.uint8(v) + rest
