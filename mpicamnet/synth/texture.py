"""What tissue looks like: kernels that draw concentrations of haematoxylin and eosin into a tile.

Everything random is a hash of (seed, layer, place), never a stream, so that a tile comes out the same whenever it is drawn, and neighbours
fit together. Places are nodes of grids that divide a square of `period` px. With a `variant` >= 0 the slide is a mosaic: what lies within reach of a
square's border is the same in every square, what lies further inside depends on the variant, so that any two squares fit side by side.
"""
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

from .stain import MOST_E, MOST_H

F = TypeVar("F", bound=Callable[..., Any])


def kernel(f: F) -> F:
    return cast(F, njit(nogil=True, cache=True, error_model="numpy")(f))


MARGIN_UM = 24.0  # nothing that is drawn reaches further than this from where it is placed
A, B, C = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S40 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(40)
UNIT = np.float32(2.0**-24)
TO_H, TO_E = np.float32(511 / MOST_H), np.float32(255 / MOST_E)
# Layers of noise, and the size of their grid in um.
SEPTA, SEPTA_FINE, FOLLICLE, FOLLICLE_FINE, MOTTLE, CLEFT, WAVE, GRAIN, CHROMATIN = range(9)
SCALE_UM = (150.0, 40.0, 220.0, 60.0, 18.0, 9.0, 50.0, 0.9, 1.9)
SMALL_UM, LARGE_UM = 7.4, 15.0  # grids that small cells (lymphocytes, spindle cells) and tumour cells stand on
SMALL, LARGE, PIXEL = 20, 21, 22


@kernel
def mixed(z):  # type: ignore[no-untyped-def]  # SplitMix64's finaliser (Steele, Lea & Flood 2014)
    z = (z ^ (z >> S30)) * B
    z = (z ^ (z >> S27)) * C
    return z ^ (z >> S31)


@kernel
def hashed(seed, layer, variant, i, j):  # type: ignore[no-untyped-def]
    z = mixed(np.uint64(seed) + np.uint64(layer * 4096 + variant + 1) * A)
    return mixed(z + np.uint64(i) * B + np.uint64(j) * C)


@kernel
def unit(key, k):  # type: ignore[no-untyped-def]  # the key's k-th number in [0, 1)
    return np.float32(mixed(key + np.uint64(k + 1) * A) >> S40) * UNIT


@kernel
def node(seed, layer, variant, i, j, n):  # type: ignore[no-untyped-def]
    """The value of node (i, j) of a grid with n nodes per period, in [0, 1)."""
    if variant >= 0:
        i, j = i % n, j % n
        if i == 0 or j == 0:
            variant = 0
    return np.float32(hashed(seed, layer, variant, i, j) >> S40) * UNIT


@kernel
def noise_at(seed, layer, variant, x, y, n, period):  # type: ignore[no-untyped-def]
    """Value noise at one point, in [0, 1)."""
    u, v = x * n / period, y * n / period
    i, j = int(math.floor(u)), int(math.floor(v))
    fu, fv = np.float32(u - i), np.float32(v - j)
    fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
    top = node(seed, layer, variant, i, j, n) * (1 - fu) + node(seed, layer, variant, i + 1, j, n) * fu
    low = node(seed, layer, variant, i, j + 1, n) * (1 - fu) + node(seed, layer, variant, i + 1, j + 1, n) * fu
    return top * (1 - fv) + low * fv


@kernel
def add_noise(out, weight, seed, layer, variant, x0, y0, n, period):  # type: ignore[no-untyped-def]
    """Add `weight` times value noise to `out` (h, w) float32, whose first px lies at (x0, y0)."""
    h, w = out.shape
    step = period / n
    i0, j0 = int(math.floor(x0 / step)), int(math.floor(y0 / step))
    across, down = int(math.floor((x0 + w) / step)) - i0 + 2, int(math.floor((y0 + h) / step)) - j0 + 2
    nodes = np.empty((down, across), np.float32)
    for b in range(down):
        for a in range(across):
            nodes[b, a] = node(seed, layer, variant, i0 + a, j0 + b, n)
    place = np.empty(w, np.int32)
    share = np.empty(w, np.float32)
    for x in range(w):
        u = (x0 + x + 0.5) / step - i0
        place[x] = int(u)
        f = np.float32(u - place[x])
        share[x] = f * f * (3 - 2 * f)
    row = np.empty(across, np.float32)
    for y in range(h):
        v = (y0 + y + 0.5) / step - j0
        b = int(v)
        f = np.float32(v - b)
        f = f * f * (3 - 2 * f)
        for a in range(across):
            row[a] = (nodes[b, a] + (nodes[b + 1, a] - nodes[b, a]) * f) * weight
        for x in range(w):
            a = place[x]
            out[y, x] += row[a] + (row[a + 1] - row[a]) * share[x]


@kernel
def inside(edges, x0, y0, out):  # type: ignore[no-untyped-def]
    """Mark in `out` (h, w) uint8 the px whose middle lies inside the edges (n, 4), by the even-odd rule; returns how many."""
    h, w = out.shape
    out[:] = 0
    total = 0
    cuts = np.empty(edges.shape[0], np.float64)
    for y in range(h):
        yc = y0 + y + 0.5
        k = 0
        for e in range(edges.shape[0]):
            xa, ya, xb, yb = edges[e]
            if (ya <= yc) != (yb <= yc):
                cuts[k] = xa + (yc - ya) * (xb - xa) / (yb - ya) - x0
                k += 1
        cuts[:k].sort()
        for c in range(0, k - 1, 2):
            first = min(max(int(math.ceil(cuts[c] - 0.5)), 0), w)
            last = min(max(int(math.ceil(cuts[c + 1] - 0.5)), 0), w)
            for x in range(first, last):
                out[y, x] = 1
            total += last - first
    return total


@kernel
def zone(seed, variant, layer, x, y, n, n_fine, period):  # type: ignore[no-untyped-def]
    return np.float32(0.75) * noise_at(seed, layer, variant, x, y, n, period) + np.float32(0.25) * noise_at(seed, layer + 1, variant, x, y, n_fine, period)


@kernel
def nucleus(h, near, second, wave, grain, cx, cy, a, b, angle, dark, rough, vesicle, body, nucleoli, soft, key):  # type: ignore[no-untyped-def]
    """Draw one cell into `h` and `e` at (cx, cy) px of the tile: half axes a, b px, its roughness, how much paler than its rim the inside is
    (`vesicle`), how far its cytoplasm reaches (`body`, in radii; 0: none), and its nucleoli. `near` and `second` (t, t) keep the distances, in
    radii, of a px from the nearest two cells: cells meet where these are equal."""
    rows, cols = h.shape
    reach = max(a, b) * max(np.float32(1.0) + rough, body) + 2
    ca, sa = np.float32(math.cos(angle)), np.float32(math.sin(angle))
    ia, ib = 1 / a, 1 / b
    sharp = min(a, b) / soft
    n1x, n1y = (unit(key, 11) - np.float32(0.5)) * a * np.float32(0.8), (unit(key, 12) - np.float32(0.5)) * b * np.float32(0.8)
    n2x, n2y = (unit(key, 13) - np.float32(0.5)) * a * np.float32(1.1), (unit(key, 14) - np.float32(0.5)) * b * np.float32(1.1)
    nr = np.float32(1) / max(np.float32(0.035) * a * b, np.float32(1.2))
    for y in range(max(int(cy - reach), 0), min(int(cy + reach) + 1, rows)):
        for x in range(max(int(cx - reach), 0), min(int(cx + reach) + 1, cols)):
            dx, dy = np.float32(x - cx), np.float32(y - cy)
            u, v = (dx * ca + dy * sa), (dy * ca - dx * sa)
            q = math.sqrt(u * u * ia * ia + v * v * ib * ib) + rough * (wave[y, x] - np.float32(0.5))
            if body > 0 and q < body:
                if q < near[y, x]:
                    second[y, x], near[y, x] = near[y, x], q
                elif q < second[y, x]:
                    second[y, x] = q
            inner = (1 - q) * sharp + np.float32(0.5)
            if inner <= 0:
                continue
            inner = min(inner, np.float32(1))
            chroma = grain[y, x]
            value = np.float32(0.45) + np.float32(1.1) * chroma
            if vesicle > 0:
                rim = max(np.float32(0), 1 - abs(q - np.float32(0.88)) * np.float32(6))
                value = (1 - vesicle) * value + vesicle * (np.float32(0.02) + np.float32(0.95) * chroma + np.float32(0.35) * rim)
                if nucleoli > 0:
                    spot = 1 - ((u - n1x) ** 2 + (v - n1y) ** 2) * nr
                    if nucleoli > 1:
                        spot = max(spot, 1 - ((u - n2x) ** 2 + (v - n2y) ** 2) * nr * np.float32(1.7))
                    if spot > 0:
                        value += np.float32(0.9) * min(spot * np.float32(1.5), np.float32(1))
            value *= dark * inner
            old = h[y, x]
            h[y, x] = max(old, value) + np.float32(0.25) * min(old, value)


@kernel
def draw(rgb, x0, y0, mpp, period, counts, n_small, n_large, seed, variant, tissue, tumor, margin, table, fibre):  # type: ignore[no-untyped-def]
    """Draw the tile whose first px lies at level-0 (x0, y0) into `rgb` (t, t, 3) uint8; masks are (t + 2 margin, t + 2 margin) uint8."""
    t = rgb.shape[0]
    septa = np.zeros((t, t), np.float32)
    follicle = np.zeros((t, t), np.float32)
    mottle = np.zeros((t, t), np.float32)
    cleft = np.zeros((t, t), np.float32)
    wave = np.zeros((t, t), np.float32)
    grain = np.zeros((t, t), np.float32)
    chroma = np.zeros((t, t), np.float32)
    add_noise(septa, 0.75, seed, SEPTA, variant, x0, y0, counts[SEPTA], period)
    add_noise(septa, 0.25, seed, SEPTA_FINE, variant, x0, y0, counts[SEPTA_FINE], period)
    add_noise(follicle, 0.75, seed, FOLLICLE, variant, x0, y0, counts[FOLLICLE], period)
    add_noise(follicle, 0.25, seed, FOLLICLE_FINE, variant, x0, y0, counts[FOLLICLE_FINE], period)
    add_noise(mottle, 1.0, seed, MOTTLE, variant, x0, y0, counts[MOTTLE], period)
    add_noise(cleft, 1.0, seed, CLEFT, variant, x0, y0, counts[CLEFT], period)
    add_noise(wave, 1.0, seed, WAVE, variant, x0, y0, counts[WAVE], period)
    add_noise(grain, 1.0, seed, GRAIN, variant, x0, y0, counts[GRAIN], period)
    add_noise(chroma, 0.65, seed, CHROMATIN, variant, x0, y0, counts[CHROMATIN], period)
    for y in range(t):
        for x in range(t):
            chroma[y, x] += np.float32(0.35) * grain[y, x]
    h = np.zeros((t, t), np.float32)
    near = np.full((t, t), np.float32(9), np.float32)
    second = np.full((t, t), np.float32(9), np.float32)
    soft = np.float32(max(0.9 / mpp, 1.2))
    for size in range(2):
        n = n_small if size == 0 else n_large
        layer = SMALL if size == 0 else LARGE
        step = period / n
        rim = int(math.ceil(margin / step))
        for j in range(int(math.floor((y0 - margin) / step)), int(math.floor((y0 + t + margin) / step)) + 1):
            for i in range(int(math.floor((x0 - margin) / step)), int(math.floor((x0 + t + margin) / step)) + 1):
                which, ki, kj = variant, i, j
                ti, tj = i // n, j // n
                border = False
                if variant >= 0:
                    ki, kj = i - ti * n, j - tj * n
                    border = ki < rim or kj < rim or ki >= n - rim or kj >= n - rim
                    if border:
                        which = 0
                key = hashed(seed, layer, which, ki, kj)
                jitter = np.float32(0.75)
                gx = (i + 0.5 + (unit(key, 1) - np.float32(0.5)) * jitter) * step
                gy = (j + 0.5 + (unit(key, 2) - np.float32(0.5)) * jitter) * step
                mx, my = int(gx - x0) + margin, int(gy - y0) + margin
                if mx < 0 or my < 0 or mx >= tissue.shape[1] or my >= tissue.shape[0] or tissue[my, mx] == 0:
                    continue
                sick = tumor[my, mx] != 0
                if size == 1 and not sick:
                    continue
                zx, zy = gx, gy
                if border:  # the zone at the square's border is the same in all squares
                    if ki < rim:
                        zx = ti * period
                    elif ki >= n - rim:
                        zx = (ti + 1) * period
                    if kj < rim:
                        zy = tj * period
                    elif kj >= n - rim:
                        zy = (tj + 1) * period
                fibrous = abs(zone(seed, variant, SEPTA, zx, zy, counts[SEPTA], counts[SEPTA_FINE], period) - np.float32(0.5)) < np.float32(0.045)
                chance, size_u, turn, shade = unit(key, 3), unit(key, 4), unit(key, 5), unit(key, 6)
                long = unit(key, 7)
                cx, cy = np.float32(gx - x0), np.float32(gy - y0)
                um = np.float32(1 / mpp)
                if size == 1:
                    if fibrous or chance > np.float32(0.94):
                        continue
                    a = (np.float32(5.2) + np.float32(2.8) * size_u) * um
                    b = a * (np.float32(0.68) + np.float32(0.27) * long)
                    vesicle = np.float32(0.25) + np.float32(0.7) * unit(key, 8)
                    nucleus(h, near, second, cleft, chroma, cx, cy, a, b, np.float32(math.pi) * turn,
                            np.float32(1.2) + np.float32(1.3) * shade, np.float32(0.6), vesicle, np.float32(2.6), 1 + int(unit(key, 9) * 2), soft, key)
                elif fibrous:
                    if chance > np.float32(0.30):
                        continue
                    a = (np.float32(4.5) + np.float32(3.5) * size_u) * um
                    b = (np.float32(1.1) + np.float32(0.8) * long) * um
                    nucleus(h, near, second, chroma, chroma, cx, cy, a, b, np.float32(fibre) + (turn - np.float32(0.5)), np.float32(1.5) + np.float32(0.8) * shade,
                            np.float32(0.15), np.float32(0), np.float32(0), 0, soft, key)
                elif sick:
                    if chance > np.float32(0.045):
                        continue
                    a = (np.float32(2.9) + np.float32(0.7) * size_u) * um
                    nucleus(h, near, second, chroma, chroma, cx, cy, a, a * (np.float32(0.85) + np.float32(0.15) * long), np.float32(math.pi) * turn,
                            np.float32(2.1) + np.float32(0.7) * shade, np.float32(0.2), np.float32(0), np.float32(0), 0, soft, key)
                else:
                    centre = zone(seed, variant, FOLLICLE, zx, zy, counts[FOLLICLE], counts[FOLLICLE_FINE], period)
                    if centre > np.float32(0.62):  # germinal centre or histiocytes: fewer, larger, paler
                        if chance > np.float32(0.62):
                            continue
                        a = (np.float32(3.6) + np.float32(1.3) * size_u) * um
                        nucleus(h, near, second, chroma, chroma, cx, cy, a, a * (np.float32(0.65) + np.float32(0.3) * long), np.float32(math.pi) * turn,
                                np.float32(1.3) + np.float32(0.9) * shade, np.float32(0.3), np.float32(0.55), np.float32(0), 1, soft, key)
                    else:
                        if chance > (np.float32(0.62) if centre < np.float32(0.32) else np.float32(0.92)):
                            continue
                        a = (np.float32(2.9) + np.float32(0.9) * size_u) * um
                        nucleus(h, near, second, chroma, chroma, cx, cy, a, a * (np.float32(0.82) + np.float32(0.18) * long), np.float32(math.pi) * turn,
                                np.float32(1.9) + np.float32(1.0) * shade, np.float32(0.25), np.float32(0.12), np.float32(0), 0, soft, key)
    # cytoplasm, fibres and clefts under the nuclei; then light through it all
    ca, sa = round(math.cos(fibre + math.pi / 2) * period * mpp / 5.0) / period, round(math.sin(fibre + math.pi / 2) * period * mpp / 5.0) / period
    ragged = 3.0 / mpp
    for y in range(t):
        for x in range(t):
            push = int((mottle[y, x] - np.float32(0.5)) * ragged + (cleft[y, x] - np.float32(0.5)) * ragged)
            ym, xm = y + margin + push, x + margin - push
            bits = mixed(np.uint64(seed) + np.uint64(PIXEL) * A + np.uint64(x0 + x) * B + np.uint64(y0 + y) * C)
            speck = np.float32(bits >> S40) * UNIT - np.float32(0.5)
            if tissue[ym, xm] == 0:
                for c in range(3):
                    rgb[y, x, c] = np.uint8(table[0, 0, c] + speck * np.float32(1.6) + np.float32(0.5))
                continue
            sick = tumor[ym, xm] != 0
            g = grain[y, x]
            band = abs(septa[y, x] - np.float32(0.5))
            stroma = min(max((np.float32(0.065) - band) * np.float32(40), np.float32(0)), np.float32(1))
            turn = (x0 + x) * ca + (y0 + y) * sa + np.float32(3.0) * wave[y, x] + np.float32(0.8) * mottle[y, x] + np.float32(0.35) * cleft[y, x]
            saw = np.float32(turn - math.floor(turn))
            strand = abs(np.float32(2) * saw - 1)
            thin = np.float32(turn * 2.3 + 1.3 * mottle[y, x] + 0.5 * chroma[y, x])
            thin = abs(np.float32(2) * (thin - math.floor(thin)) - 1)
            strand = (np.float32(0.25) + np.float32(0.75) * mottle[y, x]) * strand + np.float32(0.35) * thin + np.float32(0.25) * cleft[y, x]
            gap = max(np.float32(0), 1 - abs(cleft[y, x] - np.float32(0.5)) * np.float32(14))
            gap *= min(max((mottle[y, x] - np.float32(0.42)) * np.float32(7), np.float32(0)), np.float32(1))
            if sick:
                cell = min(max((np.float32(2.5) - near[y, x]) * np.float32(1.5), np.float32(0)), np.float32(1))
                wall = max(np.float32(0), 1 - (second[y, x] - near[y, x]) * np.float32(5)) * cell
                cell *= 1 - wall * np.float32(0.75) * mottle[y, x]
                ee = np.float32(0.12) + cell * (np.float32(0.20) + np.float32(0.45) * mottle[y, x] + np.float32(0.35) * (chroma[y, x] - np.float32(0.5)))
                hh = np.float32(0.03) + cell * (np.float32(0.08) + np.float32(0.30) * mottle[y, x] * follicle[y, x] + np.float32(0.15) * chroma[y, x])
                gap *= np.float32(0.25)
            else:
                ee = np.float32(0.30) + np.float32(0.35) * mottle[y, x] + np.float32(0.25) * (g - np.float32(0.5)) + np.float32(0.15) * (chroma[y, x] - np.float32(0.5))
                hh = np.float32(0.06) + np.float32(0.16) * follicle[y, x] + np.float32(0.12) * g
            fe = np.float32(0.30) + np.float32(0.55) * strand + np.float32(0.3) * (g - np.float32(0.5)) + np.float32(0.15) * mottle[y, x]
            split = max(np.float32(0), np.float32(0.30) - strand) * np.float32(4)
            ee = ee * (1 - gap * np.float32(0.85)) * (1 - stroma) + fe * stroma * (1 - split)
            hh = hh * (1 - gap * np.float32(0.85)) * (1 - stroma) + np.float32(0.04) * stroma
            dark = h[y, x]
            ee = max(ee, np.float32(0)) + min(dark, np.float32(1)) * np.float32(0.18)
            hh = max(hh, dark) + np.float32(0.3) * min(hh, dark)
            a = min(max(int(hh * TO_H), 0), 511)
            b = min(max(int(ee * TO_E), 0), 255)
            for c in range(3):
                value = table[a, b, c] + speck * np.float32(4.5) + np.float32(0.5)
                rgb[y, x, c] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))


def node_counts(period: int, mpp: float) -> tuple[tuple[int, ...], int, int]:
    """How many nodes of each layer, of the small and of the large cells' grid go on one period of px."""
    def per(um: float) -> int:
        return max(1, round(period * mpp / um))
    return tuple(min(per(um), period) for um in SCALE_UM), min(per(SMALL_UM), period), min(per(LARGE_UM), period)


def inside_mask(edges: npt.NDArray[np.float64], x0: int, y0: int, side: int) -> tuple[npt.NDArray[np.uint8], int]:
    """Mask (side, side) uint8 of the px inside the edges, from level-0 (x0, y0) on, and how many they are."""
    out = np.empty((side, side), np.uint8)
    return out, int(inside(edges, float(x0), float(y0), out))
