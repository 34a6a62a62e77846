"""From px to regions with holes, and to the files that QuPath and ASAP open."""
from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
import shapely
from scipy import ndimage
from scipy.stats import rankdata

from mpicamnet.infer.outlines import class_name, keyhole, write_asap, write_geojson
from mpicamnet.infer.raster import Raster
from mpicamnet.infer.regions import regions
from mpicamnet.slides import read_annotation

STEP, MPP = 16, 0.5
CORNER = 0.5 * (STEP / 2) ** 2  # what an outline cuts off at a corner of px: half a square of half a px


def tissue() -> Raster:
    """A slide of 480 x 320 px. A lesion of 10 x 17 px of 0.95, with a hole in the tissue of 1 px and a hole of 3 x 4 px of 0.6; and one of
    3 x 5 px of 0.7 at the left edge of the slide."""
    p = np.full((20, 30), np.nan, np.float32)
    p[2:12, 3:20] = 0.95
    p[5:8, 6:10] = 0.6
    p[9, 12] = np.nan
    p[15:18, 0:5] = 0.7
    return Raster(p, STEP)


def test_regions_at_the_edge_of_tissue_run_along_the_edges_of_px() -> None:
    large, small = regions(tissue(), 0.5, MPP, (480, 320))
    box, hole = shapely.box(48, 32, 320, 192), shapely.box(192, 144, 208, 160)
    assert shapely.symmetric_difference(large.outline, box - hole).area == pytest.approx(4 * CORNER + 4 * CORNER)
    assert large.mm2 == pytest.approx((170 * STEP**2 - 4 * CORNER - (STEP**2 - 4 * CORNER)) * MPP**2 / 1e6)
    assert large.mean == pytest.approx((0.95 * 157 + 0.6 * 12) / 169) and large.most == pytest.approx(0.95)
    assert small.outline.bounds == (0, 240, 80, 288) and small.mean == pytest.approx(0.7)


def test_inside_tissue_an_outline_runs_where_the_probability_is_the_threshold() -> None:
    """From 0.95 to 0.6 within a px of 16: 0.9 lies 16 * 0.05 / 0.35 = 2.286 from the middle of the px of 0.95, at x = 6 * 16 - 8 + 2.286."""
    (region,) = regions(tissue(), 0.9, MPP, (480, 320))
    holes = sorted((shapely.Polygon(h) for h in region.outline.interiors), key=lambda h: h.bounds)
    assert len(holes) == 2
    assert holes[0].bounds == pytest.approx((90.286, 74.286, 165.714, 133.714), abs=0.15)
    assert region.mean == pytest.approx(0.95)


def test_px_that_touch_at_a_corner_and_regions_that_fill_the_slide() -> None:
    p = np.full((8, 8), 0.1, np.float32)
    p[2, 2] = p[3, 3] = 0.9
    for r in regions(Raster(p, 4), 0.5, None, (32, 32)):
        assert r.outline.is_valid and r.mm2 is None
    (whole,) = regions(Raster(np.full((8, 8), 0.9, np.float32), 4), 0.5, 1.0, (30, 29))  # the last px reach beyond the slide
    assert whole.outline.bounds == (0, 0, 30, 29)
    assert regions(Raster(np.full((8, 8), np.nan, np.float32), 4), 0.5, 1.0, (32, 32)) == []


def clouds(seed: int) -> Raster:
    rng = np.random.default_rng(seed)
    p = ndimage.gaussian_filter(rng.normal(size=(90, 110)), 1.5)
    p = (rankdata(p) / p.size).reshape(p.shape).astype(np.float32)
    p[ndimage.gaussian_filter(rng.normal(size=p.shape), 6) < -0.02] = np.nan
    return Raster(p, 8)


@pytest.mark.parametrize("seed", range(6))
def test_regions_of_clouds_are_valid_hold_their_px_and_survive_both_files(seed: int, tmp_path: Path) -> None:
    raster = clouds(seed)
    found = {t: regions(raster, t, MPP, (880, 720)) for t in (0.5, 0.6)}
    for t, some in found.items():
        assert all(r.outline.is_valid for r in some)
        whole = shapely.union_all([r.outline for r in some])
        rows, columns = np.nonzero(np.isfinite(raster.prob))
        inside = shapely.contains_xy(whole, (columns + 0.5) * 8, (rows + 0.5) * 8)
        prob = raster.prob[rows, columns]
        wrong = (inside != (prob >= t)) & (np.abs(prob - t) > 0.005)  # a peak so low is smaller than what coordinates are rounded to
        off = shapely.distance(whole.boundary, shapely.points((columns + 0.5) * 8, (rows + 0.5) * 8))
        assert not wrong.any() or off[wrong].max() <= 8 / 4 + 0.25  # by how much outlines are simplified, and rounded
        assert t > 0.5 or sum(len(r.outline.interiors) for r in some) > 0
        for name, write in (("a.xml", write_asap), ("a.geojson", write_geojson)):
            write(tmp_path / name, some, [t])
            read = read_annotation(tmp_path / name)
            assert shapely.symmetric_difference(read, whole).area < 2e-4 * whole.area, name


def test_geojson_is_what_qupath_expects_and_shapely_parses(tmp_path: Path) -> None:
    found = [r for t in (0.5, 0.9) for r in regions(tissue(), t, MPP, (480, 320))]
    write_geojson(tmp_path / "a.geojson", found, [0.5, 0.9])
    said = json.loads((tmp_path / "a.geojson").read_text())
    assert said["type"] == "FeatureCollection" and len(said["features"]) == 3
    for feature, region in zip(said["features"], found, strict=True):
        shape, p = shapely.geometry.shape(feature["geometry"]), feature["properties"]
        assert feature["type"] == "Feature" and p["objectType"] == "annotation"
        assert shape.is_valid and shape.equals(region.outline)
        assert p["classification"]["name"] == class_name(region.threshold) and len(p["classification"]["color"]) == 3
        assert p["measurements"]["Area mm^2"] == pytest.approx(shape.area * MPP**2 / 1e6, abs=1e-6)
        assert p["measurements"]["Probability mean"] == pytest.approx(region.mean, abs=1e-6)
    assert [len(shapely.geometry.shape(f["geometry"]).interiors) for f in said["features"]] == [1, 0, 2]


def test_asap_has_an_annotation_per_region_and_a_group_per_threshold(tmp_path: Path) -> None:
    found = [r for t in (0.5, 0.9) for r in regions(tissue(), t, MPP, (480, 320))]
    write_asap(tmp_path / "a.xml", found, [0.5, 0.9])
    root = ET.parse(tmp_path / "a.xml").getroot()
    assert root.tag == "ASAP_Annotations"
    assert [a.get("PartOfGroup") for a in root.iter("Annotation")] == ["Tumor >= 0.5"] * 2 + ["Tumor >= 0.9"]
    assert [g.get("Name") for g in root.iter("Group")] == ["Tumor >= 0.5", "Tumor >= 0.9"]
    for annotation, region in zip(root.iter("Annotation"), found, strict=True):
        points = [(float(c.attrib["X"]), float(c.attrib["Y"])) for c in annotation.iter("Coordinate")]
        assert shapely.Polygon(points).area == pytest.approx(region.outline.area)  # by the shoelace formula, which holes diminish


def test_a_ring_with_two_holes_goes_around_each_and_back_the_same_way() -> None:
    """From the left end of each hole straight to what lies left of it: of the second hole that is the first."""
    shape = shapely.Polygon([(0, 0), (20, 0), (20, 10), (0, 10)], [[(4, 5), (6, 3), (8, 5), (6, 7)], [(12, 5), (14, 3), (16, 5), (14, 7)]])
    ring = keyhole(shape)
    assert len(ring) == 4 + 2 * (4 + 1 + 2)
    assert [0, 5] in ring.tolist() and [8, 5] in ring.tolist()
    assert shapely.make_valid(shapely.Polygon(ring)).area == shape.area == 200 - 2 * 8
