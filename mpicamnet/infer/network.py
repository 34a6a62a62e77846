"""The network as inference uses it: px in, probability of tumour out.

Batches are cut within a unit of work, which follows from config and slides alone, and filled up to one of a few shapes: so no probability
depends on which rank made it, nor on what else that rank had to do.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UserError

Forward = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
TURNS = {"none": (0,), "flips": (0, 2, 4, 6), "d4": (0, 1, 2, 3, 4, 5, 6, 7)}  # of `turned`: a mirror of a half turn is the other mirror
SHAPES = 8  # batches are filled up to a multiple of an eighth of `batch`: filling up to the whole of it would cost a tenth of the time


def forward_of(model: Any, patch: int) -> Forward:
    """f(px uint8 (n, patch, patch, 3)) -> logits float32 (n,): one graph for all n."""
    import tensorflow as tf

    @tf.function(input_signature=[tf.TensorSpec((None, patch, patch, 3), tf.uint8)], autograph=False, jit_compile=False)  # type: ignore[untyped-decorator]
    def forward(px: Any) -> Any:
        return model(tf.cast(px, tf.float32), training=False)[:, 0]

    return lambda px: np.asarray(forward(px), np.float32)


def turned(px: npt.NDArray[np.uint8], which: int) -> npt.NDArray[np.uint8]:
    """One of the eight symmetries of px (n, h, h, c): `which` % 4 quarter turns, then a mirror where it is 4 or more."""
    out = np.rot90(px, which % 4, axes=(1, 2))
    return out[:, :, ::-1] if which >= 4 else out


def probabilities(forward: Forward, px: npt.NDArray[np.uint8], batch: int, turns: tuple[int, ...] = (0,)) -> npt.NDArray[np.float32]:
    """Probability of tumour, float32 (n,), of px uint8 (n, p, p, 3), `batch` at a time: the mean over `turns` of the logistic of the logit.

    The mean is of probabilities, not of logits: one view on which the network is certain must not outvote the others.
    Raises UserError where the network says nothing finite.
    """
    step = max(1, batch // SHAPES)
    found = [np.zeros(0, np.float64)]
    for first in range(0, len(px), batch):
        part = px[first:first + batch]
        n = len(part)
        if n % step and n < batch:
            part = np.concatenate([part, np.zeros((min(batch, -(-n // step) * step) - n, *px.shape[1:]), np.uint8)])
        logits = np.stack([forward(turned(part, k))[:n] for k in turns]).astype(np.float64)
        if not np.isfinite(logits).all():
            raise UserError("the network says nothing finite of some patches", "infer.model", "train it anew, with a lower `train.learning_rate`")
        found.append((0.5 * (1 + np.tanh(logits / 2))).mean(axis=0))
    return np.concatenate(found).astype(np.float32)
