"""What evaluation.json says: schema mpicamnet.evaluation/1."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .bootstrap import Replicate, measures
from .froc import RATES
from .levels import Levels
from .staging import CLASSES, PN_STAGES

Replicates = Mapping[str, Sequence[Replicate]]  # by name of the sample


def evaluation(levels: Levels, replicates: Replicates) -> dict[str, Any]:
    """The four levels, as INTERFACES has them, and what else there is to say of each."""
    tile = {name: _tile(levels, replicates, name) for name in levels.tiles}
    whole = tile.pop("")
    return {"tile": {**whole, "by_center": tile}, "lesion": _lesion(levels, replicates["lesion"]), "slide": _slide(levels, replicates),
            "patient": _patient(levels, replicates)}


def _tile(levels: Levels, replicates: Replicates, name: str) -> dict[str, Any]:
    t = levels.tiles[name]
    return {"n": len(t.tiles.label), "slides": t.units, "positives": t.positives, **measures(t, replicates[f"tile {name}"]), "confusion": t.confusion.table}


def _lesion(levels: Levels, replicates: Sequence[Replicate]) -> dict[str, Any]:
    found = measures(levels.lesion, replicates)
    small = sum(int((~s.truth.lesions.counted).sum()) for s in levels.seen if s.in_froc and s.truth.lesions is not None)
    return {"slides": levels.lesion.units, "lesions": int(levels.lesion.lesions.sum()), "isolated_tumor_cells": small, "froc": found["froc"],
            "sensitivity_at": {rate: found[rate] for rate in RATES}, "left_out": {s.name: s.why for s in levels.seen if not s.in_froc}}


def _slide(levels: Levels, replicates: Replicates) -> dict[str, Any]:
    out: dict[str, Any] = {"n": levels.slide.units, **measures(levels.slide, replicates["slide"]), "confusion": levels.slide.confusion,
                           "labels": list(CLASSES), "score": "largest probability of the smoothed heatmap"}
    if levels.forest is None:
        out["forest"] = {"value": None, "why": levels.why_no_forest}
    else:
        out["forest"] = {"n": levels.forest.units, **measures(levels.forest, replicates["slide forest"]), "confusion": levels.forest.confusion,
                         "trained": "on these slides, all patients but the one that is asked about"}
    out["classes"] = {}
    for i, s in enumerate(levels.seen):
        f = s.features
        row: dict[str, Any] = {"predicted": s.predicted or None, "true": s.truth.stage or None, "score": None if f is None else f.maximum,
                               "longest_axis_mm": None if f is None else f.longest_axis_mm}
        if i in levels.calls:
            row["forest"] = levels.calls[i][0]
        if f is None or not s.truth.stage:
            row["why"] = s.why or "its true class is unknown"
        elif not s.predicted:
            row["why"] = "its resolution is unknown, so its lesions have no length"
        out["classes"][s.name] = row
    return out


def _patient(levels: Levels, replicates: Replicates) -> dict[str, Any]:
    out: dict[str, Any] = {"n": levels.patient.units, **measures(levels.patient, replicates["patient"]), "confusion": levels.patient.confusion,
                           "labels": list(PN_STAGES)}
    if levels.forest_patients is None:
        out["forest"] = {"value": None, "why": levels.why_no_forest}
    else:
        out["forest"] = {"n": levels.forest_patients.units, **measures(levels.forest_patients, replicates["patient forest"]),
                         "confusion": levels.forest_patients.confusion}
    out["stages"] = {}
    for p in levels.patients:
        row: dict[str, Any] = {"predicted": p.predicted or None, "true": p.true or None, "slides": p.used}
        if levels.forest_patients is not None:
            row["forest"] = p.forest or None
        if p.used < p.slides:
            row["why"] = f"{p.slides - p.used} of {p.slides} slides have no predicted class, and do not count"
        out["stages"][p.name] = row
    return out
