"""Outlines in JSON: QuPath's GeoJSON, and Camelyon16's outlines as `{"positive": [{"vertices"}], "negative": [...]}`."""
from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SlideError
from .annotation import is_excluded

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

Outlines = tuple[list["BaseGeometry"], list["BaseGeometry"]]


def json_outlines(text: bytes, path: Path) -> Outlines:
    """The polygons that are tumour and those that are cut out of it."""
    try:
        tree = json.loads(text)
    except json.JSONDecodeError as e:
        raise SlideError("the annotation is no well-formed JSON", f"{path}, line {e.lineno}", e.msg) from None
    except UnicodeDecodeError:
        raise SlideError("the annotation is no well-formed JSON", path, "it is not text") from None
    try:
        if isinstance(tree, dict) and "type" not in tree and ("positive" in tree or "negative" in tree):
            return _camelyon(tree.get("positive"), path), _camelyon(tree.get("negative"), path)
        return _geojson(tree, path)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as e:
        raise SlideError("the annotation is neither GeoJSON nor Camelyon16's outlines", path,
                         f"unexpected {type(e).__name__}: {e}") from None


def _camelyon(items: Any, path: Path) -> list[BaseGeometry]:
    from shapely import Polygon
    found: list[BaseGeometry] = []
    for k, item in enumerate(items or []):
        found.append(Polygon(_ring(item["vertices"], item.get("name") or f"number {k}", path)))
    return found


def _geojson(tree: Any, path: Path) -> Outlines:
    from shapely import Polygon
    tumor: list[BaseGeometry] = []
    excluded: list[BaseGeometry] = []
    for k, (geometry, group, label) in enumerate(_features(tree)):
        name = label or f"number {k}"
        for rings in _polygons(geometry):
            if rings:
                shell, *holes = [_ring(r, name, path) for r in rings]
                (excluded if is_excluded(group) else tumor).append(Polygon(shell, holes))
    return tumor, excluded


def _features(tree: Any) -> Iterator[tuple[Any, str | None, str | None]]:
    """Geometry, class and name of every feature of a collection, a list, one feature or a bare geometry."""
    if isinstance(tree, list):
        for item in tree:
            yield from _features(item)
    elif tree["type"] == "FeatureCollection":
        yield from _features(tree["features"])
    elif tree["type"] == "Feature":
        properties = tree.get("properties") or {}
        group = properties.get("classification") or {}
        # QuPath 0.2 wrote the class as a text, later versions as {"name", "color"} or {"names": [...]}.
        if isinstance(group, dict):
            group = group.get("name") or (group.get("names") or [None])[0]
        yield tree["geometry"], group, properties.get("name") or tree.get("id")
    else:
        yield tree, None, None


def _polygons(geometry: Any) -> Iterator[Any]:
    """The ring lists of the polygons of a geometry; points and lines have no area and are passed over."""
    if geometry is None:
        return
    kind = geometry["type"]
    if kind == "Polygon":
        yield geometry["coordinates"]
    elif kind == "MultiPolygon":
        yield from geometry["coordinates"]
    elif kind == "GeometryCollection":
        for g in geometry["geometries"]:
            yield from _polygons(g)
    elif kind not in ("Point", "MultiPoint", "LineString", "MultiLineString"):
        raise ValueError(f"type {kind!r}")


def _ring(points: Any, name: str, path: Path) -> list[tuple[float, float]]:
    ring = [(float(p[0]), float(p[1])) for p in points]
    if len(ring) < 3:
        raise SlideError(f"annotation `{name}` has {len(ring)} points", path, "an outline needs at least 3: delete it, or draw it anew")
    if not all(math.isfinite(v) for p in ring for v in p):
        raise SlideError(f"annotation `{name}` has a coordinate that is no number", path, "delete it, or draw it anew")
    return ring
