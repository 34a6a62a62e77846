"""Real scanner files: Aperio JPEG and JPEG 2000, DICOM, TIFF, with real tumour outlines."""
from __future__ import annotations

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import openslide
import pytest

from tests.launch import good, mpicamnet
from tests.program.conftest import Configure
from tests.shared_data import DATA, needs_data

pytestmark = needs_data
WSI = DATA / "wsi"
DICOM = WSI / "camelyon16_tumor_072" / "multiframe_camelyon_challenge_image.dcm"
TIFF = WSI / "camelyon16_tumor_072" / "tumor_072_level7.tiff"


def table(folder: Path, *rows: tuple[Path, Path | None]) -> Path:
    path = folder / "slides.csv"
    with path.open("w", newline="") as f:
        w = csv.writer(f)
        w.writerow(["path", "annotation", "center", "patient"])
        w.writerows([slide, annotation or "", i, i] for i, (slide, annotation) in enumerate(rows))
    return path


@pytest.fixture
def outlines(tmp_path: Path) -> Path:
    """Tumour 072's outlines, level-0 px of the original, brought to the level 7 that the two files hold as their level 0."""
    shapes = json.loads((WSI / "camelyon16_tumor_072" / "Tumor_072.json").read_text())
    for shape in shapes["positive"]:
        shape["vertices"] = [[x / 128, y / 128] for x, y in shape["vertices"]]
    path = tmp_path / "tumor_072.json"
    path.write_text(json.dumps(shapes))
    return path


def rows_of(config: Path) -> dict[str, dict[str, np.ndarray]]:
    with h5py.File(config.with_suffix("") / "patches.h5") as f:
        names = [n.decode() for n in f["slides/name"]]
        every = {k: f[k][...] for k in ("slide", "xy", "label", "tumor_fraction", "pixels")}
        return {name: {k: v[every["slide"] == i] for k, v in every.items()} for i, name in enumerate(names)}


def test_aperio_dicom_and_tiff_give_openslides_pixels_in_one_run(configure: Configure, tmp_path: Path, outlines: Path) -> None:
    paths = [WSI / "CMU-1-Small-Region.svs", WSI / "TCGA-CR-7395-01A-01-TS1.svs", DICOM, TIFF]
    c = configure(data={"layout": "csv", "csv": str(table(tmp_path, *((p, outlines if "072" in str(p.parent) else None) for p in paths))), "patch": 64})
    good("extract", c, ranks=2)
    found = rows_of(c)
    for path in paths:
        rows = found[path.stem]
        assert len(rows["xy"]) > 20, path.name
        with openslide.OpenSlide(path) as s:
            for i in range(0, len(rows["xy"]), max(1, len(rows["xy"]) // 25)):
                x, y = (int(v) for v in rows["xy"][i])
                assert np.array_equal(np.asarray(s.read_region((x, y), 0, (64, 64)).convert("RGB")), rows["pixels"][i]), (path.name, x, y)
        if path.stem.startswith(("CMU", "TCGA")):
            assert set(rows["label"]) == {-1}, "nothing is known of these"
    dicom, tiff = found[DICOM.stem], found[TIFF.stem]
    for k in ("xy", "label", "tumor_fraction", "pixels"):
        assert np.array_equal(dicom[k], tiff[k]), k
    assert set(tiff["label"]) == {-1, 0, 1} or set(tiff["label"]) == {-1, 0}
    # Polygon areas in level-0 px of the original, from the data's README: 59,128,695 and others, together 117,421,610 without overlaps cut.
    covered = tiff["tumor_fraction"].sum() * 64 * 64 * 128 * 128
    assert 0.85 < covered / 117_421_610 < 1.01


def test_a_target_resolution_on_a_slide_that_does_not_say_its_own_asks_for_it(configure: Configure, tmp_path: Path) -> None:
    c = configure(data={"layout": "csv", "csv": str(table(tmp_path, (WSI / "TCGA-CR-7395-01A-01-TS1.svs", None), (WSI / "CMU-1-Small-Region.svs", None))),
                        "patch": 64, "mpp": 1.0})
    p = mpicamnet("extract", c, ranks=2)
    assert p.returncode == 3
    assert [line for line in p.stderr.splitlines() if "TCGA" in line and "mpp" in line], p.stderr


def test_files_that_cannot_be_read_are_named_one_by_one(configure: Configure, tmp_path: Path) -> None:
    broken = [WSI / "broken" / name for name in ("unopenable.tiff", "CMU-1-Small-Region.webp.tiff", "unreadable.svs")]
    c = configure(data={"layout": "csv", "csv": str(table(tmp_path, *((p, None) for p in (*broken, TIFF)))), "patch": 16})
    p = mpicamnet("extract", c, ranks=3)
    assert p.returncode == 3
    for path in broken:
        assert sum(path.stem in line for line in p.stderr.splitlines()) == 1, p.stderr
