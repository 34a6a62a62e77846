"""Patient level: pN stage, and its agreement with the truth."""
from __future__ import annotations

import numpy as np

from .bootstrap import Counts, Curve, Values
from .slide_level import Grades, confusion_of
from .staging import PN_STAGES, quadratic_kappa


class PatientMeasures:
    """Accuracy and quadratic weighted kappa over patients (bootstrap.Sample); patients are drawn.

    `true`, `predicted`: places in PN_STAGES, int64 (n,).
    """

    what = "patient"

    def __init__(self, true: Grades, predicted: Grades):
        self.true, self.predicted = true, predicted
        self.units = len(true)

    def values(self, times: Counts | None = None) -> Values:
        rows = np.ones(self.units, np.int64) if times is None else times
        n = int(rows.sum())
        return {"accuracy": int(rows[self.true == self.predicted].sum()) / n if n else None,
                "kappa": quadratic_kappa(self.true, self.predicted, rows)}

    def curves(self, times: Counts | None = None) -> dict[str, Curve]:
        return {}

    def why(self, name: str) -> str:
        return "no patient has both a true and a predicted stage" if self.units == 0 else "all patients are of one stage, true and predicted"

    @property
    def confusion(self) -> list[list[int]]:
        """Patients by true stage (row) and predicted stage (column), in the order of PN_STAGES."""
        return confusion_of(self.true, self.predicted, len(PN_STAGES))
