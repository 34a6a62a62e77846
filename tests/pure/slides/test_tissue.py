import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.color import rgb2hsv
from skimage.filters import threshold_otsu

from mpicamnet.config import Tissue
from mpicamnet.slides import Level, open_slide, tissue_fractions, tissue_mask
from mpicamnet.slides.pieces import without_small_pieces
from mpicamnet.slides.tissue import _dilated, _eroded, otsu
from mpicamnet.slides.tissue_channel import look
from tests.shared_data import DATA, needs_data

PINK, PURPLE, PALE, GLASS = (210, 130, 170), (120, 70, 150), (230, 180, 205), (242, 241, 243)


def slide_of(px: np.ndarray, downsamples: tuple[int, ...] = (1,)) -> Any:
    """A slide in memory, each level a plain choice of px."""
    levels = tuple(Level(-(-px.shape[1] // d), -(-px.shape[0] // d), float(d), 256, 256) for d in downsamples)
    reads: list[tuple[int, int]] = []

    def read(x: int, y: int, w: int, h: int, level: int = 0) -> np.ndarray:
        reads.append((level, w * h))
        d = downsamples[level]
        return px[::d, ::d][y // d:y // d + h, x // d:x // d + w]
    return SimpleNamespace(levels=levels, read=read, reads=reads)


def painted(height: int, width: int, *areas: tuple[slice, slice, tuple[int, int, int]]) -> np.ndarray:
    px = np.empty((height, width, 3), np.uint8)
    px[:] = GLASS
    for rows, columns, color in areas:
        px[rows, columns] = color
    return (px.astype(int) + np.random.default_rng(0).integers(-2, 3, px.shape)).clip(0, 255).astype(np.uint8)


AREA = (slice(100, 300), slice(50, 350))


@pytest.mark.parametrize("channel", ["saturation", "grey"])
@pytest.mark.parametrize("color", [PINK, PURPLE])
def test_stained_tissue_on_glass_is_found_to_the_px(channel: Any, color: tuple[int, int, int]) -> None:
    mask, downsample = tissue_mask(slide_of(painted(400, 400, (*AREA, color))), Tissue(downsample=1, channel=channel))
    expected = np.zeros((400, 400), bool)
    expected[AREA] = True
    assert downsample == 1 and np.array_equal(mask, expected)


def test_pale_tissue_beside_dark_is_found() -> None:
    px = painted(400, 400, (*AREA, PURPLE), (slice(100, 300), slice(200, 350), PALE))
    mask, _ = tissue_mask(slide_of(px), Tissue(downsample=1))
    assert mask[AREA].all()


@pytest.mark.parametrize("channel", ["saturation", "grey"])
@pytest.mark.parametrize("color", [GLASS, (225, 222, 226), (255, 255, 255), (0, 0, 0)])
def test_a_slide_without_tissue_has_an_empty_mask(channel: Any, color: tuple[int, int, int]) -> None:
    px = painted(400, 400, (slice(None), slice(None), color))
    assert not tissue_mask(slide_of(px), Tissue(downsample=1, channel=channel))[0].any()


def test_a_slide_full_of_tissue_is_all_tissue() -> None:
    px = painted(400, 400, (slice(None), slice(None), PINK), (slice(0, 400), slice(0, 150), PURPLE))
    assert tissue_mask(slide_of(px), Tissue(downsample=1))[0].all()


def test_black_padding_is_no_tissue_and_does_not_move_the_threshold() -> None:
    px = painted(400, 400, (*AREA, PINK))
    px[:, 360:] = 0
    px[340:, :] = 255
    mask, _ = tissue_mask(slide_of(px), Tissue(downsample=1))
    assert mask[AREA].all() and mask.sum() == 200 * 300


def test_specks_go_and_small_pieces_by_their_area() -> None:
    px = painted(400, 400, (*AREA, PINK), (slice(10, 12), slice(10, 12), PINK), (slice(20, 24), slice(300, 304), PINK))
    assert tissue_mask(slide_of(px), Tissue(downsample=1, min_area=17))[0].sum() == 200 * 300
    assert tissue_mask(slide_of(px), Tissue(downsample=1, min_area=16))[0].sum() == 200 * 300 + 16
    assert tissue_mask(slide_of(px), Tissue(downsample=1, min_area=0, opening=0))[0].sum() == 200 * 300 + 16 + 4


def test_cracks_are_closed() -> None:
    px = painted(400, 400, (*AREA, PINK))
    px[AREA[0], 200:202] = GLASS
    assert tissue_mask(slide_of(px), Tissue(downsample=1))[0][AREA].all()


@pytest.mark.parametrize("ink", [(40, 130, 70), (30, 60, 160), (35, 35, 40)], ids=["green", "blue", "black"])
def test_pen_marks_are_tissue_only_where_the_config_does_not_ask(ink: tuple[int, int, int]) -> None:
    px = painted(400, 400, (*AREA, PINK), (slice(350, 380), slice(50, 350), ink))
    without, _ = tissue_mask(slide_of(px), Tissue(downsample=1, pen=True))
    assert not without[340:].any() and without[AREA].all()
    assert tissue_mask(slide_of(px), Tissue(downsample=1, channel="grey"))[0][355:375, 60:340].all()


def test_none_is_all_tissue_and_fixed_is_the_configs_threshold() -> None:
    px = painted(400, 400, (*AREA, PALE))  # saturation 255 * 50 / 230 = 55
    slide = slide_of(px)
    assert tissue_mask(slide, Tissue(downsample=1, method="none"))[0].all()
    assert not slide.reads
    assert tissue_mask(slide, Tissue(downsample=1, method="fixed", threshold=20))[0][AREA].all()
    assert not tissue_mask(slide, Tissue(downsample=1, method="fixed", threshold=62))[0].any()


def test_the_mask_is_made_on_the_coarsest_level_that_is_fine_enough() -> None:
    px = painted(4096, 4096, (slice(1024, 2048), slice(512, 3072), PINK))
    for downsamples, wanted, used, factor in (((1, 2, 4, 8, 16), 8, 3, 1), ((1, 4), 8, 1, 1), ((1, 2), 32, 1, 5), ((1,), 8, 0, 8), ((1, 64), 8, 0, 8)):
        slide = slide_of(px, downsamples)
        mask, downsample = tissue_mask(slide, Tissue(downsample=wanted))
        assert {level for level, _ in slide.reads} == {used} and downsample == downsamples[used] * factor
        assert mask.shape == (-(-4096 // downsamples[used] // factor),) * 2
        assert mask.mean() == pytest.approx(1024 * 2560 / 4096**2, rel=0.05)


def test_a_slide_of_one_level_is_read_in_pieces() -> None:
    slide = slide_of(np.broadcast_to(np.array(PINK, np.uint8), (20_000, 30_000, 3)))
    mask, downsample = tissue_mask(slide, Tissue(downsample=32))
    assert mask.shape == (625, 938) and downsample == 32 and mask.all()
    assert max(n for _, n in slide.reads) * 3 <= 16 << 20
    assert sum(n for _, n in slide.reads) == 20_000 * 30_000


def test_otsu_is_skimages() -> None:
    rng = np.random.default_rng(0)
    for low, high in ((20, 120), (5, 60), (100, 200)):
        v = np.r_[rng.normal(low, 8, 5000), rng.normal(high, 20, 3000)].clip(0, 255).astype(np.uint8)
        assert otsu(np.bincount(v, minlength=256)) == threshold_otsu(v)


@pytest.mark.parametrize("side", [1, 2, 3, 4, 5, 7])
def test_opening_and_closing_are_scipys(side: int) -> None:
    mask = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=(60, 70)), 2) > 0
    square = np.ones((side, side), bool)
    inner = np.s_[10:-10, 10:-10]  # at the border ours takes the outside for more of the same
    assert np.array_equal(_dilated(_eroded(mask, side), side)[inner], ndimage.binary_opening(mask, square)[inner])
    assert np.array_equal(_eroded(_dilated(mask, side), side)[inner], ndimage.binary_closing(mask, square)[inner])


def test_a_mask_of_1024_px_square_takes_little_time() -> None:
    slide = slide_of(painted(1024, 1024, (slice(100, 900), slice(100, 800), PINK)))
    times = []
    for _ in range(5):
        begun = time.perf_counter()
        tissue_mask(slide, Tissue(downsample=1))
        times.append(time.perf_counter() - begun)
    assert min(times) < 0.1  # 15 ms on an idle core


def test_fractions_of_a_mask_are_as_worked_by_hand() -> None:
    mask = np.array([[1, 0, 0], [1, 1, 0]], bool)  # mask px of 10 level-0 px
    x, y = np.array([0, 0, 5, 10, 20, 25, -5]), np.array([0, 10, 5, 10, 0, 15, 0])
    # side 10: wholly inside; inside; quarters 1, 0, 1, 1 -> 0.75; inside; outside; outside; half on the mask
    assert tissue_fractions(mask, 10.0, x, y, 10.0).tolist() == [1, 1, 0.75, 1, 0, 0, 0.5]


def test_fractions_are_exact_areas() -> None:
    rng = np.random.default_rng(0)
    mask = rng.random((40, 50)) > 0.5
    fine = mask.repeat(8, 0).repeat(8, 1)
    x, y = rng.integers(0, 50 * 8 - 30, 500), rng.integers(0, 40 * 8 - 30, 500)
    expected = [fine[b:b + 30, a:a + 30].mean() for a, b in zip(x, y, strict=True)]
    assert tissue_fractions(mask, 8.0, x, y, 30.0) == pytest.approx(np.array(expected), abs=1e-6)


@needs_data
@pytest.mark.parametrize(("path", "low", "high"), [
    ("wsi/CMU-1-Small-Region.svs", 0.28, 0.40), ("wsi/TCGA-CR-7395-01A-01-TS1.svs", 0.58, 0.70), ("wsi/test3-TRITC-2-560.ndpi", 0.0, 0.2),
    ("wsi/camelyon16_tumor_072/tumor_072_level7.tiff", 0.17, 0.27), ("wsi/CMU-1-Small-Region.jpeg.tiff", 0.28, 0.40)])
def test_real_slides_have_the_share_of_tissue_that_the_eye_sees(path: str, low: float, high: float) -> None:
    with open_slide(DATA / path) as slide:
        assert low <= tissue_mask(slide, Tissue())[0].mean() <= high


@needs_data
@pytest.mark.parametrize("path", sorted(DATA.glob("pcam_slides/center_*/*.tif")), ids=lambda p: p.stem)
@pytest.mark.parametrize("pen", [False, True])
def test_every_whole_cell_of_the_pcam_slides_is_tissue_and_glass_is_not(path: Path, pen: bool) -> None:
    """`cells.csv` says which 96-px cells hold tissue; patches with much glass are among them, so a few may miss the default min_fraction."""
    import csv
    with open(DATA / "pcam_slides/cells.csv", newline="") as f:
        cells = [r for r in csv.DictReader(f) if path.stem in r["slide"]]
    with open_slide(path) as slide:
        mask, downsample = tissue_mask(slide, Tissue(pen=pen))
        grid = np.zeros((slide.height // 96, slide.width // 96), float)
        for c in cells:
            grid[int(c["row"]), int(c["col"])] = float(c["coverage"])
        rows, columns = np.indices(grid.shape)
        shares = tissue_fractions(mask, downsample, columns.ravel() * 96, rows.ravel() * 96, 96).reshape(grid.shape)
    assert (shares[grid == 1] >= 0.25).mean() > 0.97
    assert shares[grid == 0].max() < 0.25


@pytest.mark.parametrize(("shape", "share"), [((57, 83), 0.3), ((57, 83), 0.5), ((1, 40), 0.8), ((40, 1), 0.8), ((2, 2), 0.0)])
def test_small_pieces_are_those_that_scipy_labels(shape: tuple[int, int], share: float) -> None:
    mask = np.random.default_rng(3).random(shape) < share
    pieces, _ = ndimage.label(mask, np.ones((3, 3), bool))
    large = np.bincount(pieces.ravel()) >= 5
    large[0] = False
    assert np.array_equal(without_small_pieces(mask, 5), large[pieces])


def test_the_channel_is_hsv_saturation_or_rec_601_luma_and_padding_stays_out_of_the_histogram() -> None:
    px = np.random.default_rng(0).integers(0, 256, (300, 200, 3), dtype=np.uint8)
    px[:40], px[40:80], px[80:120] = px[:40] // 10, px[40:80] % 6 + 250, px[80:120] % 21 + 235  # black; painted white; nearly white
    high, low = px.max(axis=-1), px.min(axis=-1)
    padding = (high < 30) | (low >= 250)
    for grey, expected in ((False, 255 * rgb2hsv(px)[..., 1]), (True, px @ [0.299, 0.587, 0.114])):
        counts = np.ones(256, np.int64)  # it is added to
        channel, never = look(px, grey, counts)
        assert np.abs(channel - expected).max() <= (1.7 if grey else 0.51)  # luma by fractions of 256, cut off
        assert np.array_equal(never, (high < 30) | (low >= 235))
        assert np.array_equal(counts - 1, np.bincount(channel[~padding], minlength=256))
