"""From a heatmap of windows to px over the slide."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.infer.heatmap import Heatmap
from mpicamnet.infer.raster import Raster, raster, step_of
from mpicamnet.patches.grid import Grid

Values = npt.NDArray[np.float32]


def drawn(prob: list[list[float]], patch: int, stride: int, how: str, tissue: npt.NDArray[np.bool_] | None = None, downsample: float = 1.0) -> Raster:
    """The raster of a slide that is just as large as its windows; all tissue where nothing else is said."""
    values = np.array(prob, np.float32)
    height, width = ((n - 1) * stride + patch for n in values.shape)
    grid = Grid(width, height, downsample, patch, stride, 4096)
    size = round(width * downsample), round(height * downsample)
    mask = np.ones((1, 1), bool) if tissue is None else tissue
    return raster(grid, Heatmap(values, 0, 0, stride * downsample), size, mask, size[0] / mask.shape[1], how)


def at(r: Raster, x: float, y: float) -> float:
    return float(r.prob[int(y / r.step), int(x / r.step)])


def test_nearest_gives_each_window_its_own_square() -> None:
    r = drawn([[0.1, 0.9], [0.3, 0.7]], 64, 64, "nearest")
    assert r.step == 1 and r.prob.shape == (128, 128)  # a small slide is drawn px by px
    for (row, column), p in {(0, 0): 0.1, (0, 1): 0.9, (1, 0): 0.3, (1, 1): 0.7}.items():
        square = r.prob[64 * row:64 * (row + 1), 64 * column:64 * (column + 1)]
        assert np.unique(square) == pytest.approx([p])


@pytest.mark.parametrize("how", ["linear", "cubic"])
def test_between_the_middles_of_two_windows_lies_their_mean_and_at_a_middle_the_window(how: str) -> None:
    """Windows of 65 px side by side: middles at 32.5, 97.5, ... which is the middle of px 32 and 97, and half way between them px 65 begins."""
    r = drawn([[0.2, 0.2, 0.8, 0.8]], 65, 65, how)
    assert at(r, 97, 30) == pytest.approx(0.2, abs=1e-6) and at(r, 162, 30) == pytest.approx(0.8, abs=1e-6)
    assert (at(r, 129, 30) + at(r, 130, 30)) / 2 == pytest.approx(0.5, abs=1e-6)
    # A quarter of the way, px 113.75: linear 0.2 + 0.6 / 4; Keys' kernel at 1.25, 0.25, 0.75, 1.75 (equation 15, by hand).
    weights = {"linear": (0, 0.75, 0.25, 0), "cubic": (-0.0703125, 0.8671875, 0.2265625, -0.0234375)}[how]
    quarter = np.interp(113.75, np.arange(260) + 0.5, r.prob[30])
    assert quarter == pytest.approx(np.dot(weights, (0.2, 0.2, 0.8, 0.8)), abs=1e-3)


def test_where_windows_overlap_all_that_see_a_point_count_by_the_nearness_of_their_middles() -> None:
    """Windows of 100 px every 25: middles at 50, 75, 100, 125. At x = 87.5 their distances are 37.5, 12.5, 12.5, 37.5 of at most 50, so that
    their weights are 0.25, 0.75, 0.75, 0.25, of 2."""
    r = drawn([[0.0, 1.0, 0.0, 1.0]] * 4, 100, 25, "linear")
    middle = (at(r, 87, 80) + at(r, 87.9, 80)) / 2
    assert middle == pytest.approx((0.75 + 0.25) / 2, abs=0.01)
    x = 75.5  # px 75: distances 25.5, 0.5, 24.5, 49.5: weights 0.49, 0.99, 0.51, 0.01
    assert at(r, x, 80) == pytest.approx((0.99 + 0.01) / (0.49 + 0.99 + 0.51 + 0.01), abs=1e-5)


@pytest.mark.parametrize("how", ["nearest", "linear", "cubic"])
def test_a_constant_stays_what_it_is_and_nothing_leaves_0_to_1(how: str) -> None:
    assert np.unique(drawn([[0.3] * 5] * 4, 60, 20, how).prob) == pytest.approx(0.3, abs=1e-6)
    steep = drawn([[0, 0, 1, 1], [0, 1, 0, 1]] * 2, 60, 60, how).prob
    assert steep.min() >= 0 and steep.max() <= 1


def test_outside_tissue_and_outside_windows_there_is_no_probability() -> None:
    nan = float("nan")
    tissue = np.ones((2, 4), bool)
    tissue[0, 1] = False
    r = drawn([[0.2, 0.2, 0.2, nan], [0.2, 0.2, 0.2, nan]], 64, 64, "linear", tissue)
    expected = np.ones((128, 256), bool)
    expected[:, 192:] = False  # no window was predicted there
    expected[:64, 64:128] = False  # no tissue there
    assert np.array_equal(np.isfinite(r.prob), expected)
    assert np.isnan(drawn([[nan, nan]], 64, 64, "linear").prob).all()


def test_places_are_those_of_level_0_also_where_patches_are_read_coarser() -> None:
    """Windows of 64 px at downsample 2.5 are 160 px wide on level 0."""
    r = drawn([[0.1, 0.9]], 64, 64, "nearest", downsample=2.5)
    assert r.prob.shape == (160, 320)
    assert np.unique(r.prob[:, :160]) == pytest.approx(0.1) and np.unique(r.prob[:, 160:]) == pytest.approx(0.9)


def test_steps_are_powers_of_two_and_no_raster_is_huge() -> None:
    camelyon = Grid(100_000, 200_000, 1.0, 224, 224, 3584)
    assert step_of(camelyon, (100_000, 200_000)) == 32  # 56 px at most: four to a stride
    assert step_of(Grid(300_000, 300_000, 1.0, 224, 16, 3584), (300_000, 300_000)) == 64  # not 4: 5.6 thousand million px
    assert step_of(Grid(700, 500, 1.0, 64, 64, 4096), (700, 500)) == 1


def test_half_the_resolution_is_the_mean_of_what_is_tissue() -> None:
    nan = np.nan
    r = Raster(np.array([[0.2, 0.4, nan], [nan, 0.6, nan], [0.5, nan, 0.9]], np.float32), 4).half()
    assert r.step == 8
    assert r.prob[0, 0] == pytest.approx(0.4) and np.isnan(r.prob[0, 1]) and r.prob[1].tolist() == pytest.approx([0.5, 0.9])
