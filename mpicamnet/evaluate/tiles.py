"""Tile level: how well the probability of a tile tells tumour from normal."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .bootstrap import Counts, Curve, Values
from .curves import precisions, sensitivities, tumor_shares
from .measures import Confusion, Ranking, calibration_error, confusion, pr_auc, roc_auc


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
    """The measures over a set of tiles (bootstrap.Sample); slides are drawn."""

    def __init__(self, tiles: Tiles, threshold: float, what: str):
        self.tiles, self.threshold, self.what = tiles, threshold, what
        slides, self._place = np.unique(tiles.slide, return_inverse=True)
        self.units = len(slides)
        self.ranking = Ranking(tiles.label, tiles.prob)

    @property
    def positives(self) -> int:
        return int(self.tiles.label.sum())

    @property
    def confusion(self) -> Confusion:
        return confusion(self.tiles.label, self.tiles.prob, self.threshold)

    def values(self, times: Counts | None = None) -> Values:
        label, prob, rows = self.tiles.label, self.tiles.prob, self._rows(times)
        table = confusion(label, prob, self.threshold, rows)
        return {"roc_auc": roc_auc(label, prob, rows, self.ranking), "pr_auc": pr_auc(label, prob, rows, self.ranking),
                "accuracy": table.accuracy, "sensitivity": table.sensitivity, "specificity": table.specificity, "f1": table.f1,
                "ece": calibration_error(label, prob, rows)}

    def curves(self, times: Counts | None = None) -> dict[str, Curve]:
        rows = self._rows(times)
        true, false = self.ranking.counts(rows)
        return {"roc": sensitivities(true, false), "pr": precisions(true, false),
                "calibration": tumor_shares(self.tiles.label, self.tiles.prob, rows)}

    def why(self, name: str) -> str:
        if len(self.tiles.label) == 0:
            return "no tile has a known label"
        if name in ("roc_auc", "pr_auc"):
            return "no tumour tiles" if self.positives == 0 else "no normal tiles"
        return "no normal tiles" if name == "specificity" else "no tumour tiles"

    def _rows(self, times: Counts | None) -> Counts | None:
        return None if times is None else times[self._place]
