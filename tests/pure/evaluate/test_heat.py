"""Heatmaps as arrays: peaks and lesions planted in them are found, with the length that they have."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.evaluate.heat import Heat, features, heat_of, peaks, smoothed


def grid(prob: npt.NDArray[np.float64], cell: float = 100.0) -> Heat:
    return Heat(prob.astype(np.float32), 0.0, 0.0, cell)


def test_tiles_stand_where_their_middles_are() -> None:
    """Tiles of 96 px every 48 px: the middle 48 px of the tile at (480, 960) begin at 480 + 24. The corners in between have no tile."""
    heat = heat_of(np.array([[480, 960], [576, 1008]]), np.array([0.25, 0.75], np.float32), 48.0, 96.0)
    assert (heat.left, heat.top, heat.cell) == (504, 984, 48)
    assert heat.prob.shape == (2, 3)
    assert heat.prob[0, 0] == 0.25 and heat.prob[1, 2] == 0.75 and np.isnan(heat.prob).sum() == 4


def test_smoothing_leaves_an_even_map_as_it_is_and_stays_on_tissue() -> None:
    prob = np.full((20, 20), 0.7)
    prob[:, 12:] = np.nan
    out = smoothed(grid(prob), 2.0).prob
    assert np.isnan(out[:, 12:]).all()
    assert out[:, :12] == pytest.approx(np.full((20, 12), 0.7), abs=1e-6)  # not paler towards the edge of the tissue


def test_smoothing_by_half_a_cell_keeps_three_fifths_of_a_single_cell() -> None:
    """A Gaussian of sigma 0.5 on whole numbers: 1 / (1 + 2 exp(-2) + 2 exp(-8)) = 0.7866 in the middle; squared in two dimensions."""
    prob = np.zeros((9, 9))
    prob[4, 4] = 1
    middle = 1 / (1 + 2 * np.exp(-2) + 2 * np.exp(-8))
    assert smoothed(grid(prob), 0.5).prob[4, 4] == pytest.approx(middle**2, abs=1e-4)


def test_peaks_are_the_highest_of_their_neighbourhood() -> None:
    """Planted: 0.9 at row 5, column 5; 0.8 two cells beside it (nearer than 300 px: it goes); 0.6 far away; 0.05 too low."""
    prob = np.zeros((30, 30))
    prob[5, 5], prob[5, 7], prob[20, 10], prob[25, 25] = 0.9, 0.8, 0.6, 0.05
    xy, confidence = peaks(grid(prob), 0.1, 300.0)
    assert xy.tolist() == [[550, 550], [1050, 2050]]
    assert confidence.tolist() == pytest.approx([0.9, 0.6])


def test_peaks_at_the_edge_of_the_slide_and_at_the_least_probability_are_found() -> None:
    prob = np.full((6, 6), np.nan)
    prob[0, 0], prob[5, 5] = 0.1, 0.4
    xy, confidence = peaks(grid(prob), 0.1, 100.0)
    assert xy.tolist() == [[550, 550], [50, 50]] and confidence.tolist() == pytest.approx([0.4, 0.1])
    assert len(peaks(heat_of(np.zeros((0, 2), np.int64), np.zeros(0, np.float32), 100.0, 100.0), 0.1, 100.0)[0]) == 0


def test_a_planted_lesion_has_its_length_and_area() -> None:
    """Cells of 100 px at 0.5 um: 50 um. A block of 3 x 4 cells is 150 x 200 um: diagonal 250 um, 0.03 mm2. A diagonal pair touches at a corner:
    one lesion of 100 x 100 um, diagonal 141 um, 0.005 mm2. A pale cell of 0.6 beside the block lengthens it; one standing alone is no lesion."""
    prob = np.zeros((20, 20))
    prob[2:5, 2:6] = 0.95
    prob[10, 10] = prob[11, 11] = 0.9
    prob[17, 3] = 0.6
    f = features(grid(prob), 0.5, 0.9, 0.5)
    assert f.lesions == 2
    assert f.longest_axis_mm == pytest.approx(0.25) and f.area_mm2 == pytest.approx(0.035)
    assert f.maximum == pytest.approx(0.95) and f.mean == pytest.approx((12 * 0.95 + 2 * 0.9 + 0.6) / 400)
    prob[2, 6] = 0.6
    longer = features(grid(prob), 0.5, 0.9, 0.5)
    assert longer.lesions == 2 and longer.longest_axis_mm == pytest.approx(np.hypot(0.25, 0.15))


def test_without_resolution_lesions_are_counted_and_have_no_length() -> None:
    prob = np.zeros((4, 4))
    assert features(grid(prob), 0.5, 0.9, None).longest_axis_mm == 0
    prob[1, 1] = 1
    f = features(grid(prob), 0.5, 0.9, None)
    assert f.lesions == 1 and f.area_mm2 is None and f.longest_axis_mm is None
    assert features(grid(np.full((2, 2), np.nan)), 0.5, 0.9, 0.5).maximum == 0
