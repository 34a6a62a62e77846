"""LIME (Ribeiro et al. 2016) by the `lime` package: superpixels are hidden at random, and a linear model learns what each counts.

`lime`'s own `explain_instance` draws, predicts and fits in one go, in one process, behind a progress bar. Here the three are apart, so that
ranks can share the predicting; what is drawn and fitted is the package's, number for number.
"""
from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Superpixels:
    """`segments` int32 (h, w), 0 to k-1; `px` uint8 (h, w, 3), the picture; `hidden` uint8 (h, w, 3), each superpixel in its mean colour."""

    segments: npt.NDArray[np.int32]
    px: Pixels
    hidden: Pixels

    @property
    def count(self) -> int:
        return int(self.segments.max()) + 1


@dataclass(frozen=True)
class Fit:
    """What a linear model made of the perturbed pictures: `weights` float64 (k,), what showing each superpixel adds to the probability of
    tumour; `score`, its weighted R2 (how far it can be trusted); both for one seed."""

    weights: npt.NDArray[np.float64]
    score: float


@dataclass(frozen=True)
class Agreement:
    """Rank correlation (Spearman) of superpixel weights between seeds: the mean and the least over pairs; NaN where there is one seed."""

    mean: float
    least: float


def superpixels(px: Pixels, wanted: int, compactness: float) -> Superpixels:
    """Cut px uint8 (h, w, 3) into about `wanted` superpixels (SLIC, Achanta et al. 2012; `compactness`: space against colour)."""
    from skimage.segmentation import slic

    labels = slic(px, n_segments=wanted, compactness=compactness, sigma=1, start_label=0, channel_axis=-1)
    segments = np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)
    flat = segments.ravel()
    sums = np.stack([np.bincount(flat, px[..., c].ravel()) for c in range(3)], axis=1)
    means = (sums / np.bincount(flat)[:, None]).astype(np.uint8)  # cut off, as lime does
    return Superpixels(segments, px, means[segments])


def perturbations(seed: int, samples: int, count: int) -> npt.NDArray[np.int64]:
    """Which superpixels are shown (1) and hidden (0), int64 (samples, count), drawn as lime draws them; the first row shows all."""
    from lime.lime_image import LimeImageExplainer

    drawn = LimeImageExplainer(random_state=seed).random_state.randint(0, 2, samples * count).reshape(samples, count)
    drawn[0] = 1
    return np.asarray(drawn, np.int64)


def perturbed(parts: Superpixels, shown: npt.NDArray[np.int64]) -> Pixels:
    """The pictures, uint8 (b, h, w, 3), of rows of `perturbations`, (b, k)."""
    return np.where(shown.astype(bool)[:, parts.segments][..., None], parts.px, parts.hidden)


def fitted(shown: npt.NDArray[np.int64], prob: npt.NDArray[np.float32], seed: int) -> Fit:
    """lime's linear model of the probabilities (samples,) of perturbed pictures, near pictures counting more; `shown` (samples, k)."""
    from lime.lime_image import LimeImageExplainer
    from sklearn.metrics import pairwise_distances

    distances = pairwise_distances(shown, shown[:1], metric="cosine").ravel()
    base = LimeImageExplainer(random_state=seed).base
    _, pairs, score, _ = base.explain_instance_with_data(shown, prob.astype(np.float64)[:, None], distances, 0, shown.shape[1])
    weights = np.zeros(shown.shape[1])
    for superpixel, weight in pairs:
        weights[superpixel] = weight
    return Fit(weights, float(score))


def agreement(fits: list[Fit]) -> Agreement:
    """How far the seeds agree on which superpixels count."""
    from scipy.stats import spearmanr

    pairs = [_rank_correlation(spearmanr, a.weights, b.weights) for a, b in itertools.combinations(fits, 2)]
    return Agreement(float(np.mean(pairs)), min(pairs)) if pairs else Agreement(float("nan"), float("nan"))


def _rank_correlation(spearmanr: Any, a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    """0 where all weights of one are equal: then it ranks nothing."""
    return 0.0 if np.ptp(a) == 0 or np.ptp(b) == 0 else float(spearmanr(a, b).statistic)


def strongest(parts: Superpixels, weights: npt.NDArray[np.float64], most: int) -> npt.NDArray[np.bool_]:
    """The superpixels that speak most for tumour, at most `most`, as a mask (h, w)."""
    from lime.lime_image import ImageExplanation

    explanation = ImageExplanation(parts.px, parts.segments)
    explanation.local_exp[1] = sorted(enumerate(weights), key=lambda pair: abs(pair[1]), reverse=True)
    _, mask = explanation.get_image_and_mask(1, positive_only=True, num_features=most, hide_rest=False)
    return np.asarray(mask, bool)
