"""Curves read at fixed places, so that those of resamplings can be laid over each other."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .measures import BINS, Counts, Labels, Probabilities, bin_of

Curve = npt.NDArray[np.float32]
FALSE_SHARES = np.linspace(0, 1, 201)  # 1 - specificity, places of the ROC curve
RECALLS = np.linspace(0.005, 1, 200)  # places of the precision-recall curve


def sensitivities(true: Counts, false: Counts) -> Curve:
    """The ROC curve: sensitivity at each of FALSE_SHARES, from counts as `Ranking.counts` gives them; NaN where a class is missing."""
    if true[-1] == 0 or false[-1] == 0:
        return np.full(len(FALSE_SHARES), np.nan, np.float32)
    return np.asarray(np.interp(FALSE_SHARES, false / false[-1], true / true[-1]), np.float32)


def precisions(true: Counts, false: Counts) -> Curve:
    """The precision-recall curve: precision at the highest threshold that reaches each of RECALLS; NaN where a class is missing."""
    if true[-1] == 0 or false[-1] == 0:
        return np.full(len(RECALLS), np.nan, np.float32)
    at = np.searchsorted(true / true[-1], RECALLS - 1e-12)
    return np.asarray(true[at] / (true[at] + false[at]), np.float32)


def tumor_shares(label: Labels, prob: Probabilities, times: Counts | None = None) -> Curve:
    """The reliability curve: share of positive rows in each of the bins of the calibration error, NaN where a bin is empty."""
    bins = bin_of(prob)
    rows = np.bincount(bins, times, BINS)
    positive = np.bincount(bins, label if times is None else times * label, BINS)
    shares: Curve = np.divide(positive, rows, out=np.full(BINS, np.nan), where=rows > 0).astype(np.float32)
    return shares


def mean_probabilities(prob: Probabilities) -> tuple[Curve, Counts]:
    """Mean probability in each bin (NaN where empty), and its rows."""
    bins = bin_of(prob)
    rows = np.bincount(bins, minlength=BINS)
    total = np.bincount(bins, prob.astype(np.float64), BINS)
    mean: Curve = np.divide(total, rows, out=np.full(BINS, np.nan), where=rows > 0).astype(np.float32)
    return mean, rows
