"""Pictures fit their share of the page."""
from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mpicamnet.report.picture import drawing, photograph

NOISE = np.random.default_rng(0).integers(0, 256, (400, 800, 3), np.uint8)  # nothing compresses worse


@pytest.mark.parametrize("most", [60_000, 20_000, 8_000])
def test_a_picture_fits_its_bytes_however_noisy_it_is(most: int) -> None:
    assert len(photograph(NOISE, most, 640).webp) <= most


def test_where_nothing_fits_the_smallest_is_taken() -> None:
    assert photograph(NOISE, 10, 640).width == 96


def test_a_small_picture_is_not_made_larger_and_its_uri_holds_the_same_picture() -> None:
    px = np.full((30, 50, 3), (200, 80, 160), np.uint8)
    picture = photograph(px, 10_000, 640)
    head, _, data = picture.uri.partition(",")
    there = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)
    assert (picture.width, picture.height, head) == (50, 30, "data:image/webp;base64")
    assert np.abs(there - px).max() <= 6  # lossy, of one colour


def test_a_drawing_that_fits_is_kept_px_by_px(tmp_path: Path) -> None:
    px = np.full((100, 100, 3), 255, np.uint8)
    px[20:80, 50] = (0, 90, 200)
    Image.fromarray(px).save(tmp_path / "line.png")
    kept = Image.open(io.BytesIO(drawing(tmp_path / "line.png", 10_000, 640).webp)).convert("RGB")
    assert np.array_equal(np.asarray(kept), px)
