"""concepts.csv, a line per patch, and rcv.json, what the network makes of each concept."""
from __future__ import annotations

import csv
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .concepts import PX_SAID, Concept
from .rcv import Relevance, Settings, Vectors

SCHEMA = "mpicamnet.rcv/1"


@dataclass(frozen=True)
class Patches:
    """The n patches that were measured: slide name, place `xy` int64 (n, 2) in level-0 px, label int8 (1 tumour, 0 normal, -1 unknown), probability of
    tumour float32, slide's um per px float64 (NaN: not known)."""

    slide: tuple[str, ...]
    xy: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    prob: npt.NDArray[np.float32]
    mpp: npt.NDArray[np.float64]


def unit_of(concept: Concept, mpp_known: bool) -> str:
    """The concept's unit, with um or without."""
    return concept.unit if mpp_known else concept.px_unit


def write_concepts(path: Path, patches: Patches, concepts: tuple[Concept, ...], values: npt.NDArray[np.float64]) -> None:
    """A line per patch: where it is, its label and probability, and its measures `values` (n, k), units in the header; empty where one has no value.

    Whole under its name.
    """
    known = bool(np.isfinite(patches.mpp).all())
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", newline="", encoding="utf-8") as f:
        out = csv.writer(f)
        out.writerow(["slide", "x", "y", "label", "probability", *(_heading(c, known) for c in concepts)])
        for slide, xy, label, prob, row in zip(patches.slide, patches.xy, patches.label, patches.prob, values, strict=True):
            out.writerow([slide, *xy.tolist(), int(label), f"{prob:.6g}", *("" if math.isnan(v) else f"{v:.6g}" for v in row)])
    partial.replace(path)


def rcv_document(found: Vectors, concepts: tuple[Concept, ...], values: npt.NDArray[np.float64], settings: Settings, patches: Patches,
                 judged: str) -> dict[str, Any]:
    """What rcv.json holds, as plain dicts and lists, numbers to six digits; `judged` says in words which patches' sensitivities count.

    `correlation`: Pearson's r of a concept's `values` (n, k) with the probability, over patches: to hold the vectors against. A regression vector weighs
    channels against each other, so its sign can differ from that of r (S. Haufe et al., NeuroImage 87:96, 2014): `agrees_with_correlation` of a layer's
    concept tells whether the mean sensitivity has the sign of r.
    """
    known = bool(np.isfinite(patches.mpp).all())
    r = {c.name: _correlation(v, patches.prob) for c, v in zip(concepts, values.T, strict=True)}
    layers: dict[str, dict[str, Any]] = {}
    for row in found.rows:
        layers.setdefault(row.layer, {})[row.concept] = _plain(row, r[row.concept])
    return {
        "schema": SCHEMA, "patches": len(patches.slide), "slides": len(set(patches.slide)), "sensitivity_of": judged,
        "folds": settings.folds, "permutations": settings.permutations, "alpha": settings.alpha, "said": [] if known else [PX_SAID],
        "concepts": {c.name: {"unit": unit_of(c, known), "kind": c.kind, "is": c.doc, "correlation": _six(r[c.name])} for c in concepts},
        "skipped": found.skipped, "layers": layers,
    }


def write_rcv(path: Path, document: dict[str, Any]) -> None:
    """rcv.json, whole under its name."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    partial.replace(path)


def _heading(concept: Concept, known: bool) -> str:
    unit = unit_of(concept, known)
    return concept.name if unit in ("1", "0 or 1") else f"{concept.name} [{unit}]"


def _correlation(values: npt.NDArray[np.float64], prob: npt.NDArray[np.float32]) -> float | None:
    """Pearson's r over patches with a value; None where one of the two does not vary."""
    known = np.isfinite(values)
    a, b = values[known], prob[known].astype(np.float64)
    return float(np.corrcoef(a, b)[0, 1]) if len(a) > 1 and np.ptp(a) > 0 and np.ptp(b) > 0 else None


def _plain(row: Relevance, correlation: float | None) -> dict[str, Any]:
    values = {k: v for k, v in asdict(row).items() if k not in ("layer", "concept", "vector", "sensitivity")}
    values["sensitivity"] = {"mean": row.sensitivity[0], "std": row.sensitivity[1]}
    values["agrees_with_correlation"] = None if correlation is None else row.sensitivity[0] * correlation > 0
    if row.br is None:
        values["br_why"] = "every patch has the same sensitivity: the output follows this layer linearly, and std(S) is 0"
    return {k: _six(v) for k, v in values.items()}


def _six(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _six(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return [_six(v) for v in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value
