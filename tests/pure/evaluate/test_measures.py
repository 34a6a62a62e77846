"""Measures equal scikit-learn's, and hand-made cases."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn import calibration, metrics

from mpicamnet.evaluate import calibration_error, confusion, drawn_slides, interval, pr_auc, roc_auc
from mpicamnet.evaluate.bootstrap import Replicate, band, measures, replicate
from mpicamnet.evaluate.curves import FALSE_SHARES, RECALLS, mean_probabilities, precisions, sensitivities, tumor_shares
from mpicamnet.evaluate.measures import BINS, Ranking
from mpicamnet.evaluate.tiles import TileMeasures, Tiles


def drawn(seed: int, n: int = 300, ties: bool = False) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, n).astype(np.int8)
    prob = np.clip(rng.normal(0.4 + 0.2 * label, 0.2), 0, 1).astype(np.float32)
    return label, np.round(prob, 1) if ties else prob, rng.integers(0, 4, n)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_areas_and_tables_equal_scikit_learn_also_with_ties_and_repeated_rows(seed: int, ties: bool) -> None:
    label, prob, times = drawn(seed, ties=ties)
    assert roc_auc(label, prob) == pytest.approx(metrics.roc_auc_score(label, prob), abs=1e-12)
    assert pr_auc(label, prob) == pytest.approx(metrics.average_precision_score(label, prob), abs=1e-12)
    assert roc_auc(label, prob, times) == pytest.approx(metrics.roc_auc_score(label, prob, sample_weight=times), abs=1e-12)
    assert pr_auc(label, prob, times) == pytest.approx(metrics.average_precision_score(label, prob, sample_weight=times), abs=1e-12)
    called = prob >= np.float32(0.5)
    for rows in (None, times):
        table = confusion(label, prob, 0.5, rows)
        assert table.table == metrics.confusion_matrix(label, called, sample_weight=rows).tolist()
        assert table.accuracy == pytest.approx(metrics.accuracy_score(label, called, sample_weight=rows))
        assert table.f1 == pytest.approx(metrics.f1_score(label, called, sample_weight=rows))
        assert table.sensitivity == pytest.approx(metrics.recall_score(label, called, sample_weight=rows))
        assert table.specificity == pytest.approx(metrics.recall_score(label, called, pos_label=0, sample_weight=rows))


def test_auc_by_hand() -> None:
    """Positives 0.9 and 0.4, negatives 0.4 and 0.1: of 4 pairs 3 are right and one is a tie: (3 + 0.5) / 4."""
    assert roc_auc(np.array([1, 1, 0, 0], np.int8), np.array([0.9, 0.4, 0.4, 0.1])) == 3.5 / 4


def test_calibration_error_by_hand() -> None:
    """Bin [0.2, 0.3): mean 0.25, positives 0 of 2; bin [0.9, 1]: mean 0.95, positives 1 of 2: (2 * 0.25 + 2 * 0.45) / 4."""
    label, prob = np.array([0, 0, 1, 0], np.int8), np.array([0.2, 0.3 - 1e-9, 0.9, 1.0])
    assert calibration_error(label, prob) == pytest.approx((2 * 0.25 + 2 * 0.45) / 4)


def test_a_measure_that_does_not_exist_is_said_to_be_so_and_is_never_a_number() -> None:
    tiles = Tiles(np.array([0, 0, 1], np.int32), np.zeros(3, np.int8), np.array([0.1, 0.6, 0.2], np.float32))
    sample = TileMeasures(tiles, 0.5, "")
    said = measures(sample, [])
    assert said["roc_auc"] == {"value": None, "why": "no tumour tiles"}
    assert said["sensitivity"]["value"] is None and said["f1"]["value"] is None
    assert said["specificity"] == {"value": pytest.approx(2 / 3), "low": None, "high": None}
    assert sample.confusion.table == [[2, 1], [0, 0]]
    empty = measures(TileMeasures(tiles.of(np.array([9], np.int32)), 0.5, ""), [])
    assert empty["accuracy"] == {"value": None, "why": "no tile has a known label"}


def test_slides_are_drawn_whole_and_by_number_alone() -> None:
    draws = np.stack([drawn_slides(5, 7, "", i) for i in range(400)])
    assert (draws.sum(axis=1) == 5).all()
    assert draws.mean(axis=0) == pytest.approx(np.ones(5), abs=0.15)
    assert (drawn_slides(5, 7, "", 3) == draws[3]).all()
    assert any((drawn_slides(5, 8, "", i) != draws[i]).any() for i in range(5))


def test_an_interval_needs_more_than_one_slide_and_a_measure_that_mostly_exists() -> None:
    values = [float(v) for v in range(1001)]
    assert interval(values, 4) == (25.0, 975.0)
    assert interval(values, 1) == (None, None)
    assert interval([None] * 6 + [0.5] * 5, 4) == (None, None)
    assert interval([], 4) == (None, None)


def test_the_interval_of_the_mean_agrees_with_theory() -> None:
    """100 slides, each all right or all wrong with chance 0.8: 95 % of accuracies lie within 1.96 sqrt(0.8 * 0.2 / 100) = 0.078 of 0.8."""
    prob = np.where(np.arange(100) % 5 != 0, 0.9, 0.1).astype(np.float32)
    tiles = Tiles(np.repeat(np.arange(100, dtype=np.int32), 10), np.ones(1000, np.int8), np.repeat(prob, 10))
    sample = TileMeasures(tiles, 0.5, "")
    accuracy = measures(sample, [replicate(sample, 7, i) for i in range(1000)])["accuracy"]
    assert accuracy["value"] == pytest.approx(0.8)
    assert accuracy["low"] == pytest.approx(0.722, abs=0.015) and accuracy["high"] == pytest.approx(0.878, abs=0.015)


@pytest.mark.parametrize("ties", [False, True])
def test_curves_equal_scikit_learn(ties: bool) -> None:
    label, prob, times = drawn(3, ties=ties)
    false, true, _ = metrics.roc_curve(label, prob, sample_weight=times, drop_intermediate=False)
    counts = Ranking(label, prob).counts(times)
    assert sensitivities(*counts) == pytest.approx(np.interp(FALSE_SHARES, false, true), abs=1e-6)
    precision, recall, _ = metrics.precision_recall_curve(label, prob, sample_weight=times)
    at_highest = [precision[np.flatnonzero(recall >= r - 1e-12)[-1]] for r in RECALLS]  # its rows go from the lowest threshold to the highest
    assert precisions(*counts) == pytest.approx(np.array(at_highest), abs=1e-6)
    there = mean_probabilities(prob)[1] > 0
    share, mean = calibration.calibration_curve(label, prob, n_bins=BINS)
    if not ties:  # on the edge of a bin scikit-learn counts to the left, we to the right
        assert tumor_shares(label, prob)[there] == pytest.approx(share, abs=1e-6)
        assert mean_probabilities(prob)[0][there] == pytest.approx(mean, abs=1e-6)


def test_a_band_is_pointwise_and_empty_where_the_curve_seldom_exists() -> None:
    """Of 1,001 curves 0, 1, 2, ... the band is 25 to 975; the second place exists in 400 of them only."""
    curves = [Replicate({}, {"c": np.array([i, i if i < 400 else np.nan], np.float32)}) for i in range(1001)]
    edges = band(curves, "c")
    assert edges is not None
    low, high = edges
    assert (low[0], high[0]) == (25, 975) and np.isnan(low[1]) and np.isnan(high[1])
    assert band([Replicate({}, {})], "c") is None
