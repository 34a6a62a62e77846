"""Lesions from outlines: joined, widened and sorted out as Camelyon16's evaluation does, held against scikit-image on px."""
from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import shapely
from scipy import ndimage
from shapely.affinity import rotate, scale, translate
from skimage.draw import polygon2mask
from skimage.measure import label, regionprops

from mpicamnet.evaluate import annotated_lesions, lesion_of, slide_class
from mpicamnet.evaluate.lesions import longest_axis, major_axis
from mpicamnet.slides import read_annotation
from tests.shared_data import DATA, needs_data

CIRCLE = shapely.Point(0, 0).buffer(1, quad_segs=64)


def at(x: float, y: float, shape: shapely.Polygon) -> shapely.Polygon:
    moved = translate(shape, x, y)
    assert isinstance(moved, shapely.Polygon)
    return moved


def test_the_major_axis_is_that_of_an_ellipse_and_of_a_rectangle() -> None:
    """An ellipse has its own; a rectangle of length a has the second moment a^2 / 12, so 4 a / sqrt(12)."""
    ellipse = rotate(scale(CIRCLE, 30, 10), 25)
    assert isinstance(ellipse, shapely.Polygon)
    assert major_axis(at(1e5, 2e5, ellipse)) == pytest.approx(60, rel=1e-3)
    assert major_axis(shapely.box(0, 0, 12, 5)) == pytest.approx(4 * 12 / np.sqrt(12))


def test_lesions_are_what_the_challenge_finds_on_px() -> None:
    """Outlines at 4 um per px: two that the widening joins, one alone, one small; the second has a hole, which is filled.

    Reference: px farther than nothing from tumour up to 37.5 um, holes filled, 8-connected pieces, axis_major_length of regionprops.
    """
    mpp = 4.0
    outlines = shapely.MultiPolygon([shapely.box(40, 40, 100, 70), shapely.box(112, 45, 160, 60),  # 12 px = 48 um apart: joined
                                     shapely.Polygon(shapely.box(40, 150, 140, 200).exterior, [shapely.box(70, 160, 110, 190).exterior]),
                                     shapely.box(250, 250, 270, 262)])  # 80 um long
    mask = np.zeros((300, 300), bool)
    for p in outlines.geoms:
        mask |= polygon2mask(mask.shape, shapely.get_coordinates(p.exterior)[:, ::-1] - 0.5)
        for hole in p.interiors:
            mask &= ~polygon2mask(mask.shape, shapely.get_coordinates(hole)[:, ::-1] - 0.5)
    pieces = label(ndimage.binary_fill_holes(ndimage.distance_transform_edt(~mask) < 75 / (mpp * 2)), connectivity=2)
    expected = [r.axis_major_length * mpp for r in regionprops(pieces)]

    got = annotated_lesions(outlines, mpp)
    assert len(got) == len(expected) == 3
    assert got.major_axis_um == pytest.approx(expected, rel=0.04)
    assert got.counted.tolist() == [True, True, False]
    for region, r in zip(got.regions, regionprops(pieces), strict=True):
        assert region.area == pytest.approx(r.area, rel=0.06)  # from px to px centre the distance is up to half a px too long
        assert len(region.interiors) == 0


def test_two_hundred_um_divide_lesions_from_isolated_tumour_cells() -> None:
    """A disc of diameter d is a disc of diameter d + 75 when widened: it counts from 200 um on."""
    mpp = 0.25
    discs = shapely.MultiPolygon([at(5000, 5000 * i, scale(CIRCLE, d / 2 / mpp, d / 2 / mpp)) for i, d in ((1, 190.0), (2, 210.0))])
    got = annotated_lesions(discs, mpp)
    assert got.major_axis_um == pytest.approx([265, 285], rel=2e-3)
    assert got.counted.tolist() == [False, True]


def test_a_point_lies_in_the_lesion_that_holds_it_or_is_just_beside() -> None:
    """At 1 um per px: 30 px beside the box is inside the widened lesion, 45 px is not; the hole belongs to the lesion."""
    ring = shapely.Polygon(shapely.box(100, 100, 600, 600).exterior, [shapely.box(300, 300, 400, 400).exterior])
    lesions = annotated_lesions(shapely.MultiPolygon([ring, shapely.box(100, 900, 500, 1000)]), 1.0)
    points = np.array([[630, 350], [645, 350], [350, 350], [300, 950], [2000, 2000]], float)
    assert lesion_of(lesions, points).tolist() == [0, -1, 0, 1, -1]
    assert lesion_of(lesions, np.zeros((0, 2))).tolist() == []
    assert len(annotated_lesions(shapely.MultiPolygon(), 1.0)) == 0


def test_the_longest_axis_is_that_of_one_piece() -> None:
    """A box of 30 x 40 has a diagonal of 50; a second one far away does not lengthen it."""
    assert longest_axis(shapely.MultiPolygon([shapely.box(0, 0, 30, 40), shapely.box(1000, 0, 1010, 10)])) == pytest.approx(50)
    assert longest_axis(shapely.MultiPolygon()) == 0


@needs_data
def test_real_isolated_tumour_cells_do_not_count() -> None:
    """Camelyon17's patient_004_node_4: three outlines, and stage_labels.csv calls the slide itc. 0.243 um per px."""
    outlines = read_annotation(DATA / "annotations" / "camelyon17" / "patient_004_node_4.xml")
    lesions = annotated_lesions(outlines, 0.243)
    assert lesions.counted.tolist() == [False, False, False]
    assert slide_class(longest_axis(outlines) * 0.243 / 1000) == "itc"


@needs_data
def test_the_longest_axis_of_outlines_gives_the_class_that_the_table_has() -> None:
    """The outlined slides of pcam_slides (0.972 um per px): 6 macro, 3 micro, 1 itc."""
    root = DATA / "pcam_slides"
    with (root / "stage_labels.csv").open(newline="") as f:
        told = {Path(row["patient"]).stem: row["stage"] for row in csv.DictReader(f)}
    found = {p.stem: slide_class(longest_axis(read_annotation(p)) * 0.972 / 1000) for p in (root / "lesion_annotations").glob("*.xml")}
    assert len(found) == 10
    assert found == {name: told[name] for name in found}
