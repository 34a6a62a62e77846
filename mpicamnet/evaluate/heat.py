"""The heatmap of a slide as an array of cells, and what is seen in it: peaks for FROC, lesions for the slide's class."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from scipy import ndimage
from skimage.feature import peak_local_max

from .lesions import longest_axis

EIGHT = np.ones((3, 3), bool)  # cells that touch at a corner belong together, as in Camelyon16's evaluation
CUT_OFF = 4.0  # sigmas at which the Gaussian ends


@dataclass(frozen=True)
class Heat:
    """`prob` float32 (rows, columns), NaN where there was no tile. In level-0 px: `left`, `top`, the corner of cell (0, 0), and `cell`, its width.

    A cell is the middle of its tile, one stride wide: cells neither overlap nor leave gaps, so that lengths are not stretched by the overlap
    of tiles.
    """

    prob: npt.NDArray[np.float32]
    left: float
    top: float
    cell: float


@dataclass(frozen=True)
class Features:
    """What a heatmap shows: number of lesions, their area, the longest axis among them, largest and mean probability over the tissue.

    `area_mm2` and `longest_axis_mm` are None where the slide's resolution is unknown; without a lesion they are 0.
    """

    lesions: int
    area_mm2: float | None
    longest_axis_mm: float | None
    maximum: float
    mean: float


def heat_of(xy: npt.NDArray[np.int64], prob: npt.NDArray[np.float32], cell: float, side: float) -> Heat:
    """The map of a slide.

    Parameters
    ----------
    xy, prob
        int64 (n, 2), corners of tiles in level-0 px on a grid of `cell` px; float32 (n,).
    cell, side
        Distance of tiles, and their side, level-0 px.
    """
    if len(xy) == 0:
        return Heat(np.full((1, 1), np.nan, np.float32), 0.0, 0.0, cell)
    column, row = np.rint(xy.T / cell).astype(np.int64)
    first_row, first_column = int(row.min()), int(column.min())
    out = np.full((int(row.max()) - first_row + 1, int(column.max()) - first_column + 1), np.nan, np.float32)
    out[row - first_row, column - first_column] = prob
    margin = (side - cell) / 2
    return Heat(out, first_column * cell + margin, first_row * cell + margin, cell)


def smoothed(heat: Heat, sigma: float) -> Heat:
    """The map under a Gaussian of `sigma` cells, over cells with a tile alone: where tiles are missing the others count the more."""
    there = ~np.isnan(heat.prob)
    if sigma == 0 or not there.any():
        return heat
    weight = ndimage.gaussian_filter(there.astype(np.float64), sigma, mode="constant", truncate=CUT_OFF)
    total = ndimage.gaussian_filter(np.where(there, heat.prob, 0).astype(np.float64), sigma, mode="constant", truncate=CUT_OFF)
    prob = np.divide(total, weight, out=np.full(there.shape, np.nan), where=there)
    return Heat(np.clip(prob, 0, 1).astype(np.float32), heat.left, heat.top, heat.cell)


def peaks(heat: Heat, least: float, distance: float) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Detections: the local maxima of at least `least`, none nearer than `distance` (level-0 px) to a higher one.

    Returns their places, float64 (n, 2) level-0 px (the middle of the cell), and probabilities, float32 (n,), from the highest on.
    """
    filled = np.where(np.isnan(heat.prob), -1, heat.prob)
    cells = max(1, round(distance / heat.cell))
    below = np.nextafter(np.float32(least), np.float32(-1))  # the function wants peaks above its threshold
    at = peak_local_max(filled, min_distance=cells, threshold_abs=below, exclude_border=False, p_norm=2)
    xy = np.stack((heat.left + (at[:, 1] + 0.5) * heat.cell, heat.top + (at[:, 0] + 0.5) * heat.cell), axis=1)
    prob = filled[at[:, 0], at[:, 1]].astype(np.float32)
    order = np.argsort(-prob, kind="stable")
    return xy[order], prob[order]


def features(heat: Heat, threshold: float, sure: float, mpp: float | None) -> Features:
    """Lesions are connected cells of at least `threshold`, one of which is at least `sure`; their axes reach over whole cells.

    `mpp`: um per px at level 0, None where unknown.
    """
    there = ~np.isnan(heat.prob)
    filled = np.where(there, heat.prob, 0)
    maximum, mean = (float(filled.max()), float(np.mean(heat.prob[there], dtype=np.float64))) if there.any() else (0.0, 0.0)
    pieces, n = ndimage.label(filled >= threshold, EIGHT)
    lesions = 1 + np.flatnonzero(ndimage.maximum(filled, pieces, np.arange(1, n + 1)) >= sure) if n else np.zeros(0, np.int64)
    if mpp is None and len(lesions):
        return Features(len(lesions), None, None, maximum, mean)
    mm = heat.cell * (mpp or 0) / 1000
    boxes = ndimage.find_objects(pieces)
    axes = [longest_axis(_hull(pieces[boxes[i - 1]] == i)) for i in lesions.tolist()]
    return Features(len(lesions), float(np.isin(pieces, lesions).sum() * mm * mm), max(axes, default=0.0) * mm, maximum, mean)


def _hull(piece: npt.NDArray[np.bool_]) -> shapely.Polygon:
    """The hull of a piece's cells; the first and last cell of each row are enough for it."""
    rows = np.flatnonzero(piece.any(axis=1))
    first, last = piece[rows].argmax(axis=1), piece.shape[1] - 1 - piece[rows, ::-1].argmax(axis=1)
    corners = [(x, y + dy) for y, a, b in zip(rows.tolist(), first.tolist(), last.tolist(), strict=True) for x in (a, b + 1) for dy in (0, 1)]
    hull = shapely.convex_hull(shapely.MultiPoint(corners))
    assert isinstance(hull, shapely.Polygon)  # a cell has an area
    return hull
