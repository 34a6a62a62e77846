"""Real scanner files: Aperio JPEG and JPEG 2000, DICOM, TIFF, with real tumour outlines."""
from __future__ import annotations

import csv
import json
from pathlib import Path

import h5py
import numpy as np
import openslide
import pytest
import shapely
import tifffile
from skimage.registration import phase_cross_correlation

from mpicamnet.slides import read_annotation
from tests.launch import good, mpicamnet
from tests.program.conftest import Configure
from tests.shared_data import DATA, needs_data
from tests.untrained import save_untrained

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


def test_dicom_and_tiff_of_one_slide_get_the_same_heatmap_over_the_same_tissue(configure: Configure, tmp_path: Path, outlines: Path) -> None:
    """The TIFF holds the px of the DICOM and a level more. With the tissue mask made of level 0 all is the same px for px; as it is by default, from
    the coarser level where there is one, only the rim of the tissue differs and the maps do not lie apart."""
    model = save_untrained(tmp_path / "model.keras", 32, 28.97)
    for downsample in (1, 32):
        c = configure(f"d{downsample}", data={"layout": "csv", "csv": str(table(tmp_path, (DICOM, outlines), (TIFF, outlines))), "patch": 32},
                      tissue={"downsample": downsample}, infer={"model": str(model), "stride": 16})
        good("infer", c, ranks=2)
        folder = c.with_suffix("") / "infer" / "heatmaps"
        dicom, tiff = (tifffile.imread(folder / f"{path.stem}.tif") for path in (DICOM, TIFF))
        for path, px in ((DICOM, dicom), (TIFF, tiff)):
            with openslide.OpenSlide(path) as slide, openslide.OpenSlide(folder / f"{path.stem}.tif") as heat:
                step = slide.dimensions[0] // px.shape[1]
                assert heat.dimensions == tuple(-(-s // step) for s in slide.dimensions)
                assert float(heat.properties["openslide.mpp-x"]) == pytest.approx(step * float(slide.properties["openslide.mpp-x"]), rel=1e-4)
        shift, _, _ = phase_cross_correlation((dicom > 0).astype(float), (tiff > 0).astype(float))
        assert shift.tolist() == [0, 0]
        if downsample == 1:
            assert np.array_equal(dicom, tiff) and (dicom > 0).mean() > 0.1
        lesions = read_annotation(outlines)
        row, column = np.nonzero(tiff)
        inside = shapely.contains_xy(lesions, (column + 0.5) * step, (row + 0.5) * step).sum() * step**2
        assert inside > 0.9 * lesions.area, "the outlines lie where the map knows tissue"
