"""Tumour outlines, whatever their format: one (Multi)Polygon in level-0 px, holes cut out, nothing counted twice."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SlideError
from .slide import Slide

if TYPE_CHECKING:
    from shapely import MultiPolygon, Polygon
    from shapely.geometry.base import BaseGeometry

SUFFIXES = (".xml", ".geojson", ".json", ".tif", ".tiff")
# Groups and classes that are cut out of the tumour. Camelyon16 calls them _2, Camelyon17 "normal"; ASAP users write the others.
EXCLUDED = frozenset({"_2", "2", "normal", "exclusion", "exclude", "excluded", "none_tumor", "non_tumor", "nontumor", "no_tumor",
                      "not_tumor", "healthy", "benign", "negative", "hole", "holes", "background", "ignore", "ignore*"})
_LEAST_INSIDE = 0.5


def is_excluded(group: str | None) -> bool:
    """Whether a group or class means "no tumour here"; any other name (Tumor, metastases, _0, _1, None, ...) means tumour."""
    return (group or "").strip().lower().replace("-", "_").replace(" ", "_") in EXCLUDED


def read_annotation(path: str | Path) -> Polygon | MultiPolygon:
    """The tumour of an annotation file, in level-0 px.

    ASAP XML (.xml), QuPath GeoJSON (.geojson, .json), Camelyon16 outlines as JSON (.json), or a mask (.tif: px of 1 or above 2 are tumour).
    A file without outlines gives an empty MultiPolygon. Raises SlideError where the file cannot be read as one of these, with the place.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise SlideError(f"annotations of type `{suffix}` are not read", path, "it can be " + ", ".join(SUFFIXES))
    if suffix in (".tif", ".tiff"):
        from .mask_annotation import mask_outlines
        return area(mask_outlines(path), [])
    try:
        text = path.read_bytes()
    except OSError as e:
        raise SlideError("the annotation cannot be read", path, (e.strerror or str(e)).lower()) from None
    if suffix == ".xml":
        from .asap import asap_outlines
        return area(*asap_outlines(text, path))
    from .json_annotation import json_outlines
    return area(*json_outlines(text, path))


def area(tumor: list[BaseGeometry], excluded: list[BaseGeometry]) -> Polygon | MultiPolygon:
    """The union of `tumor` less the union of `excluded`; outlines that cross themselves are mended first."""
    import shapely
    whole = shapely.union_all([_mended(g) for g in tumor])
    if excluded:
        whole = shapely.difference(whole, shapely.union_all([_mended(g) for g in excluded]))
    return _polygons_only(whole)


def check_annotation(polygons: Polygon | MultiPolygon, slide: Slide) -> None:
    """Raise SlideError where most of the annotated area lies outside the slide: it belongs to another one."""
    import shapely
    if polygons.is_empty:
        return
    inside = shapely.intersection(polygons, shapely.box(0, 0, slide.width, slide.height)).area / polygons.area
    if inside < _LEAST_INSIDE:
        left, top, right, bottom = (round(b) for b in polygons.bounds)
        raise SlideError(f"{1 - inside:.0%} of the annotation lies outside the slide", slide.name,
                         f"it spans x {left} to {right}, y {top} to {bottom}, the slide has {slide.width} x {slide.height} px: "
                         "the annotation of another slide?")


def _mended(g: BaseGeometry) -> BaseGeometry:
    import shapely
    return g if g.is_valid else _polygons_only(shapely.make_valid(g))


def _polygons_only(g: BaseGeometry) -> Polygon | MultiPolygon:
    """The areas of a geometry: make_valid and difference can leave lines and points beside them."""
    import shapely
    if isinstance(g, (shapely.Polygon, shapely.MultiPolygon)):
        return g if not g.is_empty else shapely.MultiPolygon()
    parts = [p for p in shapely.get_parts(g) if isinstance(p, (shapely.Polygon, shapely.MultiPolygon)) and not p.is_empty]
    union = shapely.union_all(parts)
    return union if isinstance(union, (shapely.Polygon, shapely.MultiPolygon)) and not union.is_empty else shapely.MultiPolygon()
