"""The networks that `train.model` can name.

All take RGB as float32 (n, p, p, 3), 0 to 255, and give a logit (n, 1): the normaliser is the first layer, so nobody can forget it, and it
is also said in the model's card. Each ends in a convolution, its mean over the picture, and one dense unit: what class activation maps
need.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Network:
    """`build(patch)` gives a Keras model; `normaliser`: in words, what its first layer does to px; `least`: smallest patch, px."""

    build: Callable[[int], Any]
    normaliser: str
    least: int


def camnet_small(patch: int) -> Any:
    """A small CNN for CPUs: five 3 x 3 convolutions, 98,000 parameters.

    Group normalisation, since batch statistics would differ between ranks; on the pooled maps, where it costs a quarter of the px.
    """
    import keras

    layers = keras.layers
    x = inputs = keras.Input((patch, patch, 3), name="rgb")
    x = layers.Rescaling(1 / 127.5, -1.0, name="normaliser")(x)
    for i, width in enumerate((16, 32, 64), 1):
        x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"conv{i}")(x)
        x = layers.MaxPooling2D(name=f"pool{i}")(x)
        x = layers.GroupNormalization(8, epsilon=1e-5, name=f"norm{i}")(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="conv4")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(1, name="logit")(x), name="camnet_small")


NETWORKS = {
    "camnet_small": Network(camnet_small, "px / 127.5 - 1", 16),
}
