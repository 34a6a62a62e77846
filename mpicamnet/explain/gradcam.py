"""Grad-CAM (Selvaraju et al. 2017) and Grad-CAM++ (Chattopadhay et al. 2018): where the maps of a layer speak for tumour.

Both weigh the maps A of a layer and keep what is positive: L = relu(sum over k of w_k A^k). They differ in how w follows from dS/dA.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UserError
from .graph import Step, maps_step, run
from .maps import Maps, scaled, upsampled

Pixels = npt.NDArray[Any]  # (n, h, w, 3), 0 to 255: normalising is the network's own first layer


@dataclass(frozen=True)
class Evidence:
    """What a layer says of n pictures: its maps A and the gradient of the score S by them, float32 (n, h, w, k); the score, float32 (n,)."""

    maps: Maps
    gradient: Maps
    score: npt.NDArray[np.float32]


Look = Callable[[Pixels], Evidence]


def gradcam(model: Any, images: Pixels, layer: str | None = None, batch: int = 32) -> Maps:
    """Grad-CAM of the network's last output (of one logit: tumour).

    Parameters
    ----------
    model
        A Keras model with a graph, also with models inside.
    images
        (n, h, w, 3), px as the network takes them, 0 to 255.
    layer
        Whose maps are looked at; None: the last that come from a convolution.
    batch
        Pictures at once.

    Returns
    -------
    float32 (n, h, w)
        0 to 1, each picture over its own most; all 0 where nothing speaks for tumour.

    Raises
    ------
    UserError
        There is no such layer (the nearest is named), it gives no maps, or the network has no convolution.
    """
    return _pictures(model, images, layer, batch, gradcam_weights)


def gradcam_plus_plus(model: Any, images: Pixels, layer: str | None = None, batch: int = 32) -> Maps:
    """Grad-CAM++ of the network's last output; as `gradcam`, which says the arguments."""
    return _pictures(model, images, layer, batch, gradcam_plus_plus_weights)


def gradcam_weights(seen: Evidence) -> Maps:
    """The mean of the gradient over each map, (n, k): Selvaraju et al., equation 1."""
    return np.asarray(seen.gradient.mean(axis=(1, 2)), np.float32)


def gradcam_plus_plus_weights(seen: Evidence) -> Maps:
    """Chattopadhay et al., (n, k): w = sum over places of alpha relu(g), alpha = g^2 / (2 g^2 + sum(A) g^3), equation 19.

    g = dS/dA. The paper's Y = exp(S) puts a factor exp(S) > 0 before relu(g): it falls out where a map is scaled, and overflows where S is large.
    Where g <= 0 nothing is added, whatever alpha is.
    """
    g = seen.gradient.astype(np.float64)
    below = 2 * g ** 2 + seen.maps.sum(axis=(1, 2), keepdims=True, dtype=np.float64) * g ** 3
    counts = (g > 0) & (below != 0)
    alpha = np.divide(g ** 2, below, out=np.zeros_like(g), where=counts)
    return np.asarray((alpha * np.maximum(g, 0)).sum(axis=(1, 2)), np.float32)


def weighted(maps: Maps, weights: Maps) -> Maps:
    """relu of the sum of maps (n, h, w, k) by weights (n, k): (n, h, w)."""
    return np.asarray(np.maximum(np.matmul(maps, weights[:, None, :, None])[..., 0], 0), np.float32)


@functools.lru_cache(maxsize=4)  # compiling takes seconds, and whoever calls `gradcam` in a loop asks again and again
def looker(model: Any, step: Step) -> Look:
    """f(px (n, h, w, 3)) -> what the maps of `step` say. Compiled once for batches of one shape; only the head is gone back through."""
    import tensorflow as tf

    @tf.function(autograph=False, jit_compile=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def look(px: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            maps, out = run(model, tf.cast(px, tf.float32), step, tape.watch)
            score = tf.reshape(out, (tf.shape(out)[0], -1))[:, -1]
        gradient = tape.gradient(score, maps)
        if gradient is None:
            raise UserError(f"the network's output does not depend on layer `{step.name}`", "explain.layer", "name another")
        return maps, gradient, score

    return lambda px: Evidence(*(np.asarray(v, np.float32) for v in look(px)))


def in_batches(look: Look, images: Pixels, batch: int) -> list[Evidence]:
    """What is seen of n pictures, `batch` at a time; the last batch is filled up, so that all have one shape."""
    out = []
    for first in range(0, len(images), batch):
        part = images[first:first + batch]
        n = len(part)
        if n < batch and first:
            part = np.concatenate([part, np.zeros((batch - n, *part.shape[1:]), part.dtype)])
        seen = look(part)
        out.append(Evidence(seen.maps[:n], seen.gradient[:n], seen.score[:n]))
    return out


def _pictures(model: Any, images: Pixels, layer: str | None, batch: int, weights: Callable[[Evidence], Maps]) -> Maps:
    height, width = images.shape[1:3]
    look = looker(model, maps_step(model, layer))
    parts = [scaled(upsampled(weighted(seen.maps, weights(seen)), height, width)) for seen in in_batches(look, images, batch)]
    return np.concatenate([np.zeros((0, height, width), np.float32), *parts])
