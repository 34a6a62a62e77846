"""Lesion level: FROC as Camelyon16 defines it, how many lesions are found at how many false positives a slide."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .bootstrap import Counts, Curve, Values

RATES = {"0.25": 0.25, "0.5": 0.5, "1": 1.0, "2": 2.0, "4": 4.0, "8": 8.0}  # false positives per slide at which sensitivity is read
PLACES = 2.0 ** np.linspace(-3, 4, 57)  # of the drawn curve, false positives per slide
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Froc:
    """The curve and its score.

    `threshold`, `false_positives` (per slide), `sensitivity`: float64 (k,), as the threshold falls through the distinct confidences, from
    (inf, 0, 0). `sensitivity_at`: sensitivity at 0.25, 0.5, 1, 2, 4, 8 false positives per slide, by name. `score`: their mean.
    Without lesions that count `sensitivity` is NaN, the others are None.
    """

    threshold: Floats
    false_positives: Floats
    sensitivity: Floats
    sensitivity_at: dict[str, float | None]
    score: float | None


def froc(detections: Sequence[npt.ArrayLike], lesions: Sequence[npt.ArrayLike]) -> Froc:
    """Free-response ROC of Camelyon16.

    Of the detections in one lesion the surest makes it found, the others are neither right nor wrong; a detection outside all lesions is a
    false positive; one in isolated tumour cells is nothing, and these are not looked for. False positives are averaged over all slides, with
    and without tumour; between points of the curve sensitivity is interpolated linearly, after its last point it stays.

    Parameters
    ----------
    detections
        One float array (d, 2) per slide: in a row the confidence of a detection, and the number of the lesion of that slide that it lies in,
        from 0, or -1 where it lies in none. `lesion_of` finds the number. A slide without detections: shape (0, 2).
    lesions
        One bool array (m,) per slide, in the same order: True for a lesion that counts, False for isolated tumour cells. A slide without
        tumour: shape (0,).

    Returns
    -------
    Froc

    Raises
    ------
    ValueError
        The two are not of one length, or a detection names a lesion that its slide does not have.

    Source: the challenge's Evaluation_FROC.py (Ehteshami Bejnordi et al., JAMA 318, 2017). That script drops the lowest confidence from the
    curve, as it is 0 wherever a lesion was missed; here it is dropped in that case only, or a detector that misses nothing would score 0.
    """
    return LesionMeasures(detections, lesions).curve()


class LesionMeasures:
    """FROC over resamplings (bootstrap.Sample); slides are drawn. Arguments as `froc`."""

    what = "lesion"

    def __init__(self, detections: Sequence[npt.ArrayLike], lesions: Sequence[npt.ArrayLike]):
        if len(detections) != len(lesions):
            raise ValueError(f"detections of {len(detections)} slides, lesions of {len(lesions)}")
        self.units = len(lesions)
        counted = [np.asarray(m, bool).reshape(-1) for m in lesions]
        self.lesions = np.array([m.sum() for m in counted], np.int64)
        events = [_events(i, np.asarray(d, np.float64).reshape(-1, 2), m) for i, (d, m) in enumerate(zip(detections, counted, strict=True))]
        every = np.concatenate([np.zeros((0, 3)), *events])
        every = every[np.argsort(-every[:, 1], kind="stable")]
        self._slide, self._confidence, self._true = every[:, 0].astype(np.int64), every[:, 1], every[:, 2].astype(np.int64)
        self._ends = np.append(np.flatnonzero(np.diff(self._confidence)), len(every) - 1) if len(every) else np.zeros(0, np.int64)

    def curve(self, times: Counts | None = None) -> Froc:
        """The curve where slide i counts times[i] times [once]."""
        times = np.ones(self.units, np.int64) if times is None else times
        rows, lesions, slides = times[self._slide], int((times * self.lesions).sum()), int(times.sum())
        found = np.concatenate(([0], np.cumsum(rows * self._true)[self._ends]))
        false = np.concatenate(([0], np.cumsum(rows * (1 - self._true))[self._ends])) / max(1, slides)
        threshold = np.concatenate(([np.inf], self._confidence[self._ends]))
        if lesions == 0:
            return Froc(threshold, false, np.full(len(false), np.nan), dict.fromkeys(RATES), None)
        at = np.interp(list(RATES.values()), false, found / lesions)
        return Froc(threshold, false, found / lesions, dict(zip(RATES, at.tolist(), strict=True)), float(at.mean()))

    def values(self, times: Counts | None = None) -> Values:
        curve = self.curve(times)
        return {"froc": curve.score, **curve.sensitivity_at}

    def curves(self, times: Counts | None = None) -> dict[str, Curve]:
        curve = self.curve(times)
        return {"froc": np.interp(PLACES, curve.false_positives, curve.sensitivity).astype(np.float32)}

    def why(self, name: str) -> str:
        return "no slide's lesions are known" if self.units == 0 else "no lesion that counts is outlined"


def _events(slide: int, detections: Floats, counted: npt.NDArray[np.bool_]) -> Floats:
    """What a slide adds to the curve, (n, 3): slide, confidence, 1 for a lesion found or 0 for a false positive."""
    lesion = detections[:, 1].astype(np.int64)
    if np.any(lesion >= len(counted)) or np.any(lesion < -1):
        raise ValueError(f"slide {slide} has {len(counted)} lesions, and a detection lies in number {lesion.max()}")
    best = np.full(len(counted), -np.inf)
    inside = lesion >= 0
    np.maximum.at(best, lesion[inside], detections[inside, 0])
    found = best[counted & np.isfinite(best)]
    false = detections[~inside, 0]
    confidence = np.concatenate((found, false))
    return np.stack((np.full(len(confidence), slide), confidence, np.arange(len(confidence)) < len(found)), axis=1).astype(np.float64)
