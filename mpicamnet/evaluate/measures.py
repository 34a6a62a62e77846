"""Measures of probabilities against labels, as pure functions of arrays; each row may count a whole number of times (for resampling).

A measure that does not exist is None: ROC AUC where one class is missing, sensitivity without positives, and so on.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Labels = npt.NDArray[np.int8]
Probabilities = npt.NDArray[np.floating]
Counts = npt.NDArray[np.int64]
BINS = 10  # of the calibration error


class Ranking:
    """Rows sorted once by falling probability, so that each resampling of them costs a cumulative sum and no sort.

    `label` int8 (n,), 0 or 1; `prob` (n,).
    """

    def __init__(self, label: Labels, prob: Probabilities):
        self._order = np.argsort(-prob.astype(np.float64), kind="stable")
        self._label = label[self._order].astype(np.int64)
        prob = prob[self._order]
        self._ends = np.concatenate((np.flatnonzero(np.diff(prob)), [len(prob) - 1])) if len(prob) else np.zeros(0, np.int64)

    def counts(self, times: Counts | None = None) -> tuple[Counts, Counts]:
        """True and false positives (k+1,), from 0, as the threshold falls through the k distinct probabilities; a row counts `times`."""
        times = np.ones(len(self._label), np.int64) if times is None else times[self._order]
        true, false = np.cumsum(times * self._label)[self._ends], np.cumsum(times * (1 - self._label))[self._ends]
        return np.concatenate(([0], true)), np.concatenate(([0], false))


def roc_auc(label: Labels, prob: Probabilities, times: Counts | None = None, ranking: Ranking | None = None) -> float | None:
    """Area under the ROC curve: the chance that a positive row has a higher probability than a negative one, ties counted half.

    Parameters
    ----------
    label, prob
        int8 (n,), 0 or 1; (n,).
    times
        int64 (n,): how often each row counts [once].
    ranking
        `Ranking(label, prob)`, where the caller has it already.
    """
    true, false = (ranking or Ranking(label, prob)).counts(times)
    if true[-1] == 0 or false[-1] == 0:
        return None
    return float(np.sum(np.diff(false) * (true[1:] + true[:-1])) / (2 * int(true[-1]) * int(false[-1])))


def pr_auc(label: Labels, prob: Probabilities, times: Counts | None = None, ranking: Ranking | None = None) -> float | None:
    """Average precision: precision summed over steps of recall, without interpolation; arguments as `roc_auc`."""
    true, false = (ranking or Ranking(label, prob)).counts(times)
    if true[-1] == 0 or false[-1] == 0:
        return None
    precision = true[1:] / np.maximum(1, true[1:] + false[1:])
    return float(np.sum(np.diff(true) / true[-1] * precision))


@dataclass(frozen=True)
class Confusion:
    """Rows by label and call, at one threshold."""

    tn: int
    fp: int
    fn: int
    tp: int

    @property
    def table(self) -> list[list[int]]:
        return [[self.tn, self.fp], [self.fn, self.tp]]

    @property
    def accuracy(self) -> float | None:
        return _share(self.tp + self.tn, self.tn + self.fp + self.fn + self.tp)

    @property
    def sensitivity(self) -> float | None:
        return _share(self.tp, self.tp + self.fn)

    @property
    def specificity(self) -> float | None:
        return _share(self.tn, self.tn + self.fp)

    @property
    def f1(self) -> float | None:
        """None where there is no positive row: neither precision nor recall then says anything."""
        return _share(2 * self.tp, 2 * self.tp + self.fp + self.fn) if self.tp + self.fn else None


def confusion(label: Labels, prob: Probabilities, threshold: float, times: Counts | None = None) -> Confusion:
    """The table at `threshold`: a probability of at least that is called positive."""
    cell = 2 * label.astype(np.int64) + (prob >= threshold)
    n = np.bincount(cell, minlength=4) if times is None else np.bincount(cell, times, 4)
    return Confusion(*(round(float(v)) for v in n))


def calibration_error(label: Labels, prob: Probabilities, times: Counts | None = None) -> float | None:
    """Expected calibration error (Naeini et al. 2015): the distance of mean probability from the share of positives, over ten bins of equal
    width, weighted by their rows."""
    if len(label) == 0 or (times is not None and not times.any()):
        return None
    bins = bin_of(prob)
    weight = np.ones(len(label)) if times is None else times.astype(np.float64)
    distance = np.bincount(bins, weight * (prob.astype(np.float64) - label), BINS)
    return float(np.abs(distance).sum() / weight.sum())


def bin_of(prob: Probabilities) -> Counts:
    """The bin of the calibration error that each probability lies in, int64 (n,)."""
    return np.minimum((prob.astype(np.float64) * BINS).astype(np.int64), BINS - 1)


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
