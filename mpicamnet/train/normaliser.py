"""Normalisers: what a network does first to px of 0 to 255, as layers that are saved with it, and in words for its card.

They are those that the ImageNet weights of each network were trained with.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Normaliser:
    """`words`: for the card; `layers`: from RGB px of 0 to 255, float32 (n, h, w, 3), to what the first convolution takes."""

    words: str
    layers: Callable[[Any], Any]


def _rescaled(scale: float, offset: float) -> Callable[[Any], Any]:
    def layers(px: Any) -> Any:
        import keras

        return keras.layers.Rescaling(scale, offset, dtype="float32", name="normaliser")(px)

    return layers


def _standardised(mean: tuple[float, ...], deviation: tuple[float, ...], bgr: bool = False) -> Callable[[Any], Any]:
    def layers(px: Any) -> Any:
        import keras

        x = keras.ops.flip(px, axis=-1) if bgr else px
        variance = [d * d for d in deviation]
        return keras.layers.Normalization(mean=list(mean), variance=variance, dtype="float32", name="normaliser")(x)

    return layers


# Modes `tf`, `torch` and `caffe` of keras.applications.imagenet_utils.preprocess_input.
TF = Normaliser("px / 127.5 - 1", _rescaled(1 / 127.5, -1.0))
TORCH = Normaliser("(px / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)",
                   _standardised((255 * 0.485, 255 * 0.456, 255 * 0.406), (255 * 0.229, 255 * 0.224, 255 * 0.225)))
CAFFE = Normaliser("channels turned to BGR, px - (103.939, 116.779, 123.68)", _standardised((103.939, 116.779, 123.68), (1.0, 1.0, 1.0), bgr=True))
# MEAN_RGB and STDDEV_RGB of efficientnet_lite_builder.py in tensorflow/tpu, where the weights come from.
LITE = Normaliser("(px - 127) / 128", _rescaled(1 / 128, -127 / 128))
