"""Outlines of ASAP (Automated Slide Analysis Platform), the XML of Camelyon16 and Camelyon17."""
from __future__ import annotations

import math
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import SlideError
from .annotation import is_excluded

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

_NO_AREA = ("dot", "pointset", "measurement")


def asap_outlines(text: bytes, path: Path) -> tuple[list[BaseGeometry], list[BaseGeometry]]:
    """The polygons that are tumour and those that are cut out of it; points are taken in the order of their `Order`."""
    from shapely import Polygon
    try:
        root = ET.fromstring(text)
    except ET.ParseError as e:
        raise SlideError("the annotation is no well-formed XML", f"{path}, line {e.position[0]}", str(e).split(":", 1)[0]) from None
    tumor: list[BaseGeometry] = []
    excluded: list[BaseGeometry] = []
    for k, a in enumerate(root.iter("Annotation")):
        if (a.get("Type") or "").lower() in _NO_AREA:
            continue
        name = a.get("Name") or f"number {k}"
        try:
            numbered = [(int(c.attrib["Order"]), float(c.attrib["X"]), float(c.attrib["Y"])) for c in a.iter("Coordinate")]
        except (KeyError, ValueError) as e:
            raise SlideError(f"annotation `{name}` has a coordinate that cannot be read", path,
                             f"Order, X, Y must be numbers: {e}") from None
        if len(numbered) < 3:
            raise SlideError(f"annotation `{name}` has {len(numbered)} points", path,
                             "an outline needs at least 3: delete it, or draw it anew")
        if not all(math.isfinite(x) and math.isfinite(y) for _, x, y in numbered):
            raise SlideError(f"annotation `{name}` has a coordinate that is no number", path, "delete it, or draw it anew")
        points = [(x, y) for _, x, y in sorted(numbered, key=lambda p: p[0])]
        (excluded if is_excluded(a.get("PartOfGroup")) else tumor).append(Polygon(points))
    return tumor, excluded
