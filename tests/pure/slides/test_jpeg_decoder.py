"""Our JPEG kernels against libjpeg-turbo (imagecodecs): the same px, and the same complaints, for any bytes."""
import hashlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import imagecodecs
import numpy as np
import pytest
from PIL import Image, ImageFile

from mpicamnet.slides import jpeg_colour, jpeg_scan, jpeg_tile, open_slide
from mpicamnet.slides.jpeg_decoder import JpegDecoder
from mpicamnet.slides.slide import Pixels
from mpicamnet.slides.tiff import TiffSlide
from tests.pure.slides import drawn
from tests.shared_data import DATA, needs_data

ImageFile.MAXBLOCK = 1 << 22  # Pillow cannot write noise at quality 100 otherwise
SUBSAMPLINGS = {"4:4:4": 0, "4:2:2": 1, "4:2:0": 2}


def reference(data: bytes, tables: bytes | None = None, rgb: bool = False) -> Pixels:
    px: Pixels = imagecodecs.jpeg8_decode(data, tables=tables, colorspace="RGB" if rgb else "YCBCR", outcolorspace="RGB")
    return px


def encoded(px: Pixels, subsampling: str = "4:2:0", **options: Any) -> bytes:
    file = io.BytesIO()
    Image.fromarray(px).save(file, "jpeg", subsampling=SUBSAMPLINGS[subsampling], **options)
    return file.getvalue()


def without_tables(data: bytes) -> tuple[bytes, bytes]:
    """A JPEG as tile and JPEGTables of a TIFF: its DQT and DHT segments in a stream of their own."""
    tile, tables, at = data[:2], data[:2], 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2:at + 4], "big")
        if data[at + 1] in (0xDB, 0xC4):
            tables += data[at:end]
        else:
            tile += data[at:end]
        at = end
    return tile + data[at:], tables + b"\xff\xd9"


@cache
def content(kind: str, height: int, width: int) -> Pixels:
    rng = np.random.default_rng(5)
    if kind == "noise":
        return rng.integers(0, 256, (height, width, 3), np.uint8)
    if kind == "flat":
        return np.full((height, width, 3), (231, 180, 210), np.uint8)
    if kind == "extremes":  # white and black, and all full colours
        return np.where(rng.random((height, width, 3)) < 0.5, np.uint8(0), np.uint8(255))
    if kind == "gradient":
        y, x = np.mgrid[:height, :width]
        return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (height + width)], -1).astype(np.uint8)
    return drawn.picture(height, width)


def assert_own(data: bytes, tables: bytes | None = None, rgb: bool = False) -> None:
    """Our kernels take it, and give libjpeg-turbo's px."""
    expected = reference(data, tables, rgb)
    px = JpegDecoder(expected.shape, tables, rgb).own(data)
    assert px is not None
    assert np.array_equal(px, expected)


@pytest.mark.parametrize("kind", ["noise", "flat", "extremes", "gradient", "picture"])
@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_px_are_libjpegs_at_every_quality_and_size(kind: str, subsampling: str) -> None:
    for height, width in [(16, 16), (24, 40), (56, 24), (240, 240), (128, 512), (31, 129), (8, 8)]:
        for quality in (1, 10, 50, 75, 85, 95, 100):
            for optimize in (False, True):
                assert_own(encoded(content(kind, height, width), subsampling, quality=quality, optimize=optimize))


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_tables_may_be_the_tiffs(subsampling: str) -> None:
    for quality in (30, 80):
        tile, tables = without_tables(encoded(content("picture", 256, 256), subsampling, quality=quality, optimize=True))
        assert_own(tile, tables)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
def test_channels_may_be_rgb(subsampling: str) -> None:
    assert_own(encoded(content("picture", 64, 96), subsampling, quality=80), rgb=True)


@pytest.mark.parametrize("subsampling", SUBSAMPLINGS)
@pytest.mark.parametrize("restart", [{"restart_marker_blocks": n} for n in (1, 3, 7, 100)] + [{"restart_marker_rows": 1}])
def test_restart_intervals_are_followed(subsampling: str, restart: dict[str, int]) -> None:
    data = encoded(content("picture", 96, 136), subsampling, quality=70, **restart)
    assert b"\xff\xdd" in data
    assert_own(data)


def test_decoders_serve_tiles_of_different_tables_in_turn() -> None:
    decoder = JpegDecoder((128, 128, 3), None, False)
    for quality, kind, subsampling in [(50, "picture", "4:2:0"), (90, "noise", "4:4:4"), (50, "picture", "4:2:0"), (100, "extremes", "4:2:2")]:
        data = encoded(content(kind, 128, 128), subsampling, quality=quality, optimize=True)
        px = decoder.own(data)
        assert px is not None
        assert np.array_equal(px, reference(data))


def test_tables_that_are_new_in_each_tile_are_left_to_libjpeg() -> None:
    rng, decoder = np.random.default_rng(1), JpegDecoder((64, 64, 3), None, False)
    tiles = [encoded(rng.integers(0, 9 + k, (64, 64, 3), np.uint8), optimize=True) for k in range(200)]
    assert 10 < sum(decoder.own(data) is not None for data in tiles) < 40
    assert sum(decoder.own(tiles[0]) is not None for _ in range(40)) > 20  # the same ones again are worth it


def test_a_buffer_is_written_to() -> None:
    data, out = encoded(content("picture", 64, 80)), np.zeros((64, 80, 3), np.uint8)
    assert JpegDecoder(out.shape, None, False)(data, out=out) is out
    assert np.array_equal(out, reference(data))


def test_threads_may_share_a_decoder() -> None:
    tiles = [encoded(content(kind, 256, 256), quality=q) for kind in ("picture", "noise", "gradient") for q in range(40, 100, 5)]
    decoder = JpegDecoder((256, 256, 3), None, False)
    with ThreadPoolExecutor(8) as pool:
        for data, px in zip(tiles * 4, pool.map(decoder, tiles * 4), strict=True):
            assert np.array_equal(px, reference(data))


def test_what_is_not_baseline_in_three_channels_is_left_to_libjpeg() -> None:
    px = content("picture", 64, 64)
    clean = encoded(px)
    grey = io.BytesIO()
    Image.fromarray(px[..., 0]).save(grey, "jpeg")
    scan = clean.index(b"\xff\xda")
    others = {
        "progressive": encoded(px, progressive=True),
        "grey": grey.getvalue(),
        "another size": encoded(content("picture", 64, 72)),
        "arithmetic": clean.replace(b"\xff\xc0", b"\xff\xc9", 1),
        "luma sampled 1 x 2": clean.replace(b"\3\1\x22\0", b"\3\1\x12\0", 1),
        "no tables": without_tables(clean)[0],
        "no end": clean[:-2],
        "bytes after the data": clean[:-2] + b"\0\0" + clean[-2:],
        "two frames": clean[:scan] + clean[clean.index(b"\xff\xc0"):],
        "one channel in the scan": clean[:scan + 4] + b"\1" + clean[scan + 5:],
    }
    decoder = JpegDecoder((64, 64, 3), None, False)
    assert decoder.own(clean) is not None
    for what, data in others.items():
        assert decoder.own(data) is None, what


def result(decode: Any, data: bytes, out: Pixels) -> tuple[str, str, bytes]:
    """What comes of it: px, or what is raised."""
    try:
        return "", "", decode(data, out=out).tobytes()
    except Exception as e:
        return type(e).__name__, str(e), b""


def damaged(data: bytes, rng: np.random.Generator) -> bytes:
    """Bits flipped, bytes lost, doubled or made 255, or the end missing: in the scan mostly, sometimes in the header."""
    first = data.index(b"\xff\xda") + 12 if rng.random() < 0.8 else 0
    raw = bytearray(data)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(first, len(raw)))
        match rng.integers(6):
            case 0 | 1:
                raw[at] ^= 1 << int(rng.integers(8))
            case 2:
                del raw[at:at + int(rng.integers(1, 9))]
            case 3:
                raw[at:at] = raw[at:at + int(rng.integers(1, 9))]
            case 4:
                raw[at] = 255
            case _:
                del raw[max(at, first + 1):]
        if len(raw) <= first + 1:
            break
    return bytes(raw)


def samples() -> Iterator[tuple[bytes, bytes | None, bool]]:
    px = content("picture", 48, 56)
    for subsampling in SUBSAMPLINGS:
        for quality in (20, 85, 100):
            yield encoded(px, subsampling, quality=quality), None, False
            yield *without_tables(encoded(px, subsampling, quality=quality, optimize=True)), quality == 85
        yield encoded(px, subsampling, quality=75, restart_marker_blocks=2), None, False
    yield encoded(content("noise", 48, 56), "4:2:0", quality=98), None, True


@pytest.mark.parametrize("seed", range(4))
def test_damage_gives_what_libjpeg_makes_of_it(seed: int) -> None:
    rng, own = np.random.default_rng(seed), 0
    for data, tables, rgb in samples():
        decoder = JpegDecoder((48, 56, 3), tables, rgb)
        other = partial(imagecodecs.jpeg8_decode, tables=tables, colorspace="RGB" if rgb else "YCBCR", outcolorspace="RGB")
        for _ in range(60):
            bad = damaged(data, rng)
            mine, theirs = np.zeros((48, 56, 3), np.uint8), np.zeros((48, 56, 3), np.uint8)
            assert result(decoder, bad, mine) == result(other, bad, theirs)
            own += decoder.own(bad, mine) is not None
    assert own > 50  # much damage is none that could be seen, and then our kernels, too, must agree on the px


@needs_data
@pytest.mark.parametrize("path", sorted([*DATA.glob("pcam_slides/center_0/*.tif"), *DATA.glob("wsi/*.svs"), *DATA.glob("wsi/*.jpeg.tiff"),
                                         *DATA.glob("wsi/camelyon16_tumor_072/*.tiff")]), ids=lambda p: p.name)
def test_tiles_of_real_slides_are_libjpegs(path: Path) -> None:
    """All tiles of every level, or 500 of them."""
    with open_slide(path, "tiff") as slide:
        assert isinstance(slide, TiffSlide)
        tiles = decoded = 0
        for level in slide._tiles:
            decoder = level.decode
            if not isinstance(decoder, JpegDecoder):
                continue
            for k in range(0, len(level.counts), max(1, len(level.counts) // 500)):
                if level.counts[k]:
                    data = os.pread(slide._fd, level.counts[k], level.offsets[k])
                    px = decoder.own(data)
                    tiles += 1
                    if px is not None:
                        decoded += 1
                        assert np.array_equal(px, reference(data, decoder._tables, decoder._rgb))
        assert decoded == tiles


@pytest.mark.parametrize("module", [jpeg_scan, jpeg_colour, jpeg_tile])
def test_a_change_in_a_kernel_makes_those_that_call_it_be_compiled_anew(module: ModuleType) -> None:
    *names, held = module.MADE_OF
    folder = Path(str(module.__file__)).parent
    today = hashlib.sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()[:12]
    assert held == today, f"{module.__name__}.MADE_OF must end with {today}: else Numba's cache still decodes with the old kernels"
