"""What is measured: tiles, lesions, slides and patients as samples, made from the tiles and from what was seen of each slide."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .bootstrap import Sample
from .froc import LesionMeasures
from .patient_level import PatientMeasures
from .seen import Seen
from .slide_level import SlideMeasures
from .staging import CLASSES, PN_STAGES, pn_stage
from .tiles import TileMeasures, Tiles
from .truth import patient_truth

ForestCall = tuple[str, float]  # class; one less the chance of negative


@dataclass(frozen=True)
class Patient:
    """A patient: the true stage ("" where unknown), the stages by rule and by forest ("" where there is none), slides that spoke and all slides."""

    name: str
    true: str
    predicted: str
    forest: str
    used: int
    slides: int


@dataclass(frozen=True)
class Levels:
    """Everything that is measured. `tiles`: "" is all, the others are centres. `forest` and `forest_patients` are None where there is no forest,
    and `why_no_forest` says why."""

    tiles: dict[str, TileMeasures]
    seen: list[Seen]
    patients: list[Patient]
    lesion: LesionMeasures
    slide: SlideMeasures
    patient: PatientMeasures
    calls: dict[int, ForestCall]
    forest: SlideMeasures | None
    forest_patients: PatientMeasures | None
    why_no_forest: str

    @property
    def samples(self) -> dict[str, Sample]:
        """All samples by name."""
        out: dict[str, Sample] = {f"tile {name}": t for name, t in self.tiles.items()}
        out |= {"lesion": self.lesion, "slide": self.slide, "patient": self.patient}
        if self.forest is not None and self.forest_patients is not None:
            out |= {"slide forest": self.forest, "patient forest": self.forest_patients}
        return out


def levels(tiles: Tiles, seen: list[Seen], threshold: float, told: dict[int, str], calls: dict[int, ForestCall], why_no_forest: str) -> Levels:
    """The samples of all levels.

    `told`: pN stages from a table, by patient. `calls`: what the forest says, by place of the slide.
    """
    people = patients(seen, told, calls)
    slides = known(seen)
    froc = [s for s in seen if s.in_froc]
    lesion = LesionMeasures([np.stack((s.confidence, s.lesion), axis=1) for s in froc], [s.truth.lesions.counted for s in froc if s.truth.lesions is not None])
    forest = _slide_sample(seen, sorted(calls), calls) if calls else None
    return Levels(tile_sets(tiles, np.array([s.center for s in seen], np.int32), threshold), seen, people, lesion,
                  _slide_sample(seen, slides, None), _patient_sample([(p.true, p.predicted) for p in people]), calls, forest,
                  _patient_sample([(p.true, p.forest) for p in people]) if calls else None, why_no_forest)


def known(seen: Sequence[Seen]) -> list[int]:
    """Places of the slides that count at slide level: all their tiles are there, and their true class is known."""
    return [i for i, s in enumerate(seen) if s.features is not None and s.truth.stage]


def tile_sets(tiles: Tiles, center: npt.NDArray[np.int32], threshold: float) -> dict[str, TileMeasures]:
    """All tiles under "", and those of each centre that has labelled tiles; `center` of each slide, -1 where unknown."""
    sets = {"": TileMeasures(tiles, threshold, "")}
    for c in np.unique(center[np.unique(tiles.slide)]):
        if c >= 0:
            sets[str(c)] = TileMeasures(tiles.of(np.flatnonzero(center == c).astype(np.int32)), threshold, f"center {c}")
    return sets


def patients(seen: Sequence[Seen], told: dict[int, str], calls: dict[int, ForestCall]) -> list[Patient]:
    """The patients of the slides, by number; a slide without a predicted class does not speak for its patient."""
    by: dict[int, list[int]] = {}
    for i, s in enumerate(seen):
        if s.patient >= 0:
            by.setdefault(s.patient, []).append(i)
    true = patient_truth(told, {p: [seen[i].truth.stage for i in places] for p, places in by.items()})
    out = []
    for p, places in sorted(by.items()):
        rule = [seen[i].predicted for i in places if seen[i].predicted]
        forest = [calls[i][0] for i in places if i in calls]
        out.append(Patient(f"patient_{p:03d}", true[p], pn_stage(rule) if rule else "", pn_stage(forest) if forest else "", len(rule), len(places)))
    return out


def _slide_sample(seen: Sequence[Seen], places: list[int], calls: dict[int, ForestCall] | None) -> SlideMeasures:
    true = np.array([CLASSES.index(seen[i].truth.stage) for i in places], np.int64)
    words = [seen[i].predicted if calls is None else calls[i][0] for i in places]
    scores = [f.maximum if calls is None else calls[i][1] for i in places for f in [seen[i].features] if f is not None]
    return SlideMeasures(true, np.array([CLASSES.index(w) if w else -1 for w in words], np.int64), np.array(scores, np.float64))


def _patient_sample(pairs: list[tuple[str, str]]) -> PatientMeasures:
    both = [(PN_STAGES.index(t), PN_STAGES.index(p)) for t, p in pairs if t and p]
    grades = np.array(both, np.int64).reshape(-1, 2)
    return PatientMeasures(grades[:, 0], grades[:, 1])
