"""What the files say as words, figures and rows of tables."""
from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..timings import StageTime
from ..words import duration, size

LEVEL_MEASURES = {
    "tile": {"roc_auc": "ROC AUC", "pr_auc": "average precision", "accuracy": "accuracy", "sensitivity": "sensitivity", "specificity": "specificity",
             "f1": "F1", "ece": "calibration error (ECE)"},
    "lesion": {"froc": "FROC score"},
    "slide": {"roc_auc": "ROC AUC", "accuracy": "right class"},
    "patient": {"kappa": "kappa, quadratic", "accuracy": "right pN stage"},
}
OUTCOME_WORDS = {"TP": "Tumour, found", "FN": "Tumour, missed", "FP": "Normal, called tumour", "TN": "Normal, called normal"}


def number(value: Any, digits: int = 3) -> str:
    """`0.913`, `1,200`; a dash where there is none."""
    if value is None or value == "" or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{float(value):.{digits}f}"


def measure(said: Mapping[str, Any] | None) -> str:
    """A measure of evaluation.json: its value and 95 % interval, or why it has none."""
    if said is None:
        return "–"
    if said.get("value") is None:
        return f"none: {said.get('why', 'not defined')}"
    low, high = said.get("low"), said.get("high")
    return f"{said['value']:.3f}" + (f" [{low:.3f},\u00a0{high:.3f}]" if low is not None and high is not None else "")


def short(said: Mapping[str, Any] | None) -> str:
    """A measure's value alone."""
    return "–" if said is None or said.get("value") is None else f"{said['value']:.3f}"


@dataclass(frozen=True)
class Table:
    """`head`: names of columns; `rows`: their texts, the first of each names the row; `caption`: what it shows."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def measures_table(evaluation: Mapping[str, Any]) -> Table:
    over = {"tile": ("n", "tiles"), "lesion": ("lesions", "lesions"), "slide": ("n", "slides"), "patient": ("n", "patients")}
    rows = []
    for level, names in LEVEL_MEASURES.items():
        said = evaluation.get(level)
        if said is not None:
            key, unit = over[level]
            rows += [[level, words, measure(said.get(m)), f"{number(said.get(key))} {unit}"] for m, words in names.items()]
            forest = said.get("forest")
            if forest is not None:
                of = {"slide": "accuracy", "patient": "kappa"}[level]
                rows.append([level, f"random forest: {names[of]}", measure(forest.get(of, forest)), f"{number(forest['n'])} {unit}" if "n" in forest else "–"])
    return Table("Measures with 95 % bootstrap intervals", ("level", "measure", "value", "over"), rows)


def centers_table(evaluation: Mapping[str, Any]) -> Table | None:
    by_center = evaluation.get("tile", {}).get("by_center") or {}
    if not by_center:
        return None
    names = LEVEL_MEASURES["tile"]
    return Table("Tile level, by centre", ("centre", "tiles", "tumour", *names.values()),
                 [[center, number(t.get("n")), number(t.get("positives")), *(measure(t.get(m)).replace(", ", ",\u00a0") for m in names)]
                  for center, t in by_center.items()])


def froc_table(evaluation: Mapping[str, Any]) -> Table | None:
    at = evaluation.get("lesion", {}).get("sensitivity_at") or {}
    if not any(m.get("value") is not None for m in at.values()):
        return None
    return Table("Share of lesions found, by false positives per slide", ("false positives per slide", "sensitivity"), [[k, measure(m)] for k, m in at.items()])


@dataclass(frozen=True)
class Confusion:
    """`rows`: by true class its name and, by predicted class, how many and which share of the row."""

    caption: str
    labels: Sequence[str]
    rows: Sequence[tuple[str, Sequence[tuple[int, float]]]]


def confusions(evaluation: Mapping[str, Any]) -> list[Confusion]:
    found = []
    for level, unit, labels in (("tile", "Tiles", ["normal", "tumour"]), ("slide", "Slides", None), ("patient", "Patients", None)):
        said = evaluation.get(level) or {}
        table, names = said.get("confusion"), labels or said.get("labels")
        if isinstance(table, list) and names and any(map(sum, table)):
            found.append(Confusion(f"{unit}: true class (rows) and predicted class (columns)", names, [
                (name, [(n, n / sum(row) if sum(row) else 0.0) for n in row]) for name, row in zip(names, table, strict=True)]))
    return found


def history_table(history: Sequence[Mapping[str, str]]) -> Table:
    head = list(history[0]) if history else []
    return Table("Epochs", [h.replace("_", " ") for h in head], [[row[h] for h in head] for row in history])


def concepts_table(rcv: Mapping[str, Any]) -> Table:
    """A line per concept, at the layer that tells most of it (the highest R2); all layers are in rcv.json."""
    rows = []
    for name, said in rcv["concepts"].items():
        skipped = rcv.get("skipped", {}).get(name)
        r = number(said.get("correlation"), 2)
        at = {layer: found[name] for layer, found in rcv["layers"].items() if name in found}
        if skipped or not at:
            rows.append([_spaced(name), said["unit"], r, "–", "–", "–", "–", "–", f"left out: {skipped}" if skipped else "–"])
            continue
        relevant = [layer for layer, v in at.items() if v.get("relevant")]
        best = max(relevant or at, key=lambda layer: at[layer].get("r2") if at[layer].get("r2") is not None else -math.inf)
        v = at[best]
        rows.append([_spaced(name), said["unit"], r, best, number(v.get("r2"), 2), number(v.get("tcav"), 2), number(v.get("br"), 2),
                     number(v.get("q"), 3), "yes" if v.get("relevant") else "no"])
    return Table(f"Concepts of {number(rcv['patches'])} patches of {rcv['slides']} slides, each at the layer that tells most of it (among those where it "
                 "is used, if any)", ("concept", "unit", "r with probability", "layer", "R² held out", "TCAV", "Br", "q", "used by the network"), rows)


def _spaced(name: str) -> str:
    return name.replace("_", " ")


@dataclass(frozen=True)
class TimeRow:
    """A phase as texts; `bar` and `least`: longest and shortest rank as a share of the stage's time, 0 to 1."""

    name: str
    least: str
    mean: str
    most: str
    imbalance: str
    items: str
    rate: str
    volume: str
    bar: float
    low: float


def time_rows(stage: StageTime) -> list[TimeRow]:
    rows = []
    for p in stage.phases:
        s, items = p["seconds"], int(p["items"])
        imbalance = f"{s['max'] / s['mean']:.2f}" if s["mean"] > 0 and s["max"] >= 0.01 else "–"
        rate = f"{items / s['max']:,.0f}/s" if items and s["max"] > 0 else "–"
        whole = max(stage.seconds, s["max"], 1e-9)
        rows.append(TimeRow(p["phase"], duration(s["min"]), duration(s["mean"]), duration(s["max"]), imbalance, number(items) if items else "–", rate,
                            size(p["bytes"]) if p["bytes"] else "–", s["max"] / whole, s["min"] / whole))
    return rows
