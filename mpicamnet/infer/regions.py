"""A raster -> the regions where the probability reaches a threshold, as polygons in level-0 px with what was measured in them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import contourpy
import numpy as np
import numpy.typing as npt
import shapely
from scipy import ndimage
from shapely.affinity import affine_transform
from shapely.geometry.base import BaseGeometry

from .raster import Raster

GRID = 0.25  # level-0 px that coordinates are rounded to: short in text, and the polygons stay valid


@dataclass(frozen=True)
class Region:
    """A connected region. `outline`: with its holes, level-0 px; `mean`, `most`: of the probability in it; `mm2`: None where mpp is unknown."""

    threshold: float
    outline: shapely.Polygon
    mean: float
    most: float
    mm2: float | None


def regions(raster: Raster, threshold: float, mpp: float | None, size: tuple[int, int]) -> list[Region]:
    """The regions of at least `threshold`, largest first; `mpp`: of level 0; `size`: width and height of the slide, level-0 px.

    Outlines run where the probability, linear between px, is the threshold; at the edge of tissue, along the edges of px. Peaks
    that come out smaller than GRID are left out.
    """
    high = raster.prob >= threshold  # False where NaN
    labels, count = ndimage.label(high, np.ones((3, 3)))  # px that touch at a corner too: outlines may join them
    found = []
    numbers = np.arange(1, count + 1)
    means = ndimage.mean(raster.prob, labels, numbers) if count else []
    peaks = ndimage.maximum(raster.prob, labels, numbers) if count else []
    slide = shapely.box(0, 0, *size)
    for k, box in enumerate(ndimage.find_objects(labels)):
        part, (rows, columns) = _alone(raster.prob, labels, box, k + 1, threshold)
        corner = ((columns.start + 0.5) * raster.step, (rows.start + 0.5) * raster.step)  # the middle of the first px
        outline: BaseGeometry = affine_transform(_outline(part, threshold), (raster.step, 0, 0, raster.step, *corner))
        outline = shapely.set_precision(shapely.intersection(shapely.simplify(outline, raster.step / 4), slide), GRID)
        for polygon in shapely.get_parts(outline):
            if isinstance(polygon, shapely.Polygon) and not polygon.is_empty:
                mm2 = None if mpp is None else polygon.area * mpp * mpp / 1e6
                found.append(Region(threshold, shapely.normalize(polygon), float(means[k]), float(peaks[k]), mm2))
    return sorted(found, key=lambda r: (-r.outline.area, r.outline.bounds))


def _alone(prob: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], box: tuple[slice, slice], number: int, threshold: float) \
        -> tuple[npt.NDArray[np.float64], list[slice]]:
    """A region's px with one px around them, without other regions; and which rows and columns of the raster these are.

    Outside tissue a px is as much below the threshold as the nearest tissue is above it, so that the outline runs halfway.
    """
    around = tuple(slice(max(0, s.start - 1), s.stop + 1) for s in box)
    before = tuple(int(s.start == 0) for s in box)
    margins = [(b, int(a.stop > n)) for b, a, n in zip(before, around, prob.shape, strict=True)]
    near = labels[around]
    values = np.where((near == number) | (near == 0), prob[around].astype(np.float64), 0)
    values = np.pad(values, margins, constant_values=np.nan)
    outside = np.isnan(values)
    nearest = values[tuple(ndimage.distance_transform_edt(outside, return_distances=False, return_indices=True))]
    values = np.where(outside, np.minimum(nearest, 2 * threshold - nearest), values)
    return values, [slice(a.start - b, a.stop) for a, b in zip(around, before, strict=True)]


def _outline(values: npt.NDArray[np.float64], threshold: float) -> shapely.MultiPolygon:
    """Where values (rows, columns) reach the threshold; a value stands at (column, row)."""
    polygons = []
    filled: Any = contourpy.contour_generator(z=values, fill_type="OuterOffset").filled(threshold, np.inf)
    points, offsets = filled
    for at, ends in zip(points, offsets, strict=True):
        shell, *holes = (at[first:last] for first, last in zip(ends, ends[1:], strict=False))
        polygons.append(shapely.Polygon(shell, holes))
    whole = shapely.union_all([shapely.make_valid(p) for p in polygons])  # rings may touch themselves where px touch at corners
    return shapely.MultiPolygon([p for p in shapely.get_parts(whole) if isinstance(p, shapely.Polygon)])
