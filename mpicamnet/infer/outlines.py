"""Regions as files that viewers open: GeoJSON as QuPath writes it, and the XML of ASAP; both in level-0 px."""
from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from .regions import Region

SHADES = ((33, 102, 172), (244, 165, 66), (178, 24, 43))  # of the lowest to the highest threshold: blue, orange, red


def write_geojson(path: Path, regions: list[Region], thresholds: list[float]) -> None:
    """A feature per region: an annotation of QuPath, of a class per threshold, with probability and area as measurements.

    Source: QuPath 0.6, qupath.lib.io.QuPathTypeAdapters.
    """
    said = {"type": "FeatureCollection", "features": [_feature(r, thresholds) for r in regions]}
    path.write_text(json.dumps(said, separators=(",", ":")), encoding="utf-8")


def class_name(threshold: float) -> str:
    """What regions of a threshold are called."""
    return f"Tumor >= {threshold:g}"


def _feature(region: Region, thresholds: list[float]) -> dict[str, Any]:
    area = {"Area mm^2": round(region.mm2, 6)} if region.mm2 is not None else {"Area px^2": round(region.outline.area, 2)}
    measured = {"Probability mean": round(region.mean, 6), "Probability max": round(region.most, 6), "Threshold": region.threshold, **area}
    return {"type": "Feature", "geometry": shapely.geometry.mapping(region.outline),
            "properties": {"objectType": "annotation", "name": f"p {region.mean:.2f}" + (f", {region.mm2:.3g} mm2" if region.mm2 is not None else ""),
                           "classification": {"name": class_name(region.threshold), "color": list(_shade(region.threshold, thresholds))},
                           "isLocked": True, "measurements": measured}}


def write_asap(path: Path, regions: list[Region], thresholds: list[float]) -> None:
    """An annotation per region, in a group per threshold.

    ASAP has no holes: a ring leaves the outline for each hole, goes around it and comes back the same way, which encloses nothing.
    """
    root = ET.Element("ASAP_Annotations")
    annotations, groups = ET.SubElement(root, "Annotations"), ET.SubElement(root, "AnnotationGroups")
    for k, region in enumerate(regions):
        colour = _hex(region.threshold, thresholds)
        one = ET.SubElement(annotations, "Annotation", Name=f"Annotation {k}", Type="Polygon", PartOfGroup=class_name(region.threshold), Color=colour)
        points = ET.SubElement(one, "Coordinates")
        for order, (x, y) in enumerate(keyhole(region.outline).tolist()):
            ET.SubElement(points, "Coordinate", Order=str(order), X=f"{x:.10g}", Y=f"{y:.10g}")
    for threshold in thresholds:
        group = ET.SubElement(groups, "Group", Name=class_name(threshold), PartOfGroup="None", Color=_hex(threshold, thresholds))
        ET.SubElement(group, "Attributes")
    ET.indent(root, "\t")
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def keyhole(outline: shapely.Polygon) -> npt.NDArray[np.float64]:
    """A polygon with its holes as one ring, (n, 2), not closed: from the left end of each hole straight to what lies left of it, and back."""
    ring = shapely.get_coordinates(outline.exterior)[:-1]
    holes = [shapely.get_coordinates(h)[:-1] for h in outline.interiors]
    holes = [np.roll(h, -int(np.lexsort((h[:, 1], h[:, 0]))[0]), axis=0) for h in holes]
    for hole in sorted(holes, key=lambda h: (h[0, 0], h[0, 1])):  # left to right: the ring then holds all that can lie left of a hole
        x, y = hole[0]
        begin, end = ring, np.roll(ring, -1, axis=0)
        crossed = np.flatnonzero((begin[:, 1] <= y) != (end[:, 1] <= y))
        share = (y - begin[crossed, 1]) / (end[crossed, 1] - begin[crossed, 1])
        at = begin[crossed, 0] + share * (end[crossed, 0] - begin[crossed, 0])
        nearest = int(np.where(at <= x, at, -np.inf).argmax())
        bridge = np.array([[at[nearest], y]])
        after = int(crossed[nearest]) + 1
        ring = np.concatenate([ring[:after], bridge, hole, hole[:1], bridge, ring[after:]])
    return ring


def _shade(threshold: float, thresholds: list[float]) -> tuple[int, int, int]:
    place = sorted(thresholds).index(threshold)
    return SHADES[0] if len(thresholds) == 1 else SHADES[round(place / (len(thresholds) - 1) * (len(SHADES) - 1))]


def _hex(threshold: float, thresholds: list[float]) -> str:
    return "#{:02x}{:02x}{:02x}".format(*_shade(threshold, thresholds))
