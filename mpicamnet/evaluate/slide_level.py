"""Slide level: does a slide hold tumour, and of which class."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from .bootstrap import Counts, Curve, Values
from .measures import roc_auc
from .staging import CLASSES

Grades = npt.NDArray[np.int64]


class SlideMeasures:
    """ROC AUC and accuracy over slides (bootstrap.Sample); slides are drawn.

    `true`, `predicted`: places in CLASSES, int64 (n,); `predicted` is -1 where there is no class. `score`: float (n,), rising with tumour.
    """

    what = "slide"

    def __init__(self, true: Grades, predicted: Grades, score: npt.NDArray[np.float64]):
        self.true, self.predicted, self.score = true, predicted, score
        self.units = len(true)
        self._tumor = (true > 0).astype(np.int8)
        self._classed = predicted >= 0

    def values(self, times: Counts | None = None) -> Values:
        rows = np.ones(self.units, np.int64) if times is None else times
        classed = int(rows[self._classed].sum())
        right = int(rows[self._classed & (self.true == self.predicted)].sum())
        return {"roc_auc": roc_auc(self._tumor, self.score, times) if self.units else None, "accuracy": right / classed if classed else None}

    def curves(self, times: Counts | None = None) -> dict[str, Curve]:
        return {}

    def why(self, name: str) -> str:
        if self.units == 0:
            return "no slide's class is known"
        if name == "accuracy":
            return "no slide of known class has a resolution, without which lesions have no length"
        return "no slide with tumour" if not self._tumor.any() else "no slide without tumour"

    @property
    def confusion(self) -> list[list[int]]:
        """Slides by true class (row) and predicted class (column), in the order of CLASSES."""
        return confusion_of(self.true[self._classed], self.predicted[self._classed], len(CLASSES))


def confusion_of(true: Grades, predicted: Grades, grades: int) -> list[list[int]]:
    """Rows by true grade (row) and predicted grade (column)."""
    table: list[list[int]] = np.bincount(true * grades + predicted, minlength=grades * grades).reshape(grades, grades).tolist()
    return table
