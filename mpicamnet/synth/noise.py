"""Randomness by place, and masks: kernels that texture is made of.

Everything random is a hash of (seed, layer, place), never a stream, so that a tile comes out the same whenever it is drawn, and
neighbours fit together. Places are nodes of grids that divide a square of `period` px. With a `variant` >= 0 the slide is a mosaic of
such squares: what lies on a square's border is the same in every square, what lies inside depends on the variant, so that any two squares
fit side by side.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from numba import njit

F = TypeVar("F", bound=Callable[..., Any])
A, B, C = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
S30, S27, S31, S40 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(40)
UNIT = np.float32(2.0**-24)


def kernel(f: F) -> F:
    """Compiled, without the GIL, and kept on disk. Numba compiles anew when the kernel's own file changes, not when a file changes whose
    kernels it calls: so each file that calls others' carries a digest of them, MADE_OF, which a test holds."""
    return cast(F, njit(nogil=True, cache=True, error_model="numpy")(f))


@kernel
def mixed(z):
    """SplitMix64's finaliser (Steele, Lea & Flood, OOPSLA 2014): uint64 to uint64."""
    z = (z ^ (z >> S30)) * B
    z = (z ^ (z >> S27)) * C
    return z ^ (z >> S31)


@kernel
def hashed(seed, layer, variant, i, j):
    """The key of place (i, j), uint64."""
    z = mixed(np.uint64(seed) + np.uint64(layer * 4096 + variant + 1) * A)
    return mixed(z + np.uint64(i) * B + np.uint64(j) * C)


@kernel
def unit(key, k):
    """A key's k-th number, float32 in [0, 1)."""
    return np.float32(mixed(key + np.uint64(k + 1) * A) >> S40) * UNIT


@kernel
def node(seed, layer, variant, i, j, n):
    """The value of node (i, j) of a grid with n nodes per period, float32 in [0, 1)."""
    if variant >= 0:
        i, j = i % n, j % n
        if i == 0 or j == 0:
            variant = 0
    return np.float32(hashed(seed, layer, variant, i, j) >> S40) * UNIT


@kernel
def noise_at(seed, layer, variant, x, y, n, period):
    """Value noise at one point, in [0, 1)."""
    u, v = x * n / period, y * n / period
    i, j = math.floor(u), math.floor(v)
    fu, fv = np.float32(u - i), np.float32(v - j)
    fu, fv = fu * fu * (3 - 2 * fu), fv * fv * (3 - 2 * fv)
    top = node(seed, layer, variant, i, j, n) * (1 - fu) + node(seed, layer, variant, i + 1, j, n) * fu
    low = node(seed, layer, variant, i, j + 1, n) * (1 - fu) + node(seed, layer, variant, i + 1, j + 1, n) * fu
    return top * (1 - fv) + low * fv


@kernel
def add_noise(out, weight, seed, layer, variant, x0, y0, n, period):
    """Add `weight` times value noise to `out` (h, w) float32, whose first px lies at (x0, y0)."""
    h, w = out.shape
    step = period / n
    i0, j0 = math.floor(x0 / step), math.floor(y0 / step)
    nodes = np.empty((math.floor((y0 + h) / step) - j0 + 2, math.floor((x0 + w) / step) - i0 + 2), np.float32)
    for b in range(nodes.shape[0]):
        for a in range(nodes.shape[1]):
            nodes[b, a] = weight * node(seed, layer, variant, i0 + a, j0 + b, n)
    place = np.empty(w, np.int32)
    share = np.empty(w, np.float32)
    for x in range(w):
        u = (x0 + x + 0.5) / step - i0
        place[x] = int(u)
        f = np.float32(u - place[x])
        share[x] = f * f * (3 - 2 * f)
    row = np.empty(nodes.shape[1], np.float32)
    for y in range(h):
        v = (y0 + y + 0.5) / step - j0
        b = int(v)
        f = np.float32(v - b)
        f = f * f * (3 - 2 * f)
        for a in range(row.size):
            row[a] = nodes[b, a] + (nodes[b + 1, a] - nodes[b, a]) * f
        for x in range(w):
            a = place[x]
            out[y, x] += row[a] + (row[a + 1] - row[a]) * share[x]


@kernel
def _inside(edges, x0, y0, out):
    h, w = out.shape
    out[:] = 0
    total = 0
    cuts = np.empty(edges.shape[0], np.float64)
    for y in range(h):
        middle = y0 + y + 0.5
        k = 0
        for e in range(edges.shape[0]):
            xa, ya, xb, yb = edges[e]
            if (ya <= middle) != (yb <= middle):
                cuts[k] = xa + (middle - ya) * (xb - xa) / (yb - ya) - x0
                k += 1
        cuts[:k].sort()
        for c in range(0, k - 1, 2):
            first = min(max(math.ceil(cuts[c] - 0.5), 0), w)
            last = min(max(math.ceil(cuts[c + 1] - 0.5), 0), w)
            out[y, first:last] = 1
            total += last - first
    return total


def inside(edges: npt.NDArray[np.float64], x0: int, y0: int, side: int) -> tuple[npt.NDArray[np.uint8], int]:
    """Mask (side, side) uint8 of the px whose middle lies inside the edges (n, 4) by the even-odd rule, from level-0 (x0, y0) on; how
    many they are."""
    out = np.empty((side, side), np.uint8)
    return out, int(_inside(edges, float(x0), float(y0), out))
