"""How well logits tell the classes apart, over a whole set of rows."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score


@dataclass(frozen=True)
class Verdict:
    """`loss`: cross-entropy, weighted by class as in training; `accuracy`: at probability 0.5."""

    loss: float
    auc: float
    accuracy: float


def judge(logits: npt.NDArray[np.float32], labels: npt.NDArray[np.int8], weights: npt.NDArray[np.float32]) -> Verdict:
    """The verdict over logits, labels (0 or 1, both there) and weights, (n,) each."""
    z = logits.astype(np.float64)
    losses = np.logaddexp(0, z) - labels * z
    return Verdict(float(np.average(losses, weights=weights)), float(roc_auc_score(labels, z)), float(((z >= 0) == (labels == 1)).mean()))
