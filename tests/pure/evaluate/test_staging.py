"""Slide classes, pN stages and kappa: every branch of Camelyon17's rule, cases by hand, scikit-learn, and the challenge's own tables."""
from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from mpicamnet.config import Data
from mpicamnet.errors import UserError
from mpicamnet.evaluate import pn_stage, quadratic_kappa, roc_auc, slide_class
from mpicamnet.evaluate.patient_level import PatientMeasures
from mpicamnet.evaluate.slide_level import SlideMeasures
from mpicamnet.evaluate.staging import CLASSES, PN_STAGES
from mpicamnet.slides import patient_stages, record
from tests.shared_data import DATA, needs_data

SCORES = {"pred_I": 0.8821, "pred_II": 0.7915, "pred_I_thres_07": 0.8978, "Method_II_noise_norm": 0.9839, "Method_II_noise_only": 0.9421,
          "Method_I": 0.9156}  # area under the ROC curve against `truth`, as the data's README has it


def test_words_are_those_of_the_tables() -> None:
    assert CLASSES == record.STAGES and PN_STAGES == record.PN_STAGES


@pytest.mark.parametrize("mm, expected", [(None, "negative"), (0.01, "itc"), (0.1999, "itc"), (0.2, "micro"), (1.999, "micro"), (2.0, "macro"),
                                          (15.0, "macro")])
def test_a_slide_is_classed_by_its_longest_axis(mm: float | None, expected: str) -> None:
    assert slide_class(mm) == expected


@pytest.mark.parametrize("negative, itc, micro, macro, expected", [
    (5, 0, 0, 0, "pN0"), (4, 1, 0, 0, "pN0(i+)"), (0, 5, 0, 0, "pN0(i+)"), (4, 0, 1, 0, "pN1mi"), (3, 1, 1, 0, "pN1mi"), (0, 0, 5, 0, "pN1mi"),
    (4, 0, 0, 1, "pN1"), (2, 0, 2, 1, "pN1"), (2, 0, 0, 3, "pN1"), (0, 2, 2, 1, "pN1"),  # ITC are no positive nodes
    (1, 0, 3, 1, "pN2"), (0, 1, 0, 4, "pN2"), (0, 0, 0, 5, "pN2"),
    (1, 0, 0, 0, "pN0"), (0, 0, 0, 1, "pN1"), (0, 1, 0, 0, "pN0(i+)"),  # patients of one slide
])
def test_every_branch_of_the_rule_for_patients(negative: int, itc: int, micro: int, macro: int, expected: str) -> None:
    classes = ["negative"] * negative + ["itc"] * itc + ["micro"] * micro + ["macro"] * macro
    assert pn_stage(classes) == expected == pn_stage(classes[::-1])


@pytest.mark.parametrize("classes", [[], ["macro", "unknown"], ["Macro"]])
def test_a_patient_without_nodes_or_with_unknown_classes_has_no_stage(classes: list[str]) -> None:
    with pytest.raises(ValueError):
        pn_stage(classes)


def test_kappa_by_hand() -> None:
    """Grades (0,0), (0,1), (2,2), (2,0): squared differences 0, 1, 0, 4, mean 5/4. By chance, all 16 pairs of true 0 0 2 2 with predicted
    0 1 2 0: for each true 0: 0 1 4 0, for each true 2: 4 1 0 4; mean (2 * 5 + 2 * 9) / 16 = 7/4. kappa = 1 - (5/4) / (7/4) = 2/7."""
    assert quadratic_kappa([0, 0, 2, 2], [0, 1, 2, 0]) == pytest.approx(2 / 7)


def test_kappa_is_one_in_full_agreement_negative_in_reverse_and_nothing_where_all_is_one_grade() -> None:
    assert quadratic_kappa([0, 1, 4], [0, 1, 4]) == 1
    assert quadratic_kappa([0, 4], [4, 0]) == -1
    assert quadratic_kappa([3, 3], [3, 3]) is None and quadratic_kappa([], []) is None
    assert quadratic_kappa([3, 3], [2, 2]) == 0


@pytest.mark.parametrize("seed", range(20))
def test_kappa_equals_scikit_learn_also_with_repeated_rows(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, times = rng.integers(0, 5, 30), rng.integers(0, 5, 30), rng.integers(0, 4, 30)
    assert quadratic_kappa(a, b) == pytest.approx(cohen_kappa_score(a, b, weights="quadratic", labels=range(5)), abs=1e-12)
    assert quadratic_kappa(a, b, times) == pytest.approx(cohen_kappa_score(a, b, weights="quadratic", labels=range(5), sample_weight=times), abs=1e-12)


def test_what_does_not_exist_at_slide_and_patient_level_says_why() -> None:
    one = np.array([1, 3]), np.array([1, -1]), np.array([0.5, 0.9])
    assert SlideMeasures(*one).values() == {"roc_auc": None, "accuracy": 1.0}  # the slide without a class counts in neither
    assert SlideMeasures(*one).why("roc_auc") == "no slide without tumour"
    assert SlideMeasures(*one).confusion == [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    none = np.zeros(0, np.int64)
    assert SlideMeasures(none, none, np.zeros(0)).values() == {"roc_auc": None, "accuracy": None}
    assert PatientMeasures(none, none).values() == {"accuracy": None, "kappa": None}
    assert PatientMeasures(np.array([2, 2]), np.array([2, 2])).values() == {"accuracy": 1.0, "kappa": None}


def test_a_table_with_an_unknown_stage_of_a_patient_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "stage_labels.csv").write_text("patient,stage\npatient_001.zip,pN1\npatient_001_node_0.tif,macro\npatient_002.zip,pN9\n")
    with pytest.raises(UserError, match="line 4"):
        patient_stages(Data(root=str(tmp_path)))


def table(name: str) -> dict[str, str]:
    with (DATA / "annotations" / "camelyon17" / name).open(newline="") as f:
        return {row["patient"]: row["stage"] for row in csv.DictReader(f)}


@needs_data
def test_the_rule_gives_the_stage_of_all_hundred_patients_of_camelyon17(tmp_path: Path) -> None:
    rows = table("stage_labels.csv")
    (tmp_path / "stage_labels.csv").write_bytes((DATA / "annotations" / "camelyon17" / "stage_labels.csv").read_bytes())
    told = patient_stages(Data(root=str(tmp_path)))
    assert len(told) == 100
    for patient, stage in told.items():
        assert pn_stage([s for name, s in rows.items() if name.startswith(f"patient_{patient:03d}_node")]) == stage


@needs_data
def test_kappa_of_the_published_example_equals_scikit_learn() -> None:
    true, predicted = (
        [PN_STAGES.index(v) for k, v in sorted(table(f"pn_{kind}_5_patients.csv").items()) if k.endswith(".zip")] for kind in ("reference", "submission"))
    assert len(true) == len(predicted) == 5
    assert quadratic_kappa(true, predicted) == pytest.approx(cohen_kappa_score(true, predicted, weights="quadratic"), abs=1e-12)


@needs_data
@pytest.mark.parametrize("column", SCORES)
def test_published_scores_of_camelyon16s_test_set_have_their_known_auc(column: str) -> None:
    with (DATA / "annotations" / "camelyon16" / "reference_all_final_results_0515.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    auc = roc_auc(np.array([int(r["truth"]) for r in rows], np.int8), np.array([float(r[column]) for r in rows]))
    assert auc == pytest.approx(SCORES[column], abs=5e-5)
