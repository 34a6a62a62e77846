"""OpenSlide's px to RGB: one pass, GIL released. Apart from its caller, as importing Numba takes half a second."""
from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt


@numba.njit(nogil=True, cache=True)
def rgb_on_white(argb: npt.NDArray[np.uint32], out: npt.NDArray[np.uint8]) -> None:
    """Lay premultiplied ARGB uint32 (h, w) over white, into RGB uint8 (h, w, 3)."""
    for i in range(argb.shape[0]):
        for j in range(argb.shape[1]):
            v = argb[i, j]
            rest = np.uint32(255) - (v >> np.uint32(24))
            out[i, j, 0] = ((v >> np.uint32(16)) & np.uint32(255)) + rest
            out[i, j, 1] = ((v >> np.uint32(8)) & np.uint32(255)) + rest
            out[i, j, 2] = (v & np.uint32(255)) + rest
