"""The heatmap as a TIFF: other programs open it, and find it where its slide lies."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile

from mpicamnet.infer.raster import Raster
from mpicamnet.infer.tiff import grey, probability, write_tiff


@pytest.fixture
def raster() -> Raster:
    y, x = np.mgrid[0:700, 0:900]
    prob = ((x + y) / 1598).astype(np.float32)
    prob[:100] = np.nan
    return Raster(prob, 8)


def test_openslide_and_tifffile_read_it_with_the_slides_corner_and_resolution(raster: Raster, tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    write_tiff(path, raster, 0.243, {"slide": "a"})
    with openslide.OpenSlide(path) as s:
        assert s.level_dimensions == ((900, 700), (450, 350), (225, 175)) and s.level_downsamples == (1, 2, 4)
        for axis in "xy":
            assert float(s.properties[f"openslide.mpp-{axis}"]) == pytest.approx(8 * 0.243, rel=1e-6)
        px = np.asarray(s.read_region((0, 0), 0, (900, 700)).convert("L"))
    with tifffile.TiffFile(path) as f:
        assert [p.is_tiled for p in f.pages] == [True] * 3
        assert np.array_equal(f.pages[0].asarray(), px) and np.array_equal(px, grey(raster.prob))
        assert '"downsample": 8' in f.pages[0].description
        coarse = f.pages[1].asarray()
    assert np.array_equal(coarse, grey(raster.half().prob))


def test_grey_0_is_outside_tissue_and_probabilities_come_back_to_half_a_step(raster: Raster) -> None:
    px = grey(np.array([np.nan, 0, 0.5, 1], np.float32))
    assert px.tolist() == [0, 1, 128, 255]
    back = probability(grey(raster.prob))
    assert np.array_equal(np.isnan(back), np.isnan(raster.prob))
    assert np.nanmax(np.abs(back - raster.prob)) <= 0.5 / 254 + 1e-6


def test_a_slide_that_does_not_say_its_resolution_has_a_map_that_does_not_either(raster: Raster, tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", raster, None, {})
    with openslide.OpenSlide(tmp_path / "a.tif") as s:
        assert "openslide.mpp-x" not in s.properties


def test_a_map_smaller_than_a_tile_has_one_level(tmp_path: Path) -> None:
    write_tiff(tmp_path / "a.tif", Raster(np.full((5, 3), 0.5, np.float32), 1), 1.0, {})
    with openslide.OpenSlide(tmp_path / "a.tif") as s:
        assert s.level_dimensions == ((3, 5),)
        assert np.unique(np.asarray(s.read_region((0, 0), 0, (3, 5)).convert("L"))).tolist() == [128]
