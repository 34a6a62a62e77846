"""Tile level: how well the probability of a tile tells tumour from normal."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .bootstrap import drawn_slides, interval
from .measures import Counts, Ranking, calibration_error, confusion, pr_auc, roc_auc

NAMES = ("roc_auc", "pr_auc", "accuracy", "sensitivity", "specificity", "f1", "ece")
Values = dict[str, float | None]


@dataclass(frozen=True)
class Tiles:
    """Tiles with a known label: `slide` int (n,), `label` int8 (n,), `prob` float32 (n,)."""

    slide: npt.NDArray[np.int32]
    label: npt.NDArray[np.int8]
    prob: npt.NDArray[np.float32]

    def of(self, slides: npt.NDArray[np.int32]) -> Tiles:
        """The tiles of some slides."""
        keep = np.isin(self.slide, slides)
        return Tiles(self.slide[keep], self.label[keep], self.prob[keep])


class TileMeasures:
    """The measures over a set of tiles and over its resamplings."""

    def __init__(self, tiles: Tiles, threshold: float, seed: int, what: str):
        self._tiles, self._threshold, self._seed, self._what = tiles, threshold, seed, what
        slides, self._place = np.unique(tiles.slide, return_inverse=True)
        self.slides = len(slides)
        self._ranking = Ranking(tiles.label, tiles.prob)

    def values(self, times: Counts | None = None) -> Values:
        """Each measure, or None where it does not exist; rows counted `times` times."""
        label, prob = self._tiles.label, self._tiles.prob
        table = confusion(label, prob, self._threshold, times)
        return {"roc_auc": roc_auc(label, prob, times, self._ranking), "pr_auc": pr_auc(label, prob, times, self._ranking),
                "accuracy": table.accuracy, "sensitivity": table.sensitivity, "specificity": table.specificity, "f1": table.f1,
                "ece": calibration_error(label, prob, times)}

    def replicate(self, number: int) -> Values:
        """The measures in one resampling of the slides."""
        if self.slides < 2:
            return dict.fromkeys(NAMES)
        return self.values(drawn_slides(self.slides, self._seed, self._what, number)[self._place])

    def summary(self, replicates: list[Values]) -> dict[str, Any]:
        """What evaluation.json says of these tiles."""
        label = self._tiles.label
        out: dict[str, Any] = {"n": len(label), "positives": int(label.sum())}
        for name, value in self.values().items():
            if value is None:
                out[name] = {"value": None, "why": _why(name, len(label), int(label.sum()))}
            else:
                low, high = interval([r[name] for r in replicates], self.slides)
                out[name] = {"value": value, "low": low, "high": high}
        out["confusion"] = confusion(label, self._tiles.prob, self._threshold).table
        return out


def _why(name: str, n: int, positives: int) -> str:
    if n == 0:
        return "no tile has a known label"
    missing = "tumour" if positives == 0 else "normal"
    return f"no {missing} tiles" if name in ("roc_auc", "pr_auc") else f"no {'normal' if name == 'specificity' else 'tumour'} tiles"
