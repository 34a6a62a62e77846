"""A slide's class by a random forest on what its heatmap shows, as Camelyon17's entries do, instead of by the plain rule.

It is trained on the very slides that are measured, all patients but one, and asked about that one. Slides that trained the network would not
do: its heatmaps of them are better than of any other slide, and a forest that learned from them would expect too much.
"""
from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from .heat import Features
from .slide_level import Grades
from .staging import CLASSES

LEAST_SLIDES, LEAST_PATIENTS = 10, 3


def feature_row(f: Features) -> list[float]:
    """Lesions, their area (mm2), longest axis (mm), largest and mean probability; NaN where there is none."""
    return [float(f.lesions), np.nan if f.area_mm2 is None else f.area_mm2, np.nan if f.longest_axis_mm is None else f.longest_axis_mm, f.maximum, f.mean]


def why_no_forest(true: Grades, group: Grades, trees: int) -> str:
    """Why slides are too few to learn from, in words; "" where they do. `true`: class of each slide; `group`: its patient; int64 (n,)."""
    if trees == 0:
        return "`evaluate.forest` is 0"
    if len(true) < LEAST_SLIDES or len(np.unique(group)) < LEAST_PATIENTS:
        return f"{len(true)} slides of {len(np.unique(group))} patients: too few to learn from ({LEAST_SLIDES} of {LEAST_PATIENTS} are wanted)"
    if any(len(np.unique(true[group != g])) < 2 for g in np.unique(group)):
        return "without one of the patients the other slides are all of one class"
    return ""


def forest_chances(features: npt.NDArray[np.float64], true: Grades, group: Grades, held_out: int, seed: int, trees: int) -> npt.NDArray[np.float64]:
    """Chances of each class, float64 (m, 4), for the m slides of the patient `held_out`, by a forest trained on all other patients.

    `features` float64 (n, 5), `true`, `group` int64 (n,). The draw depends on (seed, held_out) alone.
    """
    from sklearn.ensemble import RandomForestClassifier  # here, as most runs on many ranks have no forest for most of them

    key = hashlib.sha256(f"{seed}\0forest\0{held_out}".encode()).digest()[:4]
    forest = RandomForestClassifier(trees, class_weight="balanced", random_state=int.from_bytes(key, "little"), n_jobs=1)
    mine = group == held_out
    forest.fit(features[~mine], true[~mine])
    out = np.zeros((int(mine.sum()), len(CLASSES)))
    out[:, forest.classes_] = forest.predict_proba(features[mine])
    return out
