"""Exact areas of polygons clipped by many equal squares, compiled.

Green's theorem: the area of a polygon inside [x0, x1] x [y0, y1] is the signed sum, over its edges, of the area between the edge (clipped
to x0..x1, its height clamped to y0..y1) and the line y = y0. Edges are cut at the borders of columns as wide as a square, so that each
square looks at the edges of a few columns only.
"""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..compiled import compiled

Floats = npt.NDArray[np.float64]


@compiled
def add_fractions(edges: Floats, x: Floats, y: Floats, side: float, out: Floats) -> None:
    """Add to `out` (n,) the share of each square (corner x, y) inside the rings whose edges (m, 4) are x0, y0, x1, y1.

    Shells run counter-clockwise where y points up (clockwise on the screen), holes the other way.
    """
    left = edges[0, 0]
    right = left
    bottom = edges[0, 1]
    top = bottom
    for e in range(edges.shape[0]):
        left, right = min(left, edges[e, 0]), max(right, edges[e, 0])
        bottom, top = min(bottom, edges[e, 1]), max(top, edges[e, 1])
    columns = int((right - left) / side) + 1
    begin, pieces = _columns(edges, left, side, columns)
    for i in range(x.shape[0]):
        if x[i] >= right or x[i] + side <= left or y[i] >= top or y[i] + side <= bottom:
            continue
        first = max(0, int(np.floor((x[i] - left) / side)) - 1)
        last = min(columns - 1, int(np.floor((x[i] - left) / side)) + 2)
        total = 0.0
        for p in range(begin[first], begin[last + 1]):
            total += _below(pieces[p, 0] - x[i], pieces[p, 1] - y[i], pieces[p, 2] - x[i], pieces[p, 3] - y[i], side)
        out[i] += total / (side * side)


@compiled
def _columns(edges: Floats, left: float, side: float, columns: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """The edges cut at the column borders, sorted by column: where each column begins (columns + 1,), and the pieces (k, 4).

    Upright edges have no area below and are left out.
    """
    begin = np.zeros(columns + 1, np.int64)
    pieces = np.empty((0, 4))
    for fill in range(2):
        at = begin.copy()
        for e in range(edges.shape[0]):
            x0, y0, x1, y1 = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
            if x0 == x1:
                continue
            low, high = min(x0, x1), max(x0, x1)
            for c in range(min(int((low - left) / side), columns - 1), min(int((high - left) / side), columns - 1) + 1):
                if fill == 0:
                    begin[c + 1] += 1
                    continue
                a, b = max(low, left + c * side), min(high, left + (c + 1) * side)
                if c == columns - 1:
                    b = high
                if x0 > x1:
                    a, b = b, a
                ya = y0 if a == x0 else y0 + (a - x0) * (y1 - y0) / (x1 - x0)
                yb = y1 if b == x1 else y0 + (b - x0) * (y1 - y0) / (x1 - x0)
                k = at[c]
                pieces[k, 0], pieces[k, 1], pieces[k, 2], pieces[k, 3] = a, ya, b, yb
                at[c] += 1
        if fill == 0:
            for c in range(columns):
                begin[c + 1] += begin[c]
            pieces = np.empty((begin[columns], 4))
    return begin, pieces


@compiled
def _below(x0: float, y0: float, x1: float, y1: float, side: float) -> float:
    """The signed area between an edge and y = 0 inside the square [0, side]^2; positive where the edge runs leftwards."""
    if x0 == x1 or (x0 <= 0 and x1 <= 0) or (x0 >= side and x1 >= side) or (y0 <= 0 and y1 <= 0):
        return 0.0
    slope = (y1 - y0) / (x1 - x0)
    if x0 < x1:
        a, b = max(x0, 0.0), min(x1, side)
    else:
        a, b = min(x0, side), max(x1, 0.0)
    ya, yb = y0 + (a - x0) * slope, y0 + (b - x0) * slope
    if ya >= side and yb >= side:
        return (a - b) * side
    if 0 <= ya <= side and 0 <= yb <= side:
        return (a - b) * (ya + yb) / 2
    return (a - b) * (_ramp(ya, yb) - _ramp(ya - side, yb - side))


@compiled
def _ramp(a: float, b: float) -> float:
    """The mean of max(t, 0) for t running evenly from a to b."""
    if a <= 0 and b <= 0:
        return 0.0
    if a >= 0 and b >= 0:
        return (a + b) / 2
    return max(a, b) ** 2 / (2 * abs(b - a))
