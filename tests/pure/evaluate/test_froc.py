"""FROC: small cases worked by hand, and the challenge's own counting written out plainly."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.evaluate import froc
from mpicamnet.evaluate.bootstrap import measures, replicate
from mpicamnet.evaluate.froc import RATES, LesionMeasures

NONE: list[list[float]] = []


def test_froc_by_hand() -> None:
    """Two slides. Slide 0: two lesions that count and isolated tumour cells (number 2); slide 1: no tumour.

    Detections of slide 0: 0.9 in lesion 0, again 0.95 in lesion 0 (the surest counts), 0.6 outside, 0.3 in lesion 1, 0.99 in the isolated
    tumour cells (nothing). Slide 1: 0.8 and 0.2, both false.

        threshold   found of 2   false   false per slide   sensitivity
        0.95            1          0          0                0.5
        0.8             1          1          0.5              0.5
        0.6             1          2          1                0.5
        0.3             2          2          1                1
        0.2             2          3          1.5              1

    At 1/4 and 1/2 false positives per slide 0.5; at 1 the curve stands at 1 (its upper end); at 2, 4, 8 it stays at 1.
    Score: (0.5 + 0.5 + 1 + 1 + 1 + 1) / 6 = 5/6.
    """
    got = froc([[[0.9, 0], [0.95, 0], [0.6, -1], [0.3, 1], [0.99, 2]], [[0.8, -1], [0.2, -1]]], [[True, True, False], []])
    assert got.threshold.tolist() == [np.inf, 0.95, 0.8, 0.6, 0.3, 0.2]
    assert got.false_positives.tolist() == [0, 0, 0.5, 1, 1, 1.5]
    assert got.sensitivity.tolist() == [0, 0.5, 0.5, 0.5, 1, 1]
    assert got.sensitivity_at == {"0.25": 0.5, "0.5": 0.5, "1": 1, "2": 1, "4": 1, "8": 1}
    assert got.score == pytest.approx(5 / 6)


def test_between_points_of_the_curve_sensitivity_is_interpolated() -> None:
    """One slide, two lesions: 0.9 false, 0.8 false, 0.8 finds lesion 0 at the same threshold. Points (0, 0), (1, 0), (2, 1/2): none at 1/4 to 1;
    1/2 at 2 and after."""
    got = froc([[[0.9, -1], [0.8, -1], [0.8, 0]]], [[True, True]])
    assert list(got.sensitivity_at.values()) == [0, 0, 0, 0.5, 0.5, 0.5]
    """Four such slides with false positives 0.9 on two of them and the find at 0.8 with two more: (0, 0), (1/2, 0), (1, 1/4)."""
    spread = froc([[[0.9, -1], [0.8, -1], [0.8, 0]], [[0.9, -1], [0.8, -1], [0.8, 0]], NONE, NONE], [[True, True], [True, True], [], []])
    assert spread.sensitivity_at["0.5"] == 0 and spread.sensitivity_at["1"] == 0.5
    assert np.interp(0.75, spread.false_positives, spread.sensitivity) == 0.25


def test_a_detector_that_misses_nothing_and_errs_nowhere_scores_one() -> None:
    assert froc([[[0.7, 0]], NONE], [[True], []]).score == 1


def test_nothing_found_is_zero_and_nothing_to_find_is_no_number() -> None:
    assert froc([[[0.7, -1]]], [[True]]).score == 0
    none = froc([[[0.7, -1]], [[0.9, 0]]], [[], [False]])
    assert none.score is None and set(none.sensitivity_at.values()) == {None}
    assert none.false_positives.tolist() == [0, 0.5]  # isolated tumour cells are not punished either
    said = measures(LesionMeasures([[[0.7, -1]]], [[]]), [])
    assert said["froc"] == {"value": None, "why": "no lesion that counts is outlined"}


@pytest.mark.parametrize("detections, lesions", [([NONE], [[], []]), ([[[0.5, 1]]], [[True]]), ([[[0.5, -2]]], [[True]])])
def test_arrays_that_do_not_fit_are_refused(detections: list[list[list[float]]], lesions: list[list[bool]]) -> None:
    with pytest.raises(ValueError):
        froc(detections, lesions)


def drawn(seed: int) -> tuple[list[npt.NDArray[np.float64]], list[npt.NDArray[np.bool_]]]:
    rng = np.random.default_rng(seed)
    lesions = [rng.random(rng.integers(0, 4)) < 0.7 for _ in range(12)]
    detections = [np.stack((rng.integers(1, 40, n) / 40, rng.integers(-1, len(m), n)), 1) for m in lesions for n in [int(rng.integers(0, 9))]]
    return detections, lesions


def challenge(detections: list[npt.NDArray[np.float64]], lesions: list[npt.NDArray[np.bool_]]) -> float:
    """The rules of Camelyon16's Evaluation_FROC.py, slide by slide and threshold by threshold."""
    false: list[float] = []
    best: list[float] = []
    for rows, counts in zip(detections, lesions, strict=True):
        surest = [0.0] * len(counts)
        for confidence, lesion in rows:
            if lesion < 0:
                false.append(confidence)
            elif counts[int(lesion)]:
                surest[int(lesion)] = max(surest[int(lesion)], confidence)
        best += [s for s, c in zip(surest, counts, strict=True) if c]
    thresholds = sorted({*false, *best} - {0.0})
    x = [sum(f >= t for f in false) / len(lesions) for t in thresholds] + [0]
    y = [sum(b >= t for b in best) / len(best) for t in thresholds] + [0]
    return float(np.mean(np.interp(list(RATES.values()), x[::-1], y[::-1])))


@pytest.mark.parametrize("seed", range(6))
def test_the_score_is_the_challenges_also_for_resampled_slides(seed: int) -> None:
    """Resampling a slide k times is the same as having k copies of it."""
    detections, lesions = drawn(seed)
    assert froc(detections, lesions).score == pytest.approx(challenge(detections, lesions), abs=1e-12)
    times = np.random.default_rng(seed + 100).integers(0, 4, len(lesions))
    copies = [i for i, n in enumerate(times) for _ in range(n)]
    again = LesionMeasures(detections, lesions).values(times)["froc"]
    assert again == pytest.approx(challenge([detections[i] for i in copies], [lesions[i] for i in copies]), abs=1e-12)


def test_the_interval_holds_the_value_and_depends_on_the_seed_alone() -> None:
    sample = LesionMeasures(*drawn(1))
    first, second, other = ([replicate(sample, seed, i) for i in range(200)] for seed in (7, 7, 8))
    assert [r.values for r in first] == [r.values for r in second] != [r.values for r in other]
    said = measures(sample, first)["froc"]
    assert said["low"] < said["value"] < said["high"]
