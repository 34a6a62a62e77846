"""Outlines: islands of tissue, lesions in them, and how long a lesion is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.float64]  # (n, 2): x, y in level-0 px; the last point joins the first


@dataclass(frozen=True)
class Polygon:
    """An outline and the holes in it, each (n, 2) float64: x, y in level-0 px."""

    outline: Ring
    holes: tuple[Ring, ...] = ()


@dataclass(frozen=True)
class Frame:
    """Where a pair of islands lies: a square of half side 1 about the slide's middle, stretched over the slide."""

    width: int
    height: int
    turn: float  # the long island's axis, radians

    def place(self, along: Ring) -> Ring:
        """Points (n, 2) along and across the long island's axis, in half sides, to level-0 px (rounded to 0.1)."""
        c, s = math.cos(self.turn), math.sin(self.turn)
        turned = along @ np.array([[c, s], [-s, c]])
        return np.asarray(np.round((turned + 1) * np.array([self.width / 2, self.height / 2]), 1), np.float64)


@dataclass(frozen=True)
class Island:
    """An ellipse in a frame, in half sides of the slide: middle and half axes, along and across."""

    middle: tuple[float, float]
    axes: tuple[float, float]


def ring(rng: np.random.Generator, centre: tuple[float, float], axes: tuple[float, float], wobble: float, points: int = 180) -> Ring:
    """An ellipse whose radius wobbles by at most the share `wobble`, (points, 2)."""
    t = np.arange(points) * (2 * math.pi / points)
    waves = np.arange(2, 12)
    height = rng.uniform(-1, 1, waves.size) / waves
    phase = rng.uniform(0, 2 * math.pi, waves.size)
    radius = (height[:, None] * np.cos(waves[:, None] * t + phase[:, None])).sum(0)
    radius = 1 + wobble * radius / np.abs(radius).max()
    return np.stack([centre[0] + axes[0] * radius * np.cos(t), centre[1] + axes[1] * radius * np.sin(t)], 1)


@dataclass(frozen=True)
class Layout:
    """Where tissue lies on a slide: a long island along a diagonal, a small one in a corner, and their outlines."""

    frame: Frame
    long: Island
    small: Island
    outlines: tuple[Polygon, Polygon]


def layout(rng: np.random.Generator, width: int, height: int) -> Layout:
    """Two islands of tissue for a slide of width x height px."""
    frame = Frame(width, height, (math.pi / 4 if rng.random() < 0.5 else -math.pi / 4) + rng.uniform(-0.04, 0.04))
    long = Island((0.0, 0.0), (1.20, 0.50))
    small = Island((0.0, 0.92 if rng.random() < 0.5 else -0.92), (0.34, 0.20))
    return Layout(
        frame,
        long,
        small,
        (Polygon(frame.place(ring(rng, long.middle, long.axes, 0.06))), Polygon(frame.place(ring(rng, small.middle, small.axes, 0.12)))),
    )


def lesion(rng: np.random.Generator, frame: Frame, island: Island, axis_px: float, hole: bool = False) -> Polygon:
    """A lesion in an island whose longest axis is `axis_px`, or what the island has room for; with a hole of normal tissue if asked for."""
    a, b = island.axes
    unit_px = longest_axis(Polygon(frame.place(np.array([[0.0, 0.0], [1.0, 0.0]]))))
    half = min(axis_px / 2 / unit_px, 0.9 * a)
    across = min(0.75 * half, 0.6 * b * math.sqrt(max(1 - (half / a) ** 2, 0.3)))
    shape = ring(rng, (0.0, 0.0), (half, across), 0.10)
    shape[:, 0] -= (shape[:, 0].max() + shape[:, 0].min()) / 2
    shape *= min(axis_px / longest_axis(Polygon(frame.place(shape))), 0.9 * a / shape[:, 0].max())
    room = max(0.85 * a - half, 0.0)
    middle = np.array(island.middle) + (rng.uniform(-0.6, 0.6) * room, rng.uniform(-0.1, 0.1) * b)
    inner = ring(rng, (-0.3 * half, 0.0), (0.22 * across, 0.25 * across), 0.12, 60)
    return Polygon(frame.place(shape + middle), (frame.place(inner + middle),) if hole else ())


def longest_axis(polygon: Polygon) -> float:
    """The largest distance between two points of the outline, level-0 px."""
    p = polygon.outline
    return float(np.sqrt(((p[:, None] - p[None]) ** 2).sum(-1).max()))


def edges(polygons: Sequence[Polygon]) -> npt.NDArray[np.float64]:
    """All edges of outlines and holes, (n, 4) float64: x, y, x, y; a point is inside where it is to the right of an odd number of them."""
    rings = [r for p in polygons for r in (p.outline, *p.holes)]
    found = [np.hstack([np.asarray(r, np.float64), np.roll(np.asarray(r, np.float64), -1, 0)]) for r in rings]
    return np.concatenate(found) if found else np.empty((0, 4))
