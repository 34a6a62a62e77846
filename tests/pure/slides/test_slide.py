from pathlib import Path

import numpy as np
import openslide
import pytest

from mpicamnet.errors import SlideError, UserError
from mpicamnet.slides import Level, open_slide
from mpicamnet.slides.openslide_reader import OpenSlideSlide
from tests.pure.slides import drawn
from tests.shared_data import DATA, needs_data

NDPI = DATA / "wsi/test3-TRITC-2-560.ndpi"
DICOM = DATA / "wsi/camelyon16_tumor_072/multiframe_camelyon_challenge_image.dcm"


@needs_data
@pytest.mark.parametrize("path", [NDPI, DICOM, DATA / "wsi/dicom_cmu1_wrong_colour/level-0-frames-0-30.dcm"], ids=lambda p: p.name)
def test_px_through_openslide_are_openslides(path: Path) -> None:
    rng = np.random.default_rng(5)
    with open_slide(path) as ours, openslide.OpenSlide(path) as theirs:
        assert isinstance(ours, OpenSlideSlide)
        assert [(lv.width, lv.height) for lv in ours.levels] == list(theirs.level_dimensions)
        for i, lv in enumerate(ours.levels):
            for _ in range(5):
                step = round(lv.downsample)
                least = -20 if lv.downsample == step else 0  # left of the slide OpenSlide cuts a broken offset down to whole px
                x, y = (int(v) * step for v in rng.integers(least, 40, 2))
                if abs(x / lv.downsample - x / step) > 1 / 600 or abs(y / lv.downsample - y / step) > 1 / 600:
                    continue
                assert np.array_equal(ours.read(x, y, 90, 70, i), drawn.openslide_on_white(theirs, x, y, i, 90, 70))


@needs_data
def test_the_dicom_and_the_tiff_of_one_slide_have_the_same_px() -> None:
    with open_slide(DICOM) as dicom, open_slide(DATA / "wsi/camelyon16_tumor_072/tumor_072_level7.tiff") as tiff:
        assert (dicom.vendor, tiff.vendor) == ("dicom", "generic-tiff")
        assert dicom.mpp == pytest.approx(28.969, abs=1e-3) and tiff.mpp == pytest.approx(28.969, abs=1e-3)
        assert np.array_equal(dicom.read(0, 0, 1152, 700), tiff.read(0, 0, 1152, 700))
        for column, row in ((0, 0), (2, 1), (4, 2)):
            a, b = dicom.tile(0, column, row), tiff.tile(0, column, row)
            assert a is not None and b is not None
            w, h = min(256, 1152 - column * 256), min(256, 700 - row * 256)
            assert np.array_equal(a[:h, :w], b[:h, :w])


@needs_data
def test_both_readers_give_the_same_slide() -> None:
    path = DATA / "pcam_slides/center_1/patient_021_node_0.tif"
    with open_slide(path, "tiff") as a, open_slide(path, "openslide") as b:
        assert (a.name, a.vendor, a.width, a.height, a.levels, a.magnification) == (b.name, b.vendor, b.width, b.height, b.levels, b.magnification)
        assert a.mpp == pytest.approx(0.972) and b.mpp == pytest.approx(0.972)
        assert np.array_equal(a.read(801, 707, 333, 222), b.read(801, 707, 333, 222))
        buffer = np.empty((512, 512, 3), np.uint8)
        assert b.tile(2, 0, 0, buffer) is buffer and np.array_equal(buffer, a.tile(2, 0, 0))


@needs_data
@pytest.mark.parametrize(("name", "mpp", "magnification", "levels"), [
    ("CMU-1-Small-Region.svs", 0.499, 20, 1), ("TCGA-CR-7395-01A-01-TS1.svs", None, None, 2), ("test3-TRITC-2-560.ndpi", 0.22818, 40, 7),
    ("CMU-1-Small-Region.jpeg.tiff", None, None, 1)])
def test_metadata_are_those_of_the_readme(name: str, mpp: float | None, magnification: float | None, levels: int) -> None:
    with open_slide(DATA / "wsi" / name) as slide:
        assert slide.mpp == (pytest.approx(mpp, abs=1e-5) if mpp else None)
        assert (slide.magnification, len(slide.levels)) == (magnification, levels)


@needs_data
def test_an_implausible_mpp_is_noticed_and_can_be_put_right() -> None:
    path = DATA / "wsi/CMU-1-Small-Region.jpeg.tiff"
    with open_slide(path) as slide:
        assert slide.mpp is None and "0.00499" in slide.mpp_note and "implausible" in slide.mpp_note
    with open_slide(path, mpp=0.499) as slide:
        assert slide.mpp == 0.499 and not slide.mpp_note


@needs_data
def test_strips_of_8_px_are_not_taken_for_tiles() -> None:
    with open_slide(NDPI) as slide:
        assert {(lv.tile_width, lv.tile_height) for lv in slide.levels} == {(512, 512)}


@needs_data
def test_a_level_that_does_not_exist_is_told_with_those_that_do() -> None:
    with open_slide(DATA / "pcam_slides/center_0/patient_000_node_0.tif") as slide:
        with pytest.raises(SlideError, match="^level 9 does not exist: patient_000_node_0: it has 4 levels, 0 to 3$"):
            slide.level_of(9)
        with pytest.raises(SlideError, match="level -1 does not exist"):
            slide.read(0, 0, 1, 1, -1)


@needs_data
@pytest.mark.parametrize("reader", ["auto", "openslide"])
def test_the_broken_files_are_told_in_one_line(reader: str) -> None:
    broken = DATA / "wsi/broken"
    with pytest.raises(SlideError, match=r"unsupported compression WebP \(50001\): .*CMU-1-Small-Region.webp.tiff"):
        open_slide(broken / "CMU-1-Small-Region.webp.tiff", reader)
    with pytest.raises(SlideError, match="unsupported compression 52479: .*unopenable.tiff"):
        open_slide(broken / "unopenable.tiff", reader)
    with open_slide(broken / "unreadable.svs", reader) as slide, pytest.raises(SlideError, match=r"(?i)cannot be decoded: .*unreadable.svs: .*marker"):
        slide.read(0, 0, 16, 16)


@pytest.mark.parametrize("reader", ["auto", "tiff", "openslide"])
def test_what_is_no_slide_is_told(reader: str, tmp_path: Path) -> None:
    (tmp_path / "text.tif").write_text("not a slide")
    (tmp_path / "empty.svs").write_bytes(b"")
    for name in ("text.tif", "empty.svs"):
        with pytest.raises(SlideError, match=f"not a slide: .*{name}"):
            open_slide(tmp_path / name, reader)
    with pytest.raises(SlideError, match="no such file.*|.*absent.tif.*no such file"):
        open_slide(tmp_path / "absent.tif", reader)


def test_an_unknown_reader_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no reader `vips`"):
        open_slide(tmp_path / "s.tif", "vips")


def test_a_level_px_survives_the_way_through_level_0() -> None:
    level = Level(2221, 1783, 2.0005500660, 256, 256)
    for k in range(1800):
        assert level.column_row(round(k * level.downsample), 0) == (k, 0)
