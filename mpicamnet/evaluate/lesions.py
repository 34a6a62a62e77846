"""Annotated lesions as Camelyon16's evaluation sees them: outlines widened, joined, their holes filled, the small ones set apart."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from scipy.spatial.distance import pdist

MARGIN_UM = 37.5  # outlines are widened by half of 75 um on each side ("five tumour cells"): what they then join is one lesion
ITC_UM = 275.0  # a lesion whose major axis is below 200 um, plus the 75 um by which it was widened, is isolated tumour cells
Area = shapely.Polygon | shapely.MultiPolygon


@dataclass(frozen=True)
class Lesions:
    """The lesions of a slide: `regions` in level-0 px, `major_axis_um` float64 (m,), `counted` bool (m,), False for isolated tumour cells."""

    regions: tuple[shapely.Polygon, ...]
    major_axis_um: npt.NDArray[np.float64]
    counted: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.regions)


def annotated_lesions(outlines: Area, mpp: float) -> Lesions:
    """The lesions of a slide from its tumour outlines.

    Parameters
    ----------
    outlines
        Tumour in level-0 px, as `mpicamnet.slides.read_annotation` gives it.
    mpp
        um per px at level 0.

    Returns
    -------
    Lesions
        From top to bottom.

    Source: Camelyon16's Evaluation_FROC.py, which does the same on px of level 5: distance transform, filled holes, connected pieces, major
    axis of the ellipse with the same second moments.
    """
    wide = shapely.get_parts(shapely.buffer(outlines, MARGIN_UM / mpp))
    joined = shapely.get_parts(shapely.union_all([shapely.Polygon(p.exterior) for p in wide if not p.is_empty]))
    regions = sorted((p for p in joined if not p.is_empty), key=lambda p: (p.bounds[1], p.bounds[0]))
    axes = np.array([major_axis(p) * mpp for p in regions], np.float64)
    return Lesions(tuple(regions), axes, axes >= ITC_UM)


def lesion_of(lesions: Lesions, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.int32]:
    """The number of the lesion that each point (n, 2), level-0 px, lies in; -1 outside all. int32 (n,)."""
    out = np.full(len(xy), -1, np.int32)
    for i, region in enumerate(lesions.regions):
        shapely.prepare(region)
        out[shapely.intersects_xy(region, xy[:, 0], xy[:, 1])] = i
    return out


def major_axis(polygon: shapely.Polygon) -> float:
    """Length of the major axis of the ellipse with the polygon's second moments (holes ignored), in its own unit.

    Exact, by Green's theorem; for px it is what scikit-image's regionprops calls axis_major_length.
    """
    ring = shapely.get_coordinates(polygon.exterior)
    ring = ring - ring.mean(axis=0)  # far from the origin the moments would cancel
    (x0, y0), (x1, y1) = ring[:-1].T, ring[1:].T
    cross = x0 * y1 - x1 * y0
    area = cross.sum() / 2
    cx, cy = ((x0 + x1) * cross).sum() / (6 * area), ((y0 + y1) * cross).sum() / (6 * area)
    xx = ((x0 * x0 + x0 * x1 + x1 * x1) * cross).sum() / (12 * area) - cx * cx
    yy = ((y0 * y0 + y0 * y1 + y1 * y1) * cross).sum() / (12 * area) - cy * cy
    xy = ((x0 * y1 + 2 * x0 * y0 + 2 * x1 * y1 + x1 * y0) * cross).sum() / (24 * area) - cx * cy
    return float(4 * np.sqrt(np.linalg.eigvalsh(np.array([[xx, xy], [xy, yy]]))[1]))


def longest_axis(area: Area) -> float:
    """The greatest distance between two points of one connected piece, in its own unit; 0 where there is none."""
    hulls = [shapely.get_coordinates(shapely.convex_hull(p)) for p in shapely.get_parts(area) if not p.is_empty]
    return max((float(pdist(h).max()) for h in hulls), default=0.0)
