"""From tumour outlines to the label of each patch: its exact tumour share, and the limits of the config."""
from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ..config import Label

if TYPE_CHECKING:
    from shapely import MultiPolygon, Polygon

TUMOR, NORMAL, UNKNOWN = 1, 0, -1
# A patch inside or outside all outlines gives 1 or 0 but for rounding (below 1e-11). Labels compare with 0 exactly, so it is snapped.
_ROUNDING = 1e-9


def tumor_fractions(polygons: Polygon | MultiPolygon | None, x: npt.NDArray[np.integer], y: npt.NDArray[np.integer],
                    side: float) -> npt.NDArray[np.float32]:
    """The exact share of each square [x, x + side) x [y, y + side) that lies inside `polygons`.

    Parameters
    ----------
    polygons : tumour in level-0 px, valid (as `read_annotation` gives it); None or empty: 0 everywhere.
    x, y : (n,) top-left corners, level-0 px.
    side : of the squares, level-0 px.

    Returns
    -------
    float32 (n,). Source: Green's theorem, edge by edge; see `fractions.py`.
    """
    out = np.zeros(len(x), np.float64)
    if polygons is not None and not polygons.is_empty and len(x):
        from .fractions import add_fractions
        add_fractions(_edges(polygons), np.asarray(x, np.float64), np.asarray(y, np.float64), float(side), out)
        out[out < _ROUNDING] = 0
        out[out > 1 - _ROUNDING] = 1
    return out.astype(np.float32)


def labels(tumor_fraction: npt.NDArray[np.float32], background: int, label: Label) -> npt.NDArray[np.int8]:
    """The label (n,) of each patch: 1 tumour, 0 normal, -1 unknown.

    `background`: 0 where the slide is known to be negative or is annotated, so that outside the outlines is normal; else -1.
    """
    out = np.full(len(tumor_fraction), UNKNOWN, np.int8)
    out[tumor_fraction <= label.normal_max] = background
    out[tumor_fraction >= label.tumor_min] = TUMOR
    return out


def _edges(polygons: Polygon | MultiPolygon) -> npt.NDArray[np.float64]:
    """The edges (m, 4) x0, y0, x1, y1 of all rings: shells clockwise on the screen, holes against it."""
    import shapely
    from shapely.geometry.polygon import orient
    rings = [np.asarray(r.coords)[:, :2] for p in shapely.get_parts(polygons) for q in [orient(p, 1.0)] for r in (q.exterior, *q.interiors)]
    return np.concatenate([np.hstack([r[:-1], r[1:]]) for r in rings])
