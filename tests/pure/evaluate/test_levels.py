"""From slides to what is measured: who counts at which level, and what the forest may see."""
from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.config import Detection
from mpicamnet.evaluate.forest import forest_chances, why_no_forest
from mpicamnet.evaluate.levels import levels
from mpicamnet.evaluate.result import evaluation
from mpicamnet.evaluate.seen import Seen, look
from mpicamnet.evaluate.source import SlideTable
from mpicamnet.evaluate.tiles import Tiles
from mpicamnet.evaluate.truth import patient_truth, slide_truth
from mpicamnet.slides import SlideRecord

ASAP = """<?xml version="1.0"?><ASAP_Annotations><Annotations><Annotation Name="a" Type="Polygon" PartOfGroup="metastases"><Coordinates>
<Coordinate Order="0" X="{0}" Y="{0}"/><Coordinate Order="1" X="{1}" Y="{0}"/><Coordinate Order="2" X="{1}" Y="{1}"/><Coordinate Order="3" X="{0}" Y="{1}"/>
</Coordinates></Annotation></Annotations></ASAP_Annotations>"""


def spot(xy: npt.NDArray[np.int64], corner: int, side: int, high: float) -> npt.NDArray[np.float32]:
    """Probabilities of tiles of 100 px: `high` in the middle of a square of `side` tiles, falling a little to its edges; low elsewhere."""
    inside = ((xy >= corner) & (xy < corner + 100 * side)).all(axis=1)
    from_middle = np.abs(xy - corner - side // 2 * 100).max(axis=1) / 100
    return np.where(inside, high - 0.001 * from_middle, 0.01).astype(np.float32)


def annotation(tmp_path: Path, low: int, high: int) -> str:
    path = tmp_path / f"{low}_{high}.xml"
    path.write_text(ASAP.format(low, high))
    return str(path)


def seen(tmp_path: Path, name: str = "s", stage: str = "", square: int = 0, hot: int = 0, patient: int = 1, mpp: float = 1.0, status: str = "ok") -> Seen:
    """A slide of 20 x 20 tiles of 100 px; outlined from px 500 on over `square` px, hot there over `hot` tiles, 0.99 in the middle."""
    record = SlideRecord(name, "", 0, patient, 0, stage, annotation(tmp_path, 500, 500 + square) if square else None)
    y, x = np.mgrid[:20, :20]
    xy = np.stack((x.ravel(), y.ravel()), 1) * 100
    prob = spot(xy, 500, hot, 0.99)
    one = np.array([100.0])
    table = SlideTable([name], [status], np.zeros(1, np.int32), np.array([patient], np.int32), np.array([mpp]), one, one, np.array([0, 400]))
    return look(table, 0, (xy, prob), slide_truth(record, table.mpp_of(0)), Detection(smoothing=0))


def tiles(n: int) -> Tiles:
    return Tiles(np.arange(n, dtype=np.int32), (np.arange(n) % 2).astype(np.int8), np.full(n, 0.5, np.float32))


def test_truth_comes_from_the_table_else_from_the_outlines(tmp_path: Path) -> None:
    """A square of 1,000 px at 1 um: diagonal 1.414 mm, micro; at 2 um 2.8 mm, macro. What the table says goes first."""
    outlined = SlideRecord("a", "", annotation=annotation(tmp_path, 0, 1000))
    micro, macro = slide_truth(outlined, 1.0), slide_truth(outlined, 2.0)
    assert micro.longest_axis_mm == pytest.approx(1.41421, abs=1e-4) and (micro.stage, macro.stage) == ("micro", "macro")
    assert slide_truth(SlideRecord("a", "", stage="itc", annotation=outlined.annotation), 1.0).stage == "itc"
    negative = slide_truth(SlideRecord("a", "", stage="negative"), None)
    assert negative.stage == "negative" and negative.lesions is not None and len(negative.lesions) == 0


@pytest.mark.parametrize("stage, square, mpp, why", [
    ("macro", 0, 1.0, "its lesions are not outlined"), ("", 0, 1.0, "nothing is known of it"),
    ("macro", 500, None, "its resolution is unknown, so its lesions have no length")])
def test_a_slide_whose_lesions_are_unknown_is_left_out_of_froc_and_says_why(tmp_path: Path, stage: str, square: int, mpp: float | None, why: str) -> None:
    record = SlideRecord("a", "", stage=stage, annotation=annotation(tmp_path, 0, square) if square else None)
    truth = slide_truth(record, mpp)
    assert truth.lesions is None and truth.why == why and truth.stage == stage


def test_a_patients_stage_is_the_tables_else_the_rules_else_unknown() -> None:
    told = {1: "pN2"}
    slides = {1: ["macro"], 2: ["macro", "negative"], 3: ["macro", ""]}
    assert patient_truth(told, slides) == {1: "pN2", 2: "pN1", 3: ""}


def test_every_slide_has_its_place_and_those_that_cannot_count_say_why(tmp_path: Path) -> None:
    """Right: macro (2.1 mm square seen as a square of 15 tiles = 1.5 mm: diagonal 2.1 mm) and negative. Wrong: a negative slide seen as micro.
    One slide without outlines, one that could not be read, one without resolution."""
    slides = [seen(tmp_path, "macro", square=1500, hot=15, patient=1), seen(tmp_path, "negative", "negative", patient=1),
              seen(tmp_path, "wrong", "negative", hot=5, patient=2), seen(tmp_path, "plain", "macro", hot=15, patient=3),
              seen(tmp_path, "broken", "macro", patient=4, status="a tile cannot be read"),
              seen(tmp_path, "no mpp", "micro", hot=5, patient=4, mpp=np.nan)]
    judged = levels(tiles(6), slides, 0.5, {}, {}, "too few")
    said = evaluation(judged, {name: [] for name in judged.samples})
    classes = said["slide"]["classes"]
    assert {name: (c["predicted"], c["true"]) for name, c in classes.items()} == {
        "macro": ("macro", "macro"), "negative": ("negative", "negative"), "wrong": ("micro", "negative"), "plain": ("macro", "macro"),
        "broken": (None, "macro"), "no mpp": (None, "micro")}
    assert classes["macro"]["longest_axis_mm"] == pytest.approx(1.5 * np.sqrt(2))
    assert classes["broken"]["why"] == "a tile cannot be read" and classes["broken"]["score"] is None
    assert "resolution" in classes["no mpp"]["why"]
    assert said["slide"]["n"] == 5 and said["slide"]["accuracy"]["value"] == 3 / 4  # "no mpp" has a score, and no class
    assert said["slide"]["roc_auc"]["value"] == pytest.approx((3 * 1 + 3 * 0.5) / 6)  # three tumour slides tie with the wrong one
    assert said["lesion"]["slides"] == 3 and said["lesion"]["lesions"] == 1
    assert said["lesion"]["left_out"] == {"plain": "its lesions are not outlined", "broken": "a tile cannot be read", "no mpp": "its lesions are not outlined"}
    """Lesion and false positive have one confidence, 0.99: (0, 0), (1/3, 1). At 1/4 3/4, then 1."""
    assert said["lesion"]["sensitivity_at"]["0.25"]["value"] == pytest.approx(0.75) and said["lesion"]["froc"]["value"] == pytest.approx(5.75 / 6)
    stages = said["patient"]["stages"]
    assert {p: (s["predicted"], s["true"]) for p, s in stages.items()} == {
        "patient_001": ("pN1", "pN1"), "patient_002": ("pN1mi", "pN0"), "patient_003": ("pN1", "pN1"), "patient_004": (None, "pN1")}
    assert stages["patient_004"] == {"predicted": None, "true": "pN1", "slides": 0, "why": "2 of 2 slides have no predicted class, and do not count"}
    assert said["patient"]["n"] == 3 and said["patient"]["accuracy"]["value"] == pytest.approx(2 / 3)
    assert said["slide"]["forest"] == {"value": None, "why": "too few"} == said["patient"]["forest"]


def test_centres_are_measured_apart(tmp_path: Path) -> None:
    judged = levels(tiles(3), [seen(tmp_path)] * 3, 0.5, {}, {}, "")
    assert {name: len(t.tiles.label) for name, t in judged.tiles.items()} == {"": 3, "0": 3}


def features_of(classes: np.ndarray, seed: int) -> np.ndarray:
    """Slides whose features tell their class, with noise."""
    rng = np.random.default_rng(seed)
    axis = np.array([0.0, 0.12, 1.0, 4.0])[classes] * rng.uniform(0.8, 1.2, len(classes))
    return np.stack((np.sign(classes), axis**2, axis, 0.3 + 0.65 * np.sign(classes), 0.1 * classes), 1)


def test_the_forest_learns_the_classes_of_patients_that_it_has_not_seen() -> None:
    true, group = np.tile(np.arange(4), 10), np.repeat(np.arange(8), 5)
    rows = features_of(true, 1)
    called = np.concatenate([forest_chances(rows, true, group, g, 7, 50).argmax(axis=1) for g in range(8)])
    assert (called == true).mean() >= 0.9
    again = forest_chances(rows, true, group, 3, 7, 50)
    assert (again == forest_chances(rows, true, group, 3, 7, 50)).all() and again.sum(axis=1) == pytest.approx(np.ones(5))


def test_the_forest_does_not_see_the_patient_that_it_is_asked_about() -> None:
    """Whatever the held-out patient's true classes are, the answer is the same."""
    true, group = np.tile(np.arange(4), 10), np.repeat(np.arange(8), 5)
    rows, lied = features_of(true, 2), true.copy()
    lied[group == 2] = 0
    assert (forest_chances(rows, true, group, 2, 7, 20) == forest_chances(rows, lied, group, 2, 7, 20)).all()


@pytest.mark.parametrize("true, group, trees, word", [
    ([0, 1] * 4, [0, 1, 2, 3] * 2, 100, "too few"), ([0, 1] * 10, [0, 1] * 10, 100, "too few"), ([0, 1] * 10, range(20), 0, "evaluate.forest"),
    ([0] * 19 + [1], range(20), 100, "one class"), ([0, 1] * 10, range(20), 100, "")])
def test_where_there_is_too_little_to_learn_from_it_is_said(true: list[int], group: list[int], trees: int, word: str) -> None:
    why = why_no_forest(np.array(true), np.array(group), trees)
    assert word in why and bool(why) == bool(word)
