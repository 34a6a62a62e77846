"""Regression concept vectors: layer by layer and concept by concept, whether the network uses a measure and which way.

M. Graziani, V. Andrearczyk and H. Mueller, Regression concept vectors for bidirectional explanations in histopathology, iMIMIC 2018; M. Graziani et
al., Concept attribution: explaining CNN decisions to physicians, Comput Biol Med 123:103865, 2020. Here the regression is ridge, R2 is of slides (or
patients) held out, and each score has its chance values.
"""
from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from .regression import basis, chosen_strengths, folds_by_group, held_out_errors, inner_products, r_squared, weights
from .relevance import band, benjamini_hochberg, p_value, permutations, scores

Floats = npt.NDArray[np.float64]
Band = tuple[float, float] | None
FEWEST = 20  # patches with a value that a regression makes sense of


@dataclass(frozen=True)
class Settings:
    """`folds` of the cross-validation, `permutations` of chance, false discovery rate `alpha`, `seed` of what is drawn."""

    folds: int = 5
    permutations: int = 1000
    alpha: float = 0.05
    seed: int = 0


@dataclass(frozen=True)
class Relevance:
    """A concept at a layer.

    `n`: patches with a value. `strength`: of the ridge. `r2`: on held-out patches. `sensitivity`: mean and standard deviation of S. `tcav`: share of
    S > 0. `br`: R2 mean(S) / std(S), None where all S are the same; `br_scaled`: by the largest |br| of the layer. `*_band`: where 95 % of the values lie that
    chance gives. `p_*`: of each by itself; `p`: the larger of those of R2 and slope; `q`: p corrected over concepts and layers (Benjamini-Hochberg), NaN
    until `with_discoveries`. `vector`: float64 (d,), of length 1, towards more of the concept.
    """

    layer: str
    concept: str
    n: int
    strength: float
    r2: float
    r2_band: Band
    sensitivity: tuple[float, float]
    tcav: float
    tcav_band: Band
    br: float | None
    br_scaled: float | None
    br_band: Band
    p_r2: float
    p_tcav: float
    p_br: float | None
    p_slope: float
    p: float
    q: float
    relevant: bool
    vector: Floats


@dataclass(frozen=True)
class Vectors:
    """All that was found: a row per layer and concept, in the order given; the concepts that were left out, each with the reason."""

    rows: tuple[Relevance, ...]
    skipped: dict[str, str]


def skipped_concepts(names: tuple[str, ...], values: Floats) -> dict[str, str]:
    """Concepts of (n, k) that no regression can be made for, with the reason: the same over all patches, or without a value for most."""
    out = {}
    for name, v in zip(names, values.T, strict=True):
        known = v[np.isfinite(v)]
        if len(known) < FEWEST:
            out[name] = f"it has a value for {len(known)} of {len(v)} patches; {FEWEST} are needed"
        elif np.ptp(known) <= 1e-12 * np.abs(known).max():
            out[name] = f"it is the same over all patches ({known[0]:.4g})"
    return out


def layer_result(layer: str, activations: npt.NDArray[Any], gradients: npt.NDArray[Any], names: tuple[str, ...], values: Floats,
                 groups: npt.NDArray[np.int64], settings: Settings, judged: npt.NDArray[np.bool_] | None = None) -> tuple[Relevance, ...]:
    """All concepts at one layer.

    Parameters
    ----------
    layer : its name.
    activations, gradients : float (n, d): what the layer gives for each patch, and the gradient of the output by it.
    names, values : k concepts, float64 (n, k); NaN where a patch has no value: such patches are left out for that concept. Those that
        `skipped_concepts` names are left out.
    groups : int64 (n,): slides, or patients; undivided by the folds.
    settings : folds, permutations, seed.
    judged : bool (n,): patches whose sensitivities count, as those of tumour; None: all.

    On one thread whatever the number of ranks, so that sums are made in one order.
    """
    skipped = skipped_concepts(names, values)
    judged = np.ones(len(values), bool) if judged is None else judged
    with threadpool_limits(1):
        products = inner_products(activations)
        centred = activations.astype(np.float64)
        centred -= centred.mean(axis=0)
        across = gradients[judged].astype(np.float64) @ centred.T
        found = [_relevance(layer, name, centred, across, products, values[:, i], groups, settings)
                 for i, name in enumerate(names) if name not in skipped]
    most = max((abs(r.br) for r in found if r.br is not None), default=0.0)
    return tuple(replace(r, br_scaled=None if r.br is None else r.br / most if most else 0.0) for r in found)


def with_discoveries(rows: tuple[Relevance, ...], skipped: dict[str, str], alpha: float) -> Vectors:
    """Rows of all layers, with p corrected over all of them."""
    q = benjamini_hochberg(np.array([r.p for r in rows]))
    return Vectors(tuple(replace(r, q=float(v), relevant=bool(v < alpha)) for r, v in zip(rows, q, strict=True)), skipped)


def concept_vectors(activations: dict[str, npt.NDArray[Any]], gradients: dict[str, npt.NDArray[Any]], names: tuple[str, ...], values: Floats,
                    groups: npt.NDArray[np.int64], settings: Settings, judged: npt.NDArray[np.bool_] | None = None) -> Vectors:
    """All layers, one after the other; `layer_result` says what the arrays are."""
    rows = [r for layer, a in activations.items() for r in layer_result(layer, a, gradients[layer], names, values, groups, settings, judged)]
    return with_discoveries(tuple(rows), skipped_concepts(names, values), settings.alpha)


def _relevance(layer: str, concept: str, centred: Floats, across: Floats, products: Floats, values: Floats, groups: npt.NDArray[np.int64],
               settings: Settings) -> Relevance:
    """One concept at one layer; `across` (m, n) are gradients times centred activations."""
    known = np.flatnonzero(np.isfinite(values))
    y = (values[known] - values[known].mean()) / values[known].std()
    dealt = permutations(len(y), settings.permutations, settings.seed)
    targets = np.concatenate([y[:, None], y[dealt]], axis=1)
    inner = products[np.ix_(known, known)]
    errors = held_out_errors(inner, targets, folds_by_group(groups[known], settings.folds, settings.seed))
    r2 = r_squared(errors, targets)

    # Chance gets the concept's own strength: dealt anew, values are best fitted by shrinking all to nothing, and next to nothing any slope is large.
    rows = basis(inner)
    strength = chosen_strengths(rows, targets[:, :1], rows.strengths)[0]
    every = np.concatenate([targets, errors[:, 0][dealt]], axis=1)
    dual = weights(rows, every, np.full(every.shape[1], strength))
    dual -= dual.mean(axis=0)  # then any origin of the activations gives the same vector
    along = across[:, known] @ dual
    own = targets.shape[1]
    lengths = np.sqrt(np.maximum((dual[:, :own] * (inner @ dual[:, :own])).sum(axis=0), 0))
    s = scores(along[:, :own], lengths, r2)
    slopes = along.mean(axis=0)

    p_r2 = p_value(r2[0], r2[1:])
    p_slope = p_value(abs(slopes[0]), np.abs(slopes[own:]))
    has_br = not math.isnan(s.br[0])
    vector = centred[known].T @ dual[:, 0]
    return Relevance(
        layer, concept, len(known), float(strength), float(r2[0]), band(r2[1:]), (float(s.mean[0]), float(s.std[0])),
        float(s.tcav[0]), band(s.tcav[1:]), float(s.br[0]) if has_br else None, None, band(s.br[1:]) if has_br else None,
        p_r2, p_value(abs(s.tcav[0] - 0.5), np.abs(s.tcav[1:] - 0.5)), p_value(abs(s.br[0]), np.abs(s.br[1:])) if has_br else None,
        p_slope, max(p_r2, p_slope), math.nan, False, vector / max(float(np.linalg.norm(vector)), np.finfo(float).tiny))
