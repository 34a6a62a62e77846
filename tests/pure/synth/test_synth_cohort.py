"""A drawn cohort: the layout of Camelyon17, labels that follow from what was drawn, and a second call that does not draw again."""

from __future__ import annotations

import argparse
import csv
import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from mpicamnet.errors import UserError
from mpicamnet.synth import add_arguments, draw_cohort, run
from mpicamnet.synth.cohort import Drawn, node_stage, patient_stage

SMALL = {"slides": 4, "size": 1024, "mpp": 2.0}


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Drawn]]:
    root = tmp_path_factory.mktemp("cohort")
    return root, draw_cohort(root, **SMALL)  # type: ignore[arg-type]


def outlines(path: Path, group: str) -> list[np.ndarray]:
    return [
        np.array([[float(c.attrib["X"]), float(c.attrib["Y"])] for c in a.iter("Coordinate")])
        for a in ET.parse(path).iter("Annotation")
        if a.attrib["PartOfGroup"] == group
    ]


def test_files_lie_as_in_camelyon17(cohort: tuple[Path, list[Drawn]]) -> None:
    root, _ = cohort
    assert sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file()) == [
        "center_0/patient_000_node_0.tif",
        "center_1/patient_020_node_0.tif",
        "center_2/patient_040_node_0.tif",
        "center_2/patient_041_node_0.tif",
        "cohort.json",
        "lesion_annotations/patient_000_node_0.xml",
        "lesion_annotations/patient_020_node_0.xml",
        "lesion_annotations/patient_040_node_0.xml",
        "stage_labels.csv",
    ]


def test_training_and_test_centres_hold_tumour_and_one_slide_is_negative(cohort: tuple[Path, list[Drawn]]) -> None:
    assert [(d.center, d.stage) for d in cohort[1]] == [(0, "macro"), (1, "macro"), (2, "macro"), (2, "negative")]


def test_stage_labels_follow_from_the_annotations(cohort: tuple[Path, list[Drawn]]) -> None:
    root, _ = cohort
    with (root / "stage_labels.csv").open() as f:
        stages = {row["patient"]: row["stage"] for row in csv.DictReader(f)}
    assert stages == {
        "patient_000.zip": "pN1",
        "patient_000_node_0.tif": "macro",
        "patient_020.zip": "pN1",
        "patient_020_node_0.tif": "macro",
        "patient_040.zip": "pN1",
        "patient_040_node_0.tif": "macro",
        "patient_041.zip": "pN0",
        "patient_041_node_0.tif": "negative",
    }
    for xml in (root / "lesion_annotations").iterdir():
        rings = outlines(xml, "metastases")
        longest = max(np.linalg.norm(r[:, None] - r[None], axis=-1).max() for r in rings) * SMALL["mpp"] / 1000
        assert longest >= 2 and stages[f"{xml.stem}.tif"] == "macro"


def test_a_hole_lies_in_a_metastasis(cohort: tuple[Path, list[Drawn]]) -> None:
    import shapely

    xml = cohort[0] / "lesion_annotations" / "patient_000_node_0.xml"
    holes = outlines(xml, "normal")
    assert holes and all(any(shapely.Polygon(m).contains(shapely.Polygon(h)) for m in outlines(xml, "metastases")) for h in holes)


@pytest.mark.parametrize(
    ("lengths", "stage"), [((), "negative"), ((0.19,), "itc"), ((0.2,), "micro"), ((1.99, 0.1), "micro"), ((0.3, 2.0), "macro")]
)
def test_a_node_is_classed_by_its_longest_metastasis(lengths: tuple[float, ...], stage: str) -> None:
    assert node_stage(lengths) == stage


@pytest.mark.parametrize(
    ("nodes", "stage"),
    [  # camelyon17.grand-challenge.org: pN stages
        (["negative"], "pN0"),
        (["itc", "negative"], "pN0(i+)"),
        (["micro", "itc"], "pN1mi"),
        (["macro", "micro", "micro", "itc"], "pN1"),
        (["macro", "micro", "micro", "macro"], "pN2"),
    ],
)
def test_a_patient_is_staged_by_camelyon17s_rule(nodes: list[str], stage: str) -> None:
    assert patient_stage(nodes) == stage  # type: ignore[arg-type]


def test_patients_with_several_nodes_are_numbered_within_their_centre(tmp_path: Path) -> None:
    drawn = draw_cohort(tmp_path, slides=6, size=512, centers=(1, 3), nodes=2)
    assert [d.path for d in drawn] == [
        f"center_{c}/patient_{p:03}_node_{n}.tif" for c, p, n in [(1, 20, 0), (3, 60, 0), (3, 60, 1), (1, 20, 1), (1, 21, 0), (3, 61, 0)]
    ]


def test_a_second_call_draws_nothing(cohort: tuple[Path, list[Drawn]]) -> None:
    root, first = cohort
    before = {p: p.stat().st_mtime_ns for p in root.rglob("*.tif")}
    asked: list[bool] = []
    assert draw_cohort(root, **SMALL, say=lambda _, now: asked.append(now)) == first  # type: ignore[arg-type]
    assert asked == [] and {p: p.stat().st_mtime_ns for p in root.rglob("*.tif")} == before


def test_a_killed_call_goes_on_where_it_was_and_ends_with_the_same_bytes(tmp_path: Path, cohort: tuple[Path, list[Drawn]]) -> None:
    def stop(slide: Drawn, drawn: bool) -> None:
        if slide.center == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        draw_cohort(tmp_path, **SMALL, say=stop)  # type: ignore[arg-type]
    assert not (tmp_path / "cohort.json").exists()
    told: list[bool] = []
    draw_cohort(tmp_path, **SMALL, say=lambda _, now: told.append(now))  # type: ignore[arg-type]
    assert told == [False, False, True, True]
    for path in cohort[0].rglob("*"):
        if path.is_file():
            assert (tmp_path / path.relative_to(cohort[0])).read_bytes() == path.read_bytes(), path.name
    assert not list(tmp_path.rglob("*.partial"))


def test_a_folder_that_holds_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"not empty.*choose a new or empty folder"):
        draw_cohort(tmp_path, slides=1, size=512)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_another_cohort_is_not_taken_for_this_one(cohort: tuple[Path, list[Drawn]]) -> None:
    with pytest.raises(UserError, match="another cohort.*seed 2020, not 1"):
        draw_cohort(cohort[0], **SMALL, seed=1)  # type: ignore[arg-type]


def test_a_broken_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "cohort.json").write_text("{")
    with pytest.raises(UserError, match="cohort.json"):
        draw_cohort(tmp_path)


def test_the_manifest_says_what_was_drawn(cohort: tuple[Path, list[Drawn]]) -> None:
    held = json.loads((cohort[0] / "cohort.json").read_text())
    assert held["parameters"]["seed"] == 2020
    assert [s["stage"] for s in held["slides"]] == ["macro", "macro", "macro", "negative"]


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="mpicamnet synth")
    add_arguments(parser)
    return parser.parse_args(words)


def test_the_command_says_a_line_per_slide_and_then_that_all_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (str(tmp_path / "a"), "--slides", "2", "--size", "512", "--mpp", "4")
    assert run(parse(*words)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("center_0/patient_000_node_0.tif  macro") and lines[-1].endswith("2 drawn now") and len(lines) == 3
    assert run(parse(*words)) == 0
    assert "already there" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", [("--slides", "0"), ("--size", "100"), ("--tile", "500"), ("--quality", "101"), ("--mpp", "0"), ("--seed", "-1")]
)
def test_a_wrong_option_is_named_before_anything_is_made(tmp_path: Path, words: tuple[str, str]) -> None:
    with pytest.raises(UserError, match=words[0]):
        run(parse(str(tmp_path / "a"), *words))
    assert not (tmp_path / "a").exists()


def test_help_is_light(tmp_path: Path) -> None:
    code = "import sys, mpicamnet.synth; print([m for m in ('numpy', 'numba', 'mpi4py', 'tifffile') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"
