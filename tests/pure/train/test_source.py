"""The same px whatever is kept of a patch."""
from __future__ import annotations

from pathlib import Path

import h5py
import imagecodecs
import numpy as np
import pytest

from mpicamnet.config import Config, Data
from mpicamnet.slides import SlideRecord, open_slide
from mpicamnet.train.source import open_source
from mpicamnet.train.table import Table, TableSlide

WANTED = np.array([7, 2, 3, 3, 0])


def table(path: Path, storage: str, n: int = 8) -> Table:
    return Table(path, storage, 16, np.zeros(n, np.int32), np.zeros((n, 2), np.int64), np.zeros(n, np.int8), (TableSlide("s", 0, 0, None),))


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return Config(str(tmp_path), data=Data(root=str(tmp_path), patch=16))


def test_pixels_come_in_the_order_asked_for(tmp_path: Path, config: Config) -> None:
    px = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    with h5py.File(tmp_path / "p.h5", "w") as f:
        f["pixels"] = px
    with open_source(table(tmp_path / "p.h5", "pixels"), config, []) as source:
        assert (source.read(WANTED) == px[WANTED]).all()
        assert (source.read(np.arange(8)) == px).all()


def test_jpegs_are_decoded(tmp_path: Path, config: Config) -> None:
    px = np.random.default_rng(0).integers(0, 256, (8, 16, 16, 3), np.uint8)
    coded = [imagecodecs.jpeg8_encode(p, level=90) for p in px]
    with h5py.File(tmp_path / "p.h5", "w") as f:
        f["jpeg/bytes"] = np.frombuffer(b"".join(coded), np.uint8)
        f["jpeg/offset"] = np.cumsum([0, *map(len, coded)]).astype(np.uint64)
    with open_source(table(tmp_path / "p.h5", "jpeg"), config, []) as source:
        assert (source.read(WANTED) == np.stack([imagecodecs.jpeg8_decode(coded[i]) for i in WANTED])).all()


def test_coords_are_read_from_the_slide(tmp_path: Path, config: Config) -> None:
    import tifffile

    px = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    path = tmp_path / "s.tif"
    tifffile.imwrite(path, px, tile=(64, 64), photometric="rgb")
    xy = np.array([[0, 0], [3, 5], [100, 200], [16, 0], [0, 32], [60, 60], [200, 10], [240, 240]])
    t = Table(tmp_path / "p.h5", "coords", 16, np.zeros(8, np.int32), xy, np.zeros(8, np.int8), (TableSlide("s", 0, 0, None),))
    with open_slide(path) as slide:
        assert slide.width == 256
    with open_source(t, config, [SlideRecord("s", str(path))]) as source:
        assert (source.read(WANTED) == np.stack([px[y:y + 16, x:x + 16] for x, y in xy[WANTED]])).all()
