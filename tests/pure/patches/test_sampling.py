"""Random sampling: the drawn order, the adaptive threshold, and how candidates find back to who asked for them."""
from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import shapely

from mpicamnet import config as cfg
from mpicamnet.config import Config, White
from mpicamnet.patches.grid import Grid
from mpicamnet.patches.plan import Candidates, SlidePlan
from mpicamnet.patches.rows import Verdicts
from mpicamnet.patches.sampling import AdaptiveThreshold, Chosen, Draw, arrange
from mpicamnet.patches.units import units_at
from mpicamnet.slides import Resolution, SlideRecord


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "c.yaml"
    path.write_text("{work: w, data: {root: r, patch: 10}, extract: {per_class: 30}}")
    return cfg.load(path)


def plan(name: str = "a", mask: npt.NDArray[np.bool_] | None = None, outlines: shapely.Geometry | None = None, background: int = 0) -> SlidePlan:
    """A slide of 400 x 300 px with a mask px every 4 px; tumour is the left 100 px."""
    mask = np.ones((75, 100), bool) if mask is None else mask
    outlines = shapely.box(0, 0, 100, 300) if outlines is None else outlines
    return SlidePlan(SlideRecord(name, f"/{name}.tif", background=background), 0, 400, 300, 0.5, "generic-tiff", Resolution(0, 1.0, 1.0, 0.5),
                     Grid(400, 300, 1.0, 10, 10, 50), zlib.compress(np.packbits(mask).tobytes()), mask.shape, 4.0, shapely.to_wkb(outlines),
                     not outlines.is_empty, int(mask.sum()), np.zeros(48, np.int32))


def places(some: Candidates) -> list[tuple[int, int]]:
    return list(zip(some.x.tolist(), some.y.tolist(), strict=True))


def test_the_order_depends_on_seed_name_and_class_alone_and_not_on_how_many_are_asked_for_at_once(config: Config) -> None:
    whole = places(Draw(plan(), config, 0).next(10_000))
    bit_by_bit = Draw(plan(), config, 0)
    found = [p for _ in range(400) for p in places(bit_by_bit.next(20))]
    assert found == whole and bit_by_bit.exhausted
    assert places(Draw(plan("b"), config, 0).next(100))[:100] != whole[:100]


def test_no_place_comes_twice_none_leaves_the_slide_and_each_has_its_class(config: Config) -> None:
    for label, low, high in ((0, 100, 390), (1, -1, 95)):  # at least half of a tumour patch lies left of 100
        some = Draw(plan(), config, label).next(10_000)
        assert len(set(places(some))) == len(some) > 1000
        assert set(some.label) == {label}
        assert some.x.min() >= max(low, 0) and some.x.max() <= high and some.y.min() >= 0 and some.y.max() <= 290


def test_all_tissue_is_equally_likely(config: Config) -> None:
    some = Draw(plan(outlines=shapely.MultiPolygon()), config, 0)
    first = some.next(1500).take(slice(0, 1500))
    quarters = np.histogram2d(first.x, first.y, bins=2, range=((0, 390), (0, 290)))[0]
    assert quarters.min() > 1500 / 4 - 4 * np.sqrt(1500 * 3 / 16)  # four standard deviations


def test_a_slide_of_which_nothing_is_known_has_no_normal_patches(config: Config) -> None:
    assert len(Draw(plan(outlines=shapely.MultiPolygon(), background=-1), config, 0).next(100)) == 0


def test_the_first_n_that_pass_are_kept_in_visiting_order_however_they_are_asked_for(config: Config) -> None:
    visited = Draw(plan(), config, 0).next(10_000)
    too_white = np.arange(len(visited)) % 3 != 0
    expected = places(visited.take(~too_white))[:30]
    white = dict(zip(places(visited), np.where(too_white, 0.9, 0.1).astype(np.float32).tolist(), strict=True))
    chosen = Chosen(Draw(plan(), config, 0), config)
    while chosen.missing:
        asked = chosen.ask()
        w = np.array([white[p] for p in places(asked)], np.float32)
        chosen.judge(asked, Verdicts(w, np.zeros(len(w), np.float32), np.zeros(len(w), bool)))
    assert places(chosen.kept()) == expected


def test_the_threshold_rises_after_every_so_many_white_rejections_up_to_its_limit() -> None:
    """By hand: 0.3 rejects .35 and .5 (two), becomes 0.4; .35 passes; .45 and .5 rejected (two more), would become 0.5, limited to 0.45; .45 passes."""
    threshold = AdaptiveThreshold(White(max_share=0.3, increment=0.1, limit=0.45, after=2))
    assert threshold.passes(np.array([0.2, 0.35, 0.5], np.float32)).tolist() == [True, False, False]
    assert threshold.passes(np.array([0.35, 0.42, 0.5, 0.44, 0.46], np.float32)).tolist() == [True, False, False, True, False]


def test_candidates_stand_by_block_then_y_then_x_and_find_back_to_who_asked(config: Config) -> None:
    some = {(0, 0): Draw(plan(), config, 0).next(40), (0, 1): Draw(plan(), config, 1).next(20)}
    placed, where = arrange({0: plan()}, some)
    grid = plan().grid
    keys = [(int(grid.block_of(np.array([x]), np.array([y]))[0]), y, x) for x, y in places(placed[0])]
    assert keys == sorted(keys)
    for key, asked in some.items():
        assert places(placed[0].take(where[key])) == places(asked)
    units, candidates = units_at({0: plan()}, placed, 10)
    end_to_end = [p for i in range(len(units)) for p in places(candidates(int(units.slide[i]), int(units.block[i])))[units.first[i]:units.last[i]]]
    assert end_to_end == places(placed[0])
