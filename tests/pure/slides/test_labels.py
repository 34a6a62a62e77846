import time

import numpy as np
import pytest
import shapely
from shapely import MultiPolygon, Point, Polygon, box

from mpicamnet.config import Label
from mpicamnet.slides import labels, tumor_fractions


def of(polygons: Polygon | MultiPolygon, places: list[tuple[int, int]], side: float) -> list[float]:
    x, y = (np.array(v) for v in zip(*places, strict=True))
    return tumor_fractions(polygons, x, y, side).tolist()


def test_shares_of_a_square_are_as_worked_by_hand() -> None:
    # Squares of side 10 against [5, 25] x [5, 25]: a corner (25 of 100), an edge (50), inside, outside, touching from outside
    assert of(box(5, 5, 25, 25), [(0, 0), (10, 0), (10, 10), (40, 40), (25, 5), (5, -5)], 10) == [0.25, 0.5, 1, 0, 0, 0]


def test_holes_and_slanted_edges_count_exactly() -> None:
    triangle = Polygon([(0, 0), (20, 0), (0, 20)])
    assert of(triangle, [(0, 0), (10, 0), (10, 10)], 10) == [1, 0.5, 0]
    ring = box(0, 0, 30, 30).difference(box(10, 10, 20, 20))
    assert of(ring, [(0, 0), (5, 5), (10, 10), (8, 10)], 10) == pytest.approx([1, 0.75, 0, 0.2])


def test_inside_and_outside_are_exactly_1_and_0() -> None:
    blob = Point(50_000.3, 50_000.7).buffer(20_000, 500)
    x = np.arange(0, 100_000, 97)
    shares = tumor_fractions(blob, x, np.full_like(x, 50_000), 224.0)
    wholly = shapely.contains(blob, shapely.box(x, 50_000, x + 224, 50_224))
    apart = ~shapely.intersects(blob, shapely.box(x, 50_000, x + 224, 50_224))
    assert wholly.any() and apart.any()
    assert (shares[wholly] == 1).all() and (shares[apart] == 0).all()


def outline(points: int) -> MultiPolygon:
    """A ragged lesion with a hole, and a second one, on a slide of 100,000 px."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 2 * np.pi, points, endpoint=False)
    r = 30_000 + 8_000 * np.sin(37 * t) + rng.normal(0, 200, points)
    ragged = shapely.make_valid(Polygon(np.c_[50_000 + r * np.cos(t), 50_000 + r * np.sin(t)]))
    hole = Point(50_000, 50_000).buffer(9_000)
    return shapely.union(shapely.difference(ragged, hole), box(90_000, 1_000, 95_000, 7_000))


@pytest.mark.parametrize("side", [224.0, 100.3, 4096.0, 1.0])
def test_shares_are_shapelys(side: float) -> None:
    polygons, rng = outline(1_000), np.random.default_rng(1)
    x, y = rng.integers(0, 99_000, (2, 60_000))
    shares = tumor_fractions(polygons, x, y, side)
    some = np.r_[0:100, np.flatnonzero((shares > 0) & (shares < 1))[:200]]
    areas = shapely.area(shapely.intersection(polygons, shapely.box(x[some], y[some], x[some] + side, y[some] + side)))
    assert np.abs(areas / side**2 - shares[some]).max() < 1e-6


def test_200_000_patches_over_5_000_vertices_take_less_than_3_s() -> None:
    polygons, rng = outline(5_000), np.random.default_rng(2)
    x, y = rng.integers(0, 99_000, (2, 200_000))
    tumor_fractions(polygons, x[:1], y[:1], 224.0)  # compiles
    begun = time.perf_counter()
    tumor_fractions(polygons, x, y, 224.0)
    assert time.perf_counter() - begun < 3


def test_without_outlines_there_is_no_tumour() -> None:
    x = np.arange(5)
    assert tumor_fractions(None, x, x, 10).tolist() == tumor_fractions(MultiPolygon(), x, x, 10).tolist() == [0] * 5
    assert tumor_fractions(box(0, 0, 9, 9), x[:0], x[:0], 10).shape == (0,)


def test_labels_follow_the_limits_and_what_is_known_of_the_background() -> None:
    shares = np.array([0, 0.1, 0.49, 0.5, 1], np.float32)
    assert labels(shares, 0, Label()).tolist() == [0, -1, -1, 1, 1]
    assert labels(shares, -1, Label()).tolist() == [-1, -1, -1, 1, 1]
    assert labels(shares, 0, Label(tumor_min=1.0, normal_max=0.1)).tolist() == [0, 0, -1, -1, 1]
    assert labels(shares, 0, Label()).dtype == np.int8
