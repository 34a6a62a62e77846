import os
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import openslide
import pytest

from mpicamnet.errors import SLIDES_FAILED, SlideError
from mpicamnet.slides import open_slide
from mpicamnet.slides.openslide_reader import OpenSlideSlide
from mpicamnet.slides.tiff import TiffSlide
from tests.pure.slides import drawn
from tests.shared_data import DATA, needs_data

COLORS = {"compression": "jpeg", "photometric": "ycbcr"}
KINDS: dict[str, dict[str, Any]] = {
    "JPEG in RGB": {"compression": "jpeg", "photometric": "rgb"},
    "JPEG 4:2:0": COLORS,
    "JPEG 4:2:2": COLORS | {"subsampling": (2, 1)},
    "JPEG 4:4:4": COLORS | {"subsampling": (1, 1)},
    "deflate": {"compression": "deflate"},
    "deflate with predictor": {"compression": "deflate", "predictor": True},
    "LZW": {"compression": "lzw"},
    "LZW with predictor": {"compression": "lzw", "predictor": True},
    "uncompressed": {},
    "BigTIFF": COLORS | {"big": True},
}


def assert_as_openslide(path: Path, n: int = 20, margin: int = 60) -> None:
    """Levels, vendor and the px of random areas, also across the edges, are OpenSlide's, to the bit.

    Only places are compared that fall on a px of the level: between two, OpenSlide interpolates.
    """
    rng = np.random.default_rng(3)
    with open_slide(path, "tiff") as ours, openslide.OpenSlide(path) as theirs:
        assert ours.vendor == theirs.properties["openslide.vendor"]
        assert [(lv.width, lv.height) for lv in ours.levels] == list(theirs.level_dimensions)
        assert [lv.downsample for lv in ours.levels] == pytest.approx(theirs.level_downsamples, rel=1e-12)
        for i, lv in enumerate(ours.levels):
            columns, rows = (exact_places(size, lv.downsample, margin) for size in (lv.width, lv.height))
            for column, row in zip(rng.choice(columns, n).tolist(), rng.choice(rows, n).tolist(), strict=True):
                w, h = (int(v) for v in rng.integers(1, 300, 2))
                x, y = round(column * lv.downsample), round(row * lv.downsample)
                if ours.vendor == "philips":  # whose levels are padded beyond their size; OpenSlide shows the padding, too
                    w, h = max(1, min(w, lv.width - column)), max(1, min(h, lv.height - row))
                assert np.array_equal(ours.read(x, y, w, h, i), drawn.openslide_on_white(theirs, x, y, i, w, h)), f"level {i}, {x}, {y}, {w} x {h}"


def exact_places(size: int, downsample: float, margin: int) -> list[int]:
    """Px of a level that a whole px of level 0 falls on, to cairo's precision (1/512).

    None left of the slide where the downsample is no whole number: there OpenSlide cuts the offset down to whole px.
    """
    places = [k for k in range(-margin if downsample == round(downsample) else 0, size) if abs(round(k * downsample) / downsample - k) < 1 / 600]
    assert len(places) > 3
    return places


@needs_data
@pytest.mark.parametrize("path", sorted([*DATA.glob("pcam_slides/center_*/*.tif"), *DATA.glob("wsi/*.svs"), *DATA.glob("wsi/*.jpeg.tiff"),
                                         *DATA.glob("wsi/camelyon16_tumor_072/*.tiff")]), ids=lambda p: p.name)
def test_px_of_real_slides_are_openslides_at_every_level(path: Path) -> None:
    assert_as_openslide(path)
    with open_slide(path) as slide:
        assert isinstance(slide, TiffSlide)


@pytest.mark.parametrize("kind", KINDS)
def test_px_of_every_compression_are_openslides(kind: str, tmp_path: Path) -> None:
    assert_as_openslide(drawn.write(tmp_path / "s.tif", drawn.pyramid(drawn.picture()), **KINDS[kind]))


@pytest.mark.parametrize("kind", ["JPEG 4:2:0", "deflate", "uncompressed"])
@pytest.mark.parametrize("offsets", [True, False])
def test_missing_tiles_are_white(kind: str, offsets: bool, tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "s.tif", drawn.pyramid(drawn.picture()), **KINDS[kind])
    drop = [1, 7, 9]  # of 6 x 4 tiles: column 1 of row 0; columns 1 and 3 of row 1
    assert_as_openslide(drawn.drop_tiles(path, 0, drop, offsets))
    with open_slide(path, "tiff") as slide:
        assert slide.tile(0, 1, 0) is None
        assert slide.tile(0, 2, 0) is not None
        assert (slide.read(128, 0, 128, 128) == 255).all()


def test_lossless_tiles_hold_what_was_drawn_and_edge_tiles_end_at_the_edge(tmp_path: Path) -> None:
    px = drawn.picture()
    with open_slide(drawn.write(tmp_path / "s.tif", [px], compression="deflate")) as slide:
        assert (slide.width, slide.height, slide.levels[0].tile_width, slide.levels[0].tiles_across, slide.levels[0].tiles_down) == (700, 500, 128, 6, 4)
        edge = slide.tile(0, 5, 3)
        assert edge is not None and edge.shape == (128, 128, 3)
        assert np.array_equal(edge[:500 - 384, :700 - 640], px[384:, 640:])
        around = slide.read(-10, -20, 720, 540)
        assert np.array_equal(around[20:520, 10:710], px)
        around[20:520, 10:710] = 255
        assert (around == 255).all()
        assert (slide.read(5000, 5000, 7, 3) == 255).all()


def test_a_tile_beyond_the_edge_is_none(tmp_path: Path) -> None:
    with open_slide(drawn.write(tmp_path / "s.tif", [drawn.picture()])) as slide:
        assert slide.tile(0, 6, 0) is slide.tile(0, 0, 4) is slide.tile(0, -1, 0) is None


@pytest.mark.parametrize("kind", KINDS)
def test_a_tile_is_decoded_into_the_callers_buffer(kind: str, tmp_path: Path) -> None:
    with open_slide(drawn.write(tmp_path / "s.tif", [drawn.picture()], **KINDS[kind])) as slide:
        buffer = np.zeros((128, 128, 3), np.uint8)
        tile = slide.tile(0, 2, 1, buffer)
        assert tile is buffer
        fresh = slide.tile(0, 2, 1)
        assert fresh is not None and np.array_equal(fresh, buffer)


@needs_data
def test_jpegs_that_share_their_tables_are_decoded() -> None:
    with open_slide(DATA / "wsi/CMU-1-Small-Region.svs") as slide, openslide.OpenSlide(DATA / "wsi/CMU-1-Small-Region.svs") as theirs:
        tile = slide.tile(0, 4, 6)  # this file's JPEGs have no quantisation tables of their own
        assert tile is not None and np.array_equal(tile, drawn.openslide_on_white(theirs, 960, 1440, 0, 240, 240))


@pytest.mark.parametrize("compression", ["jpeg", 33003, 33005])
def test_aperio_slides_are_read_as_openslide_does(compression: Any, tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "s.svs", drawn.pyramid(drawn.picture()), [drawn.APERIO, "Aperio 2", "Aperio 3"], compression=compression)
    assert_as_openslide(path)
    with open_slide(path) as slide:
        assert (slide.vendor, slide.mpp, slide.magnification, len(slide.levels)) == ("aperio", 0.25, 40, 3)


def test_an_aperio_slide_with_missing_tiles_is_left_to_openslide(tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "s.svs", drawn.pyramid(drawn.picture()), [drawn.APERIO, "Aperio 2", "Aperio 3"], compression="jpeg")
    drawn.drop_tiles(path, 1, [2])
    with open_slide(path) as slide:
        assert isinstance(slide, OpenSlideSlide)


@pytest.mark.parametrize("compression", ["jpeg", "deflate"])
def test_philips_levels_are_padded_and_sparse(compression: str, tmp_path: Path) -> None:
    levels = [drawn.padded(px) for px in drawn.pyramid(drawn.picture())]
    path = drawn.write(tmp_path / "s.tiff", levels, [drawn.philips_xml([0.00025, 0.0005001, 0.0010002]), "level=1", "level=2"], "Philips DP v1.0",
                       compression=compression)
    drawn.drop_tiles(path, 0, [2, 5])
    assert_as_openslide(drawn.drop_tiles(path, 1, [1]))
    with open_slide(path) as slide:
        # stored: 768 x 512, 384 x 256, 256 x 128
        assert [(lv.width, lv.height, lv.downsample) for lv in slide.levels] == [(768, 512, 1), (384, 256, 2), (192, 128, 4)]
        assert (slide.vendor, slide.mpp) == ("philips", 0.25)


def test_a_pyramid_in_sub_directories_is_one_level_as_openslide_sees_it(tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "s.tif", drawn.pyramid(drawn.picture()), subifds=True)
    assert_as_openslide(path)
    with open_slide(path) as slide:
        assert len(slide.levels) == 1


def test_a_big_endian_file_that_openslide_does_not_know_is_read(tmp_path: Path) -> None:
    px = drawn.picture()
    with open_slide(drawn.write(tmp_path / "s.tif", [px], order=">", compression="deflate")) as slide:
        assert np.array_equal(slide.read(0, 0, 700, 500), px)


@pytest.mark.parametrize(("resolution", "unit", "mpp"), [(20000, 3, 0.5), (50800, 2, 0.5), (20000, 1, None), (2004008, 3, None)])
def test_mpp_comes_from_the_resolution_tags_where_it_is_plausible(resolution: int, unit: int, mpp: float | None, tmp_path: Path) -> None:
    with open_slide(drawn.write(tmp_path / "s.tif", [drawn.picture()], resolution=(resolution, resolution), resolutionunit=unit)) as slide:
        assert slide.mpp == (pytest.approx(mpp) if mpp else None)
        assert bool(slide.mpp_note) == (mpp is None)


def test_mpp_of_unequal_sides_is_not_guessed(tmp_path: Path) -> None:
    with open_slide(drawn.write(tmp_path / "s.tif", [drawn.picture()], resolution=(20000, 19000), resolutionunit=3)) as slide:
        assert slide.mpp is None and "across" in slide.mpp_note


@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_told_when_it_is_opened(share: float, tmp_path: Path) -> None:
    path = drawn.write(tmp_path / "half.tif", drawn.pyramid(drawn.picture()), compression="jpeg")
    os.truncate(path, int(path.stat().st_size * share))
    for reader in ("auto", "tiff"):
        with pytest.raises(SlideError, match="truncated.*half.tif") as e:
            open_slide(path, reader)
        assert e.value.code == SLIDES_FAILED


@needs_data
@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_truncated_real_slide_is_told_when_it_is_opened(share: float, tmp_path: Path) -> None:
    whole = (DATA / "pcam_slides/center_0/patient_000_node_0.tif").read_bytes()
    (tmp_path / "half.tif").write_bytes(whole[:int(len(whole) * share)])
    with pytest.raises(SlideError, match="truncated.*half.tif"):
        open_slide(tmp_path / "half.tif")


@pytest.mark.parametrize("compression", ["jpeg", "deflate", "lzw"])
def test_a_tile_of_rubbish_is_named(compression: str, tmp_path: Path) -> None:
    import tifffile
    path = drawn.write(tmp_path / "rubbish.tif", [drawn.picture()], compression=compression)
    with tifffile.TiffFile(path) as tiff:
        offset, count = tiff.pages[0].dataoffsets[8], tiff.pages[0].databytecounts[8]
    with open(path, "r+b") as f:
        f.seek(offset)
        f.write(b"\x55" * count)
    with open_slide(path) as slide:
        slide.read(0, 0, 100, 100)
        with pytest.raises(SlideError, match=r"tile 2, 1 of level 0 cannot be decoded: .*rubbish.tif"):
            slide.tile(0, 2, 1)
        with pytest.raises(SlideError, match=r"tile 2, 1 of level 0"):
            slide.read(0, 0, 700, 500)


def test_what_lies_in_strips_is_told(tmp_path: Path) -> None:
    import tifffile
    tifffile.imwrite(tmp_path / "strips.tif", drawn.picture(), photometric="rgb")
    for reader in ("auto", "tiff"):
        with pytest.raises(SlideError, match="strips.*strips.tif"):
            open_slide(tmp_path / "strips.tif", reader)


def test_grey_and_transparent_slides_are_left_to_openslide(tmp_path: Path) -> None:
    px = drawn.picture()
    for name, image, photometric in (("grey.tif", px[..., 0], "minisblack"), ("rgba.tif", np.dstack([px, np.full(px.shape[:2], 255, np.uint8)]), "rgb")):
        path = drawn.write(tmp_path / name, [image], photometric=photometric)
        with open_slide(path) as slide:
            assert isinstance(slide, OpenSlideSlide)
        with pytest.raises(SlideError, match=f"channels.*{name}"):
            open_slide(path, "tiff")


def test_a_circle_of_directories_ends(tmp_path: Path) -> None:
    # II, 42, first directory at 8: one entry (ImageWidth), next directory again at 8
    (tmp_path / "circle.tif").write_bytes(b"II*\0\x08\0\0\0" + b"\1\0" + b"\0\1\3\0\1\0\0\0\5\0\0\0" + b"\x08\0\0\0")
    with pytest.raises(SlideError, match="circle"):
        open_slide(tmp_path / "circle.tif", "tiff")


def test_damaged_headers_give_slide_errors_and_nothing_else(tmp_path: Path) -> None:
    """Random bytes in the first directory: each file opens and reads, or is told as a SlideError."""
    rng = np.random.default_rng(8)
    px = drawn.picture(300, 300)
    whole = drawn.write(tmp_path / "s.tif", [px, px[::2, ::2]], **KINDS["JPEG 4:2:0"]).read_bytes()
    first = int.from_bytes(whole[4:8], "little")
    told = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for at in first + rng.integers(0, 200, 2):
            damaged[at] = rng.integers(0, 256)
        (tmp_path / "d.tif").write_bytes(damaged)
        try:
            with open_slide(tmp_path / "d.tif", "tiff") as slide:
                slide.read(0, 0, 300, 300)
        except SlideError:
            told += 1
    assert told > 100


def test_opening_does_not_take_longer_for_many_tiles(tmp_path: Path) -> None:
    """131,072 px square in tiles of 240 px, all at one place of the file: 299,209 tiles, 8 ms on an idle core."""
    n = (-(-131072 // 240)) ** 2
    offsets_at = 16 + 8 + 12 * 20 + 8
    entries = [(254, 4, 1, 0), (256, 4, 1, 131072), (257, 4, 1, 131072), (258, 3, 3, 8 | 8 << 16 | 8 << 32), (259, 3, 1, 7), (262, 3, 1, 2), (277, 3, 1, 3),
               (284, 3, 1, 1), (322, 4, 1, 240), (323, 4, 1, 240), (324, 16, n, offsets_at), (325, 4, n, offsets_at + 8 * n)]
    head = struct.pack("<2sHHHQQ", b"II", 43, 8, 0, 16, len(entries)) + b"".join(struct.pack("<HHQQ", *e) for e in entries) + bytes(8)
    path = tmp_path / "vast.tif"
    path.write_bytes(head + np.full(n, 64, np.int64).tobytes() + np.full(n, 100, np.uint32).tobytes())
    times = []
    for _ in range(3):
        begun = time.perf_counter()
        with open_slide(path) as slide:
            times.append(time.perf_counter() - begun)
            assert slide.levels[0].tiles_across ** 2 == n
    assert min(times) < 0.1
