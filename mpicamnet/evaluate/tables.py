"""The CSV files of evaluation: what evaluation.json says, and what it leaves out, a line each."""
from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from .levels import Levels
from .seen import Seen

NAMES = ("tiles.csv", "froc.csv", "slides.csv", "patients.csv", "detections.csv", "lesions.csv")
TILE_MEASURES = ("roc_auc", "pr_auc", "accuracy", "sensitivity", "specificity", "f1", "ece")


def write_tables(folder: Path, levels: Levels, evaluation: dict[str, Any]) -> None:
    """Write all tables, each whole under its name; `evaluation` as `result.evaluation` gives it."""
    tile = evaluation["tile"]
    write_table(folder / "tiles.csv", ("center", "n", "slides", "positives", *(f"{m}{part}" for m in TILE_MEASURES for part in ("", "_low", "_high"))),
                (_tile_row(*item) for item in [("all", tile), *tile["by_center"].items()]))
    curve = levels.lesion.curve()
    known = [] if curve.score is None else zip(curve.threshold[1:], curve.false_positives[1:], curve.sensitivity[1:], strict=True)
    write_table(folder / "froc.csv", ("confidence", "false_positives_per_slide", "sensitivity"), ([_f(v) for v in row] for row in known))
    write_table(folder / "slides.csv", ("slide", "center", "patient", "true", "predicted", "forest", "score", "forest_score", "lesions", "area_mm2",
                                        "longest_axis_mm", "mean_probability", "true_longest_axis_mm", "why"),
                (_slide_row(levels, i, s) for i, s in enumerate(levels.seen)))
    write_table(folder / "patients.csv", ("patient", "true", "predicted", "forest", "slides_used", "slides"),
                ((p.name, p.true, p.predicted, p.forest, p.used, p.slides) for p in levels.patients))
    write_table(folder / "detections.csv", ("slide", "x", "y", "confidence", "lesion", "outcome"), (r for s in levels.seen for r in _detections(s)))
    write_table(folder / "lesions.csv", ("slide", "lesion", "x", "y", "major_axis_um", "counted", "confidence"), (r for s in levels.seen for r in _lesions(s)))


def write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """A CSV file, whole under its name."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(header)
        out.writerows(rows)
    partial.replace(path)


def _f(value: float | None) -> str:
    return "" if value is None or np.isnan(value) else f"{float(value):.6g}"


def _tile_row(name: str, tile: dict[str, Any]) -> list[Any]:
    return [name, tile["n"], tile["slides"], tile["positives"], *(_f(tile[m].get(part)) for m in TILE_MEASURES for part in ("value", "low", "high"))]


def _slide_row(levels: Levels, i: int, s: Seen) -> list[Any]:
    f = s.features
    forest, forest_score = levels.calls.get(i, ("", None))
    shown = ["", "", "", "", ""] if f is None else [_f(f.maximum), f.lesions, _f(f.area_mm2), _f(f.longest_axis_mm), _f(f.mean)]
    return [s.name, s.center, s.patient, s.truth.stage, s.predicted, forest, shown[0], _f(forest_score), *shown[1:], _f(s.truth.longest_axis_mm), s.why]


def _detections(s: Seen) -> list[list[Any]]:
    """A line per detection; of those in one lesion the first is the surest, as detections stand by falling confidence."""
    rows, found = [], set()
    for (x, y), confidence, lesion in zip(s.xy, s.confidence, s.lesion.tolist(), strict=True):
        if lesion < 0:
            outcome = "false positive"
        elif s.truth.lesions is not None and not s.truth.lesions.counted[lesion]:
            outcome = "isolated tumour cells"
        else:
            outcome = "again" if lesion in found else "found"
        found.add(lesion)
        rows.append([s.name, _f(x), _f(y), _f(confidence), lesion, outcome])
    return rows


def _lesions(s: Seen) -> list[list[Any]]:
    if not s.in_froc or s.truth.lesions is None:
        return []
    rows = []
    for i, region in enumerate(s.truth.lesions.regions):
        at = shapely.centroid(region)
        surest = s.confidence[s.lesion == i].max() if np.any(s.lesion == i) else None
        rows.append([s.name, i, _f(at.x), _f(at.y), _f(s.truth.lesions.major_axis_um[i]), int(s.truth.lesions.counted[i]), _f(surest)])
    return rows
