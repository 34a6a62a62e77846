"""Where tissue is: a mask of the whole slide on a coarse level, and the share of any patch that it covers.

Otsu's threshold (1979) on the saturation (HSV), as PatchCamelyon and the original program have it. Three things keep it from calling noise
tissue: padding (pure black or white) does not enter the histogram; the threshold is kept between limits that stained tissue and empty glass
do not cross; and a px that is nearly white or black is never tissue.
"""
from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from ..config import Tissue
from .slide import Level, Pixels, Slide

Mask = npt.NDArray[np.bool_]

# Limits of Otsu's threshold. On the slides looked at, glass peaks at a saturation of 2 to 7 of 255, its noise ends near 15; Otsu alone gave
# 34 to 71. Above 40 pale tissue beside dark is lost, and a slide without glass is split through its tissue.
_SATURATION_LIMITS = (15, 40)
_GREY_LIMITS = (170, 215)
_LEAST_SIDE = 384  # px: a mask whose longer side is below this has no shape; a small slide gets a finer one where it can
_KEEP_WITHIN = 4  # a level up to this factor finer than tissue.downsample is taken as it is; a finer one is averaged down
_MOST_PIXELS = 16 << 20  # a level of more px is averaged down in any case
_BLOCK = 2048  # px read at once, so that memory stays bounded on any slide
_PEN_MARGIN = 3  # mask px around ink, where it fades


def tissue_mask(slide: Slide, tissue: Tissue) -> tuple[Mask, float]:
    """The tissue of a slide.

    The mask is made on the coarsest level whose downsample is at most `tissue.downsample`, or less on a slide so small that the mask would
    have no 384 px; where that level is more than 4 times finer (a slide of one level, say) it is averaged down by a whole number.

    Returns
    -------
    bool (h, w), and the level-0 px per mask px.
    """
    level, factor = _source(slide.levels, tissue.downsample)
    lv = slide.levels[level]
    h, w = -(-lv.height // factor), -(-lv.width // factor)
    if tissue.method == "none":
        return np.ones((h, w), bool), lv.downsample * factor
    from .tissue_channel import look
    channel = np.empty((h, w), np.uint8)
    never = np.empty((h, w), bool)
    counts = np.zeros(256, np.int64)
    for y, x, px in _blocks(slide, level, factor):
        part = (slice(y, y + px.shape[0]), slice(x, x + px.shape[1]))
        channel[part], never[part] = look(np.ascontiguousarray(px), tissue.channel == "grey", counts)
    threshold = _threshold(counts, tissue)
    mask = channel > threshold if tissue.channel == "saturation" else channel < threshold
    if tissue.pen:
        mask &= ~_dilated(_ink(slide, level, factor, (h, w)), 2 * _PEN_MARGIN + 1)
    mask &= ~never
    return _cleaned(mask, tissue.opening, tissue.min_area), lv.downsample * factor


def tissue_fractions(mask: Mask, downsample: float, x: npt.NDArray[np.integer], y: npt.NDArray[np.integer],
                     side: float) -> npt.NDArray[np.float32]:
    """The share of each square [x, x + side) x [y, y + side) (level-0 px) that is tissue by the mask, as float32 (n,).

    Exact for a mask of square px: bilinear interpolation of the summed-area table (Crow 1984). Outside the mask there is no tissue.
    """
    table = np.zeros((mask.shape[0] + 1, mask.shape[1] + 1), np.int64)
    table[1:, 1:] = mask
    for axis in (0, 1):  # in place: three times as fast as sums of bool
        np.cumsum(table, axis=axis, out=table)
    x0, y0 = np.asarray(x) / downsample, np.asarray(y) / downsample
    step = side / downsample
    left, right = (_split(v, mask.shape[1]) for v in (x0, x0 + step))
    top, bottom = (_split(v, mask.shape[0]) for v in (y0, y0 + step))
    area = _at(table, bottom, right) - _at(table, bottom, left) - _at(table, top, right) + _at(table, top, left)
    return np.clip(area / (step * step), 0, 1).astype(np.float32)


Split = tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]


def _split(v: npt.NDArray[np.float64], size: int) -> Split:
    """Places in px, kept inside 0..size, as whole px and fraction."""
    v = np.clip(v, 0, size)
    whole = np.minimum(v.astype(np.int64), size - 1)
    return whole, v - whole


def _at(table: npt.NDArray[np.int64], rows: Split, columns: Split) -> npt.NDArray[np.float64]:
    (r, fr), (c, fc) = rows, columns
    upper = table[r, c] * (1 - fc) + table[r, c + 1] * fc
    lower = table[r + 1, c] * (1 - fc) + table[r + 1, c + 1] * fc
    result: npt.NDArray[np.float64] = upper * (1 - fr) + lower * fr
    return result


def _source(levels: tuple[Level, ...], downsample: float) -> tuple[int, int]:
    """The level that the mask is made from, and the whole number that it is averaged down by."""
    wanted = max(1.0, min(downsample, max(levels[0].width, levels[0].height) / _LEAST_SIDE))
    # 1 %: a level of downsample 32.004 is the one that is meant by 32.
    level = max((i for i, lv in enumerate(levels) if lv.downsample <= wanted * 1.01), key=lambda i: (levels[i].downsample, -i), default=0)
    lv = levels[level]
    if lv.downsample * _KEEP_WITHIN >= wanted and lv.width * lv.height <= _MOST_PIXELS:
        return level, 1
    return level, max(1, math.floor(wanted / lv.downsample))


def _blocks(slide: Slide, level: int, factor: int) -> Iterator[tuple[int, int, Pixels]]:
    """The level, block by block, averaged down by `factor`: row and column in the mask, and RGB."""
    lv = slide.levels[level]

    def side(tile: int) -> int:
        common = math.lcm(tile, factor)  # so that no file tile is decoded twice
        return common * max(1, _BLOCK // common) if common <= 2 * _BLOCK else factor * max(1, _BLOCK // factor)
    bw, bh = side(lv.tile_width), side(lv.tile_height)
    for top in range(0, lv.height, bh):
        for left in range(0, lv.width, bw):
            w, h = min(bw, lv.width - left), min(bh, lv.height - top)
            px = slide.read(round(left * lv.downsample), round(top * lv.downsample), w, h, level)
            yield top // factor, left // factor, _averaged(px, factor)


def _averaged(px: Pixels, factor: int) -> Pixels:
    """Means of factor x factor px (rounded), the last row and column over the px that there are."""
    if factor == 1:
        return px
    h, w = px.shape[:2]
    rows = np.add.reduceat(px, np.arange(0, h, factor), axis=0, dtype=np.uint32)
    sums = np.add.reduceat(rows, np.arange(0, w, factor), axis=1)
    high = np.minimum(factor, h - np.arange(0, h, factor))
    wide = np.minimum(factor, w - np.arange(0, w, factor))
    n = (high[:, None] * wide[None, :])[..., None]
    means: Pixels = ((sums + n // 2) // n).astype(np.uint8)
    return means


def _threshold(counts: npt.NDArray[np.int64], tissue: Tissue) -> int:
    """Tissue is above it (saturation) or below it (grey)."""
    if tissue.method == "fixed":
        return tissue.threshold or 0
    low, high = _SATURATION_LIMITS if tissue.channel == "saturation" else _GREY_LIMITS
    return min(max(otsu(counts), low), high)


def otsu(counts: npt.NDArray[np.int64]) -> int:
    """Otsu's threshold of a histogram (256,): the largest value of the lower class, where the variance between the two is largest."""
    below = np.cumsum(counts).astype(np.float64)
    sums = np.cumsum(counts * np.arange(256)).astype(np.float64)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.nan_to_num((sums[-1] * below - sums * below[-1]) ** 2 / (below * above), nan=0.0, posinf=0.0)
    return int(np.argmax(variance))


def _ink(slide: Slide, level: int, factor: int, shape: tuple[int, int]) -> Mask:
    """Pen marks: green or blue ink, or black.

    Haematoxylin and eosin are purple to pink: green never leads, and where blue does, red is above green. Ink breaks one of the two.
    """
    ink = np.empty(shape, bool)
    for y, x, px in _blocks(slide, level, factor):
        r, g, b = (px[..., c].astype(np.int16) for c in range(3))
        green = (g - r > 20) & (g >= b - 10)
        blue = (b - r > 40) & (g - r > 5)
        high = np.maximum(np.maximum(r, g), b)
        black = (high < 80) & (high - np.minimum(np.minimum(r, g), b) < 25)
        ink[y:y + px.shape[0], x:x + px.shape[1]] = green | blue | black
    return _opened(ink, 2)


def _cleaned(mask: Mask, side: int, min_area: int) -> Mask:
    """Opening drops specks, closing fills cracks, and then pieces (connected by edges or corners) of fewer than `min_area` px go."""
    if side > 1:
        mask = _opened(mask, side)
        mask = _eroded(_dilated(mask, side), side)
    if min_area > 1 and mask.any():
        from .pieces import without_small_pieces
        mask = without_small_pieces(np.ascontiguousarray(mask), min_area)
    return mask


def _opened(mask: Mask, side: int) -> Mask:
    return _dilated(_eroded(mask, side), side)


def _eroded(mask: Mask, side: int) -> Mask:
    """Erosion by a square; the border is no enemy: tissue at the slide's edge stays. Slices of bool, as scipy's takes 20 times as long."""
    return ~_dilated(~mask, side, mirrored=True)


def _dilated(mask: Mask, side: int, mirrored: bool = False) -> Mask:
    """Dilation by a square; one of even side is off centre by half a px, `mirrored` to the other side, so that opening shifts nothing."""
    before = (side - 1) // 2 if mirrored else side // 2
    h, w = mask.shape
    run, other = np.zeros((h + side - 1, w + side - 1), bool), np.empty((h + side - 1, w + side - 1), bool)
    run[before:before + h, before:before + w] = mask
    for axis in (0, 1):
        done = 1
        while done < side:  # runs of 2, 4, 8, ... px, then the rest
            step = min(done, side - done)
            first, second = (run[step:], run[:-step]) if axis == 0 else (run[:, step:], run[:, :-step])
            longer = other[:first.shape[0], :first.shape[1]]  # two arrays in turn: fresh memory for each takes twice as long
            np.logical_or(first, second, out=longer)
            run, other = longer, run
            done += step
    return run
