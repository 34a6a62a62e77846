"""From a target (a level, or um per px) to the level that is read and how far it is shrunk; and a patch at that resolution.

A patch at the target covers a square of the level with, in general, fractional edges; each of its px is the mean of what it covers (area
resampling, no aliasing). It depends on that square alone: neighbouring reads, blocks and ranks cannot change it.
"""
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..errors import SlideError
from .slide import Pixels, Slide

_SAME = 0.01  # a level whose mpp is within 1 % of the target is the target


@dataclass(frozen=True)
class Resolution:
    """Read `level`, and shrink by `scale` (px of the level per px of the target, 1 where the level is read as it is).

    `downsample`: level-0 px per px of the target; `mpp`: um per px of the target, None where the slide does not say.
    """
    level: int
    scale: float
    downsample: float
    mpp: float | None


def resolve(slide: Slide, level: int = 0, mpp: float | None = None) -> Resolution:
    """How to read `slide` at a level, or at `mpp` um per px where given: at the level within 1 % of it, else from the next finer one.

    Raises SlideError where the level does not exist, the target is finer than level 0, or the slide does not say its mpp.
    """
    if mpp is None:
        downsample = slide.level_of(level).downsample
        return Resolution(level, 1.0, downsample, slide.mpp and slide.mpp * downsample)
    if slide.mpp is None:
        raise SlideError(f"data.mpp is {mpp:g}, but {slide.mpp_note}", slide.name,
                         "give it in column mpp of layout csv, or set data.level instead")
    steps = [slide.mpp * lv.downsample for lv in slide.levels]
    nearest = min(range(len(steps)), key=lambda i: (abs(steps[i] - mpp), i))
    if abs(steps[nearest] - mpp) <= _SAME * mpp:
        return Resolution(nearest, 1.0, slide.levels[nearest].downsample, steps[nearest])
    finer = [i for i, step in enumerate(steps) if step < mpp]
    if not finer:
        raise SlideError(f"data.mpp is {mpp:g}, finer than the slide's {slide.mpp:g} um per px", slide.name,
                         f"set data.mpp to {slide.mpp:g} or more")
    best = max(finer, key=lambda i: (steps[i], -i))
    return Resolution(best, mpp / steps[best], slide.levels[best].downsample * mpp / steps[best], mpp)


def read_patch(slide: Slide, x: int, y: int, side: int, resolution: Resolution) -> Pixels:
    """RGB uint8 (side, side, 3) at a resolution, of the patch whose top-left corner is (x, y) in level-0 px."""
    lv = slide.level_of(resolution.level)
    if resolution.scale == 1.0:
        return slide.read(x, y, side, side, resolution.level)
    u, v = x / lv.downsample, y / lv.downsample
    left, top = math.floor(u), math.floor(v)
    w = math.ceil(u + side * resolution.scale) - left
    h = math.ceil(v + side * resolution.scale) - top
    px = slide.read(round(left * lv.downsample), round(top * lv.downsample), w, h, resolution.level)
    return shrink(px, u - left, v - top, resolution.scale, side)


def shrink(px: Pixels, u: float, v: float, scale: float, side: int, out: Pixels | None = None) -> Pixels:
    """The square of `px` (h, w, 3) whose top-left is (u, v) and whose side is `side * scale`, as uint8 (side, side, 3) of area means.

    The same bits on every machine: sums of doubles in one order, rounded half up. What lies beyond `px` counts as its last row or column.
    """
    from .shrink import area_means
    if out is None:
        out = np.empty((side, side, 3), np.uint8)
    left, top = math.floor(u), math.floor(v)  # apart, so that the fractions are the same bits wherever in `px` the patch lies
    area_means(px, left, top, float(u - left), float(v - top), float(scale), out)
    return out
