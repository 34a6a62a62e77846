"""What is true of a slide and of a patient, from outlines and tables; pixels are not looked at."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from ..slides import SlideRecord, read_annotation
from .lesions import Lesions, annotated_lesions, longest_axis
from .staging import CLASSES, pn_stage, slide_class

NO_LESIONS = Lesions((), np.zeros(0), np.zeros(0, bool))


@dataclass(frozen=True)
class SlideTruth:
    """`stage`: negative, itc, micro, macro, or "" where unknown. `lesions`: None where they are unknown, and `why`.
    `longest_axis_mm`: of the largest outlined piece of tumour, None where unknown."""

    stage: str
    lesions: Lesions | None
    why: str
    longest_axis_mm: float | None


def slide_truth(record: SlideRecord, mpp: float | None) -> SlideTruth:
    """The truth about a slide: its stage where the catalogue has one, else from the longest axis of its outlines.

    `mpp`: um per px at level 0, None where unknown. Raises SlideError where the outlines cannot be read.
    """
    outlines: shapely.Polygon | shapely.MultiPolygon = shapely.MultiPolygon() if record.annotation is None else read_annotation(record.annotation)
    if outlines.is_empty:
        negative = record.stage == "negative" or (record.stage == "" and record.annotation is not None)
        if negative:
            return SlideTruth("negative", NO_LESIONS, "", 0.0)
        return SlideTruth(record.stage, None, "its lesions are not outlined" if record.stage else "nothing is known of it", None)
    if mpp is None:
        return SlideTruth(record.stage, None, "its resolution is unknown, so its lesions have no length", None)
    axis = longest_axis(outlines) * mpp / 1000
    return SlideTruth(record.stage or slide_class(axis), annotated_lesions(outlines, mpp), "", axis)


def patient_truth(told: dict[int, str], slides: dict[int, list[str]]) -> dict[int, str]:
    """The true pN stage of each patient in `slides`, "" where unknown.

    `told`: pN stage by patient, as a table like Camelyon17's stage_labels.csv has it; it goes first. `slides`: by patient, the true class of
    each slide, "" where unknown; where all are known the rule gives the stage.
    """
    return {p: told.get(p) or (pn_stage(classes) if all(c in CLASSES for c in classes) else "") for p, classes in slides.items()}
