from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mpicamnet.config import Data
from mpicamnet.errors import USAGE, UserError
from mpicamnet.slides import catalogue, catalogue_digest
from tests.shared_data import DATA, needs_data


def tree(root: Path, *files: str, **texts: str) -> Path:
    for name in files:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    return root


def names(data: Data) -> list[str]:
    return [r.name for r in catalogue(data)]


@needs_data
def test_the_pcam_slides_are_13_with_their_outlines_and_stages() -> None:
    records = catalogue(Data(root=str(DATA / "pcam_slides")))
    assert [(r.center, r.patient, r.node) for r in records] == [(0, 0, 0), (0, 0, 1), (0, 4, 0), (0, 4, 1), (0, 9, 0), (1, 21, 0), (1, 21, 1), (1, 27, 0),
                                                              (1, 30, 0), (2, 41, 0), (2, 41, 1), (2, 46, 0), (2, 49, 0)]
    assert sorted(r.stage for r in records) == sorted(["macro"] * 6 + ["micro"] * 3 + ["itc"] + ["negative"] * 3)
    for r in records:
        assert r.background == 0 and (r.annotation is None) == (r.stage == "negative")
        assert r.annotation is None or Path(r.annotation).stem == r.name


def test_camelyon17_as_released_and_with_the_older_name_of_a_centre(tmp_path: Path) -> None:
    tree(tmp_path, "training/center_0/patient_004_node_4.tif", "training/center_0/patient_004_node_0.tif", "training/center_0/patient_003_node_0.tif",
         "centre_1/patient_020_node_2.tif", "training/lesion_annotations/patient_004_node_4.xml", "other/patient_001_node_0.tif",
         "training/center_0/patient_004_node_4_mask.tif", "training/center_0/.patient_005_node_0.tif", "training/center_0/notes.txt")
    (tmp_path / "training/stage_labels.csv").write_text("patient,stage\r\npatient_004.zip,pN1\r\npatient_004_node_4.tif,macro\r\n"
                                                        "patient_004_node_0.tif,negative\r\npatient_003_node_0.tif,micro\r\n")
    records = catalogue(Data(root=str(tmp_path)))
    assert [(r.center, r.patient, r.node, r.stage, r.background) for r in records] == [
        (0, 3, 0, "micro", -1),  # known to be positive, but nobody drew where
        (0, 4, 0, "negative", 0), (0, 4, 4, "macro", 0),
        (1, 20, 2, "", -1)]  # nothing is known
    assert [bool(r.annotation) for r in records] == [False, False, True, False]


def test_camelyon17_as_the_registry_of_open_data_has_it(tmp_path: Path) -> None:
    """All slides in `images`, no folder of centres: 20 patients are of one centre."""
    tree(tmp_path, "images/patient_004_node_4.tif", "images/patient_020_node_4.tif", "images/patient_099_node_0.tif", "annotations/patient_004_node_4.xml",
         "masks/patient_004_node_4_mask.tif")
    (tmp_path / "stages.csv").write_text("patient,stage,center\npatient_004.zip,pN0(i+),0\npatient_004_node_4.tif,itc,0\npatient_099_node_0.tif,negative,4\n")
    assert [(r.center, r.patient, r.node, r.stage, bool(r.annotation)) for r in catalogue(Data(root=str(tmp_path)))] == [
        (0, 4, 4, "itc", True), (1, 20, 4, "", False), (4, 99, 0, "negative", False)]


@needs_data
def test_camelyon17s_own_stage_table_is_read(tmp_path: Path) -> None:
    tree(tmp_path, "center_0/patient_004_node_4.tif", "center_0/patient_000_node_0.tif")
    (tmp_path / "stage_labels.csv").write_bytes((DATA / "annotations/camelyon17/stage_labels.csv").read_bytes())
    assert [(r.patient, r.stage) for r in catalogue(Data(root=str(tmp_path)))] == [(0, "negative"), (4, "itc")]


@pytest.mark.parametrize("folders", [("tumor", "normal", "test"), ("training/tumor", "training/normal", "testing/images")])
def test_camelyon16_flat_and_nested(folders: tuple[str, str, str], tmp_path: Path) -> None:
    tumor, normal, test = folders
    tree(tmp_path, f"{tumor}/tumor_001.tif", f"{tumor}/tumor_002.tif", f"{normal}/normal_001.tif", *(f"{test}/test_00{k}.tif" for k in (1, 2, 3, 4)),
         "training/lesion_annotations/tumor_001.xml", "testing/lesion_annotations/Test_002.json")
    (tmp_path / "testing/reference.csv").write_text("test_001,Normal,None,None\ntest_002,Tumor,IDC,Macro\ntest_003,Tumor,ILC,Micro\n")
    found = {r.name: (r.stage, r.background, r.annotation and Path(r.annotation).name) for r in catalogue(Data(layout="camelyon16", root=str(tmp_path)))}
    assert found == {"normal_001": ("negative", 0, None), "tumor_001": ("", 0, "tumor_001.xml"), "tumor_002": ("", -1, None),
                     "test_001": ("negative", 0, None), "test_002": ("macro", 0, "Test_002.json"), "test_003": ("micro", -1, None),
                     "test_004": ("", -1, None)}


@needs_data
def test_camelyon16s_table_of_results_tells_the_test_set(tmp_path: Path) -> None:
    tree(tmp_path, *(f"test/test_{k:03}.tif" for k in range(1, 131)))
    (tmp_path / "test/reference_all.csv").write_bytes((DATA / "annotations/camelyon16/reference_all_final_results_0515.csv").read_bytes())
    stages = [r.stage for r in catalogue(Data(layout="camelyon16", root=str(tmp_path)))]
    # The README: 129 slides, 80 Normal, 22 Macro, 27 Micro
    assert (stages.count("negative"), stages.count("macro"), stages.count("micro"), stages.count("")) == (80, 22, 27, 1)


def test_a_plain_folder_takes_outlines_beside_the_slides_or_from_their_own_folder(tmp_path: Path) -> None:
    tree(tmp_path, "b.svs", "a.tif", "a_mask.tif", "c.ndpi", "b.geojson", "B.txt", "deeper/d.tif", "notes/c.xml")
    records = catalogue(Data(layout="folder", root=str(tmp_path)))
    assert [(r.name, r.annotation and Path(r.annotation).name, r.background) for r in records] == [
        ("a", "a_mask.tif", 0), ("b", "b.geojson", 0), ("c", None, -1)]
    records = catalogue(Data(layout="folder", root=str(tmp_path), annotations=str(tmp_path / "notes")))
    assert [(r.name, bool(r.annotation)) for r in records] == [("a", False), ("b", False), ("c", True)]


def test_a_table_tells_all(tmp_path: Path) -> None:
    tree(tmp_path, "x/one.tif", "two.svs", "x/one.xml")
    table = tmp_path / "slides.csv"
    table.write_text("path,annotation,center,patient,node,stage,mpp\ntwo.svs,,,,,Negative,0.25\nx/one.tif,x/one.xml,2,7,1,,\n")
    two, one = catalogue(Data(layout="csv", csv=str(table)))
    assert (two.name, two.path, two.center, two.stage, two.background, two.mpp) == ("two", str(tmp_path / "two.svs"), -1, "negative", 0, 0.25)
    assert (one.center, one.patient, one.node, one.annotation, one.background, one.mpp) == (2, 7, 1, str(tmp_path / "x/one.xml"), 0, None)
    table.write_text("path\n two.svs\n")
    assert names(Data(layout="csv", csv=str(table))) == ["two"]


@pytest.mark.parametrize(("text", "says"), [
    ("path,stages\n", "unknown column `stages`: .*line 1: did you mean `stage`"),
    ("stage\nmacro\n", "no column `path`"),
    ("path\nabsent.tif\n", "the slide is not there: .*line 2.*absent.tif"),
    ("path,annotation\none.tif,absent.xml\n", "the annotation is not there.*line 2"),
    ("path,center\none.tif,first\n", "column center holds `first`: .*line 2"),
    ("path,stage\none.tif,huge\n", "unknown stage `huge`: .*line 2"),
    ("path,mpp\none.tif,-1\n", "column mpp holds `-1`: .*line 2"),
    ("path\none.tif,2\n", "more fields than the first: .*line 2"),
    ("path\n", "there are no slides: .*slides.csv"),
])
def test_a_mistake_in_a_table_is_told_with_its_line(text: str, says: str, tmp_path: Path) -> None:
    tree(tmp_path, "one.tif")
    (tmp_path / "slides.csv").write_text(text)
    with pytest.raises(UserError, match=says) as e:
        catalogue(Data(layout="csv", csv=str(tmp_path / "slides.csv")))
    assert e.value.code == USAGE


@pytest.mark.parametrize("layout", ["camelyon17", "camelyon16", "folder", "csv"])
def test_what_is_missing_or_empty_is_told_with_its_path(layout: Any, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path / "absent")) as e:
        catalogue(Data(layout=layout, root=str(tmp_path / "absent"), csv=str(tmp_path / "absent.csv")))
    assert e.value.code == USAGE
    if layout != "csv":
        with pytest.raises(UserError, match=f"there are no slides: {tmp_path}: layout {layout} wants") as e:
            catalogue(Data(layout=layout, root=str(tmp_path)))
        assert e.value.code == USAGE


def test_filters_keep_what_they_name(tmp_path: Path) -> None:
    tree(tmp_path, *(f"center_{c}/patient_{p:03}_node_0.tif" for c, p in ((0, 3), (0, 4), (1, 20), (3, 60))))
    data = Data(root=str(tmp_path))
    assert names(replace(data, centers=[0, 3])) == ["patient_003_node_0", "patient_004_node_0", "patient_060_node_0"]
    assert names(replace(data, patients=[20])) == ["patient_020_node_0"]
    assert names(replace(data, slides=["patient_060_node_0", "patient_003_node_0"])) == ["patient_003_node_0", "patient_060_node_0"]


@pytest.mark.parametrize(("filters", "says"), [
    ({"centers": [0, 2]}, "`data.centers` names 2, which is not there: .*: the nearest is 1"),
    ({"patients": [5]}, "`data.patients` names 5, .*: the nearest is 4"),
    ({"slides": ["patient_003_node_1"]}, "`data.slides` names patient_003_node_1, .*: did you mean patient_003_node_0"),
])
def test_a_filter_that_names_what_is_not_there_is_told_with_the_nearest(filters: dict[str, Any], says: str, tmp_path: Path) -> None:
    tree(tmp_path, "center_0/patient_003_node_0.tif", "center_0/patient_004_node_0.tif", "center_1/patient_020_node_0.tif")
    with pytest.raises(UserError, match=says) as e:
        catalogue(replace(Data(root=str(tmp_path)), **filters))
    assert e.value.code == USAGE


def test_two_slides_of_one_name_are_told(tmp_path: Path) -> None:
    tree(tmp_path, "center_0/patient_003_node_0.tif", "center_1/patient_003_node_0.tif")
    with pytest.raises(UserError, match="two slides are called patient_003_node_0: .*center_0.* and .*center_1"):
        catalogue(Data(root=str(tmp_path)))


@pytest.mark.parametrize(("text", "says"), [("patient,stage\npatient_000_node_0.tif,big\n", "unknown stage `big`: .*line 2"),
                                            ("a,b\n", "no column `patient`")])
def test_a_mistake_in_the_stage_table_is_told(text: str, says: str, tmp_path: Path) -> None:
    tree(tmp_path, "center_0/patient_000_node_0.tif")
    (tmp_path / "stage_labels.csv").write_text(text)
    with pytest.raises(UserError, match=says):
        catalogue(Data(root=str(tmp_path)))


def test_the_digest_changes_with_whatever_changes_rows(tmp_path: Path) -> None:
    tree(tmp_path, "one.tif", "one.xml", "two.tif")
    data = Data(layout="folder", root=str(tmp_path))
    seen = {catalogue_digest(catalogue(data))}
    assert seen == {catalogue_digest(catalogue(data))}
    (tmp_path / "one.xml").write_text("<x/>")
    seen.add(catalogue_digest(catalogue(data)))
    (tmp_path / "two.tif").write_bytes(b"x")
    seen.add(catalogue_digest(catalogue(data)))
    records = catalogue(data)
    seen.add(catalogue_digest(records[:1]))
    seen.add(catalogue_digest([replace(records[0], mpp=0.5), records[1]]))
    seen.add(catalogue_digest([records[0], replace(records[1], stage="macro")]))
    seen.add(catalogue_digest([records[0], replace(records[1], background=0)]))
    assert len(seen) == 7
