"""One slide: what its heatmap shows, and what is true of it."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..config import Detection
from .heat import Features, features, heat_of, peaks, smoothed
from .lesions import lesion_of
from .source import WHOLE, SlideTable
from .staging import slide_class
from .truth import SlideTruth


@dataclass(frozen=True)
class Seen:
    """`features`: None where tiles of the slide are missing. Detections: `xy` float64 (d, 2) level-0 px, `confidence` float32 (d,), `lesion`
    int32 (d,), the number of the true lesion that each lies in, -1 where in none; all empty where the slide's lesions are unknown."""

    name: str
    center: int
    patient: int
    truth: SlideTruth
    why: str
    features: Features | None
    xy: npt.NDArray[np.float64]
    confidence: npt.NDArray[np.float32]
    lesion: npt.NDArray[np.int32]

    @property
    def predicted(self) -> str:
        """The class by the plain rule, "" where there is none."""
        f = self.features
        if f is None or (f.lesions and f.longest_axis_mm is None):
            return ""
        return slide_class(f.longest_axis_mm if f.lesions else None)

    @property
    def in_froc(self) -> bool:
        """Whether the slide counts at lesion level."""
        return self.features is not None and self.truth.lesions is not None


def look(table: SlideTable, slide: int, tiles: tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]], truth: SlideTruth, how: Detection) -> Seen:
    """Look at a slide's heatmap: its features, its detections, and which lesions these lie in.

    `tiles`: corners int64 (n, 2), level-0 px, and probabilities float32 (n,).
    """
    name, center, patient, mpp = table.name[slide], int(table.center[slide]), int(table.patient[slide]), table.mpp_of(slide)
    nowhere = np.zeros((0, 2)), np.zeros(0, np.float32), np.zeros(0, np.int32)
    if table.status[slide] not in WHOLE:
        return Seen(name, center, patient, truth, table.status[slide], None, *nowhere)
    heat = smoothed(heat_of(*tiles, float(table.cell[slide]), float(table.side[slide])), how.smoothing * float(table.side[slide] / table.cell[slide]))
    shown = features(heat, how.threshold, how.sure, mpp)
    if truth.lesions is None:
        return Seen(name, center, patient, truth, truth.why, shown, *nowhere)
    xy, confidence = peaks(heat, how.least, how.distance / (mpp or 1.0))  # a negative slide of unknown resolution: taken for 1 um per px
    return Seen(name, center, patient, truth, "", shown, xy, confidence, lesion_of(truth.lesions, xy))
