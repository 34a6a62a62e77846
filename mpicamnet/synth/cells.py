"""Which cells live where, and what their nuclei look like.

Sizes follow the textbooks: lymphocytes are round and dark, 6 to 8 um; cells of germinal centres and histiocytes are paler and somewhat
larger; spindle cells lie along the fibres; tumour nuclei are 10 to 16 um, irregular, with clumped chromatin and one or two nucleoli, in
broad cytoplasm.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import math

import numpy as np

from .noise import hashed, kernel, noise_at, unit

MADE_OF = ("noise.py", "47a7b660cf94")
MARGIN_UM = 24.0  # no cell reaches further than this from its place
SMALL, LARGE = 20, 21  # layers of places
SMALL_UM, LARGE_UM = 7.4, 15.0  # distance of places for small cells, and for tumour cells

TUMOR, SPINDLE, INFILTRATE, PALE, LYMPHOCYTE, SPARSE = range(6)
# Half axis (um) from, to; breadth / length from, to; haematoxylin from, to; how often a place is taken; roughness of the outline.
CELLS = np.array(
    [
        [5.2, 8.0, 0.68, 0.95, 1.3, 2.6, 0.94, 0.60],
        [4.5, 8.0, 0.22, 0.28, 1.5, 2.3, 0.30, 0.15],
        [2.9, 3.6, 0.85, 1.00, 2.1, 2.8, 0.045, 0.20],
        [3.6, 4.9, 0.65, 0.95, 1.3, 2.2, 0.62, 0.30],
        [2.9, 3.8, 0.82, 1.00, 1.8, 2.8, 0.92, 0.25],
        [2.9, 3.8, 0.82, 1.00, 1.8, 2.8, 0.62, 0.25],
    ],
    np.float32,
)
# The inside paler than the rim by at least, by at most; reach of the cytoplasm in radii; most nucleoli.
INSIDE = np.array(
    [[0.25, 0.95, 2.6, 2.9], [0, 0, 0, 0], [0, 0, 0, 0], [0.45, 0.65, 0, 1.0], [0.05, 0.20, 0, 0], [0.05, 0.20, 0, 0]], np.float32
)
FIBROUS = 0.045  # half width of septa and trabeculae, in units of their noise
FOLLICLE, THIN = 0.62, 0.32  # noise above this: germinal centre; below this: fewer lymphocytes


@kernel
def kind(size, sick, fibrous, follicle):
    """Which cell lives at a place of the small (0) or large (1) grid; -1: none."""
    if size == 1:
        return TUMOR if sick and not fibrous else -1
    if fibrous:
        return SPINDLE
    if sick:
        return INFILTRATE
    return PALE if follicle > FOLLICLE else SPARSE if follicle < THIN else LYMPHOCYTE


@kernel
def zone(seed, layer, variant, x, y, n, n_fine, period):
    """The noise of a layer and of the finer one after it, as the fields of `texture` hold it."""
    return 0.75 * noise_at(seed, layer, variant, x, y, n, period) + 0.25 * noise_at(seed, layer + 1, variant, x, y, n_fine, period)


@kernel
def nucleus(h, near, second, wave, chromatin, cx, cy, a, b, angle, dark, rough, vesicle, body, nucleoli, soft, key):
    """Draw one cell at (cx, cy) px of the tile with half axes a, b px.

    `h` (t, t) takes its haematoxylin; `near` and `second` the distances, in radii, of a px from the two nearest cells (cells meet where
    they are equal).
    """
    reach = max(a, b) * max(1 + rough, body) + 2
    ca, sa = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    ia, ib = 1 / a, 1 / b
    sharp = min(a, b) / soft
    n1x, n1y, n2x, n2y = (
        (unit(key, 11) - 0.5) * a * 0.8,
        (unit(key, 12) - 0.5) * b * 0.8,
        (unit(key, 13) - 0.5) * a * 1.1,
        (unit(key, 14) - 0.5) * b * 1.1,
    )
    spot_size = 1 / max(0.035 * a * b, 1.2)
    for y in range(max(int(cy - reach), 0), min(int(cy + reach) + 1, h.shape[0])):
        for x in range(max(int(cx - reach), 0), min(int(cx + reach) + 1, h.shape[1])):
            dx, dy = np.float32(x - cx), np.float32(y - cy)
            u, v = dx * ca + dy * sa, dy * ca - dx * sa
            q = math.sqrt(u * u * ia * ia + v * v * ib * ib) + rough * (wave[y, x] - 0.5)
            if q < body:
                if q < near[y, x]:
                    second[y, x], near[y, x] = near[y, x], q
                elif q < second[y, x]:
                    second[y, x] = q
            cover = min((1 - q) * sharp + 0.5, 1.0)
            if cover <= 0:
                continue
            clump = chromatin[y, x]
            value = 0.55 + 0.9 * clump
            if vesicle > 0:
                rim = max(0.0, 1 - abs(q - 0.88) * 6)
                value = (1 - vesicle) * value + vesicle * (0.02 + 0.95 * clump + 0.35 * rim)
            if nucleoli >= 1:
                spot = 1 - ((u - n1x) ** 2 + (v - n1y) ** 2) * spot_size
                if nucleoli >= 2:
                    spot = max(spot, 1 - ((u - n2x) ** 2 + (v - n2y) ** 2) * spot_size * 1.7)
                value += 0.9 * vesicle * min(max(spot, 0.0) * 1.5, 1.0)
            value *= dark * cover
            old = h[y, x]
            h[y, x] = max(old, value) + 0.25 * min(old, value)


@kernel
def place_cells(
    h, near, second, wave, chromatin, x0, y0, mpp, period, size, n, septa, follicle, seed, variant, tissue, tumor, margin, fibre
):
    """Draw the cells of one size (0 small, 1 large) of the tile at (x0, y0); n places per period; `septa`, `follicle`: (layer, n, n_fine)
    of zones."""
    t = h.shape[0]
    step = period / n
    rim = math.ceil(margin / step)
    soft = max(1.6 / mpp, 1.5)
    for j in range(math.floor((y0 - margin) / step), math.floor((y0 + t + margin) / step) + 1):
        for i in range(math.floor((x0 - margin) / step), math.floor((x0 + t + margin) / step) + 1):
            which, ki, kj = variant, i, j
            left = right = top = bottom = False
            if variant >= 0:  # a mosaic: places that reach over a square's border are the same in all squares
                ki, kj = i % n, j % n
                left, right, top, bottom = ki < rim, ki >= n - rim, kj < rim, kj >= n - rim
                if left or right or top or bottom:
                    which = 0
            key = hashed(seed, SMALL + size, which, ki, kj)
            gx, gy = (i + 0.5 + (unit(key, 1) - 0.5) * 0.75) * step, (j + 0.5 + (unit(key, 2) - 0.5) * 0.75) * step
            mx, my = math.floor(gx - x0) + margin, math.floor(gy - y0) + margin
            if mx < 0 or my < 0 or mx >= tissue.shape[1] or my >= tissue.shape[0] or tissue[my, mx] == 0:
                continue
            # ... and so is the zone that they see: that of the nearest point on the border.
            zx = (i - ki) * step if left else (i - ki) * step + period if right else gx
            zy = (j - kj) * step if top else (j - kj) * step + period if bottom else gy
            fibrous = abs(zone(seed, septa[0], variant, zx, zy, septa[1], septa[2], period) - 0.5) < FIBROUS
            k = kind(size, tumor[my, mx] != 0, fibrous, zone(seed, follicle[0], variant, zx, zy, follicle[1], follicle[2], period))
            if k < 0 or unit(key, 3) > CELLS[k, 6]:
                continue
            a = (CELLS[k, 0] + (CELLS[k, 1] - CELLS[k, 0]) * unit(key, 4)) / mpp
            b = a * (CELLS[k, 2] + (CELLS[k, 3] - CELLS[k, 2]) * unit(key, 7))
            dark = CELLS[k, 4] + (CELLS[k, 5] - CELLS[k, 4]) * unit(key, 6)
            vesicle = INSIDE[k, 0] + (INSIDE[k, 1] - INSIDE[k, 0]) * unit(key, 8)
            angle = fibre + unit(key, 5) - 0.5 if k == SPINDLE else math.pi * unit(key, 5)
            nucleus(
                h,
                near,
                second,
                wave if k == TUMOR else chromatin,
                chromatin,
                gx - x0,
                gy - y0,
                np.float32(a),
                np.float32(b),
                angle,
                dark,
                CELLS[k, 7],
                vesicle,
                INSIDE[k, 2],
                int(INSIDE[k, 3] * (0.5 + 0.5 * unit(key, 9))),
                np.float32(soft),
                key,
            )
