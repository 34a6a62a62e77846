"""Do the maps show the network, or only the picture? With random weights they must change (Adebayo et al. 2018, cascading randomisation).

The layers that have weights lose what they learned from the output down: the values of each weight are put in a random order, which keeps
their distribution and with it the scale of what the network computes.
"""
from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..patches.sampling import generator
from .graph import steps
from .maps import Maps, scaled


@dataclass(frozen=True)
class Change:
    """How alike a map is with and without what was learned: rank correlation (Spearman) and structural similarity, 1: the same.

    NaN where one of the two maps is the same everywhere.
    """

    spearman: float
    ssim: float


def cascade(model: Any, cuts: int) -> list[list[Any]]:
    """The layers with trained weights, in at most `cuts` lists of near-equal length that grow: the last few layers, ..., all of them."""
    layers: list[Any] = []
    for step in reversed(steps(model)):
        if getattr(step.layer, "trainable_variables", None) and not any(step.layer is seen for seen in layers):
            layers.append(step.layer)
    ends = np.unique(np.linspace(0, len(layers), min(cuts, len(layers)) + 1).round().astype(int))[1:]
    return [layers[:end] for end in ends]


@contextmanager
def randomised(layers: list[Any], seed: int) -> Iterator[None]:
    """The layers' weights in random order, drawn by `seed`, layer and weight; as they were when done."""
    kept = [(v, v.numpy()) for layer in layers for v in layer.trainable_variables]
    for v, value in kept:
        v.assign(generator(seed, "sanity", v.path, value.shape).permutation(value.ravel()).reshape(value.shape))
    try:
        yield
    finally:
        for v, value in kept:
            v.assign(value)


def change(before: Maps, after: Maps) -> Change:
    """How alike two maps (h, w) of one picture are."""
    from scipy.stats import spearmanr
    from skimage.metrics import structural_similarity

    if np.ptp(before) == 0 or np.ptp(after) == 0:
        return Change(float("nan"), float("nan"))
    a, b = scaled(np.stack([before, after]))
    side = min(7, *(n - 1 + n % 2 for n in a.shape))
    alike = structural_similarity(a, b, win_size=side, data_range=1.0)
    return Change(float(spearmanr(a.ravel(), b.ravel()).statistic), float(alike))
