"""Area resampling, compiled. Apart from its caller, as importing Numba takes half a second."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..compiled import compiled


@compiled
def area_means(px: npt.NDArray[np.uint8], left: int, top: int, u: float, v: float, scale: float,
               out: npt.NDArray[np.uint8]) -> None:
    """Fill `out` (n, n, 3) with means of `px` (h, w, 3) over squares of side `scale`; the first one's corner is (left + u, top + v)."""
    height, width = px.shape[0], px.shape[1]
    for i in range(out.shape[0]):
        y0, y1 = v + i * scale, v + (i + 1) * scale
        for j in range(out.shape[1]):
            x0, x1 = u + j * scale, u + (j + 1) * scale
            red = green = blue = weight = 0.0
            for r in range(int(np.floor(y0)), int(np.ceil(y1))):
                wy = min(y1, r + 1.0) - max(y0, float(r))
                rr = min(max(top + r, 0), height - 1)
                for c in range(int(np.floor(x0)), int(np.ceil(x1))):
                    w = wy * (min(x1, c + 1.0) - max(x0, float(c)))
                    cc = min(max(left + c, 0), width - 1)
                    red += w * px[rr, cc, 0]
                    green += w * px[rr, cc, 1]
                    blue += w * px[rr, cc, 2]
                    weight += w
            out[i, j, 0] = np.uint8(red / weight + 0.5)
            out[i, j, 1] = np.uint8(green / weight + 0.5)
            out[i, j, 2] = np.uint8(blue / weight + 0.5)
