"""EfficientNet-Lite0, and its ImageNet weights from PyTorch's file.

The network of tensorflow/tpu, models/official/efficientnet/lite: EfficientNet-B0 (Tan and Le, ICML 2019) without squeeze-and-excitation and
with ReLU6. The weights are TensorFlow's, carried over to PyTorch by the package `efficientnet-lite-pytorch`: so convolutions pad as
TensorFlow's `same` does, and batch normalisation has TensorFlow's epsilon.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from .head import with_head
from .normaliser import LITE

Array = npt.NDArray[Any]
STAGES = (  # blocks, kernel, stride of the first block, expansion, width
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320),
)
STEM, TOP = 32, 1280
DROPPED = 0.2  # rate at which the last block's own branch is left out of a row in training; it grows linearly from 0 at the first
KERNELS = {"conv": (2, 3, 1, 0), "depthwise": (2, 3, 0, 1)}  # PyTorch's (out, in, h, w) to Keras' (h, w, in, out) and (h, w, channel, 1)


def efficientnet_lite0(patch: int) -> Any:
    """The network with random weights: 3.4 M parameters."""
    import keras

    layers = keras.layers
    inputs = keras.Input((patch, patch, 3), name="rgb")
    x = layers.Conv2D(STEM, 3, 2, "same", use_bias=False, kernel_initializer="he_normal", name="stem_conv")(LITE.layers(inputs))
    x = _normed(x, "stem_bn")
    number, blocks = 0, sum(stage[0] for stage in STAGES)
    for repeats, kernel, stride, expansion, width in STAGES:
        for i in range(repeats):
            x = _block(x, f"block{number}", kernel, stride if i == 0 else 1, expansion, width, DROPPED * number / blocks)
            number += 1
    x = layers.Conv2D(TOP, 1, use_bias=False, kernel_initializer="he_normal", name="top_conv")(x)
    return with_head(inputs, _normed(x, "top_bn"), "efficientnet_lite0", dropout=0.2)


def _block(x: Any, name: str, kernel: int, stride: int, expansion: int, width: int, dropped: float) -> Any:
    """MBConv: expand by 1 x 1, convolve each channel, project by 1 x 1; added to its input where the shapes allow."""
    import keras

    layers = keras.layers
    start, channels = x, x.shape[-1]
    if expansion != 1:
        x = layers.Conv2D(channels * expansion, 1, use_bias=False, kernel_initializer="he_normal", name=f"{name}_expand_conv")(x)
        x = _normed(x, f"{name}_expand_bn")
    x = layers.DepthwiseConv2D(kernel, stride, "same", use_bias=False, depthwise_initializer="he_normal", name=f"{name}_depthwise")(x)
    x = _normed(x, f"{name}_depthwise_bn")
    x = layers.Conv2D(width, 1, use_bias=False, kernel_initializer="he_normal", name=f"{name}_project_conv")(x)
    x = _normed(x, f"{name}_project_bn", activation=False)
    if stride == 1 and channels == width:
        if dropped:
            x = layers.Dropout(dropped, noise_shape=(None, 1, 1, 1), name=f"{name}_drop")(x)
        x = layers.Add(name=f"{name}_add")([x, start])
    return x


def _normed(x: Any, name: str, activation: bool = True) -> Any:
    import keras

    x = keras.layers.BatchNormalization(momentum=0.99, epsilon=1e-3, name=name)(x)
    return keras.layers.ReLU(6.0, name=name.replace("bn", "relu6"))(x) if activation else x


def from_pytorch(tensors: Mapping[str, Array]) -> dict[str, list[Array]]:
    """PyTorch's weights (name -> array) as Keras' (layer -> its arrays), but for the 1000 classes: `_fc.weight` (1000, 1280), `_fc.bias`.

    Raises KeyError where one is missing.
    """
    found: dict[str, list[Array]] = {}
    for theirs, ours, kind in _names():
        if kind == "bn":
            found[ours] = [tensors[f"{theirs}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
        else:
            found[ours] = [np.ascontiguousarray(tensors[f"{theirs}.weight"].transpose(KERNELS[kind]))]
    return found


def _names() -> Iterator[tuple[str, str, str]]:
    """(PyTorch's name, Keras' name, kind) of each layer with weights."""
    yield "_conv_stem", "stem_conv", "conv"
    yield "_bn0", "stem_bn", "bn"
    number = 0
    for repeats, _, _, expansion, _ in STAGES:
        for _ in range(repeats):
            block = f"_blocks.{number}."
            if expansion != 1:
                yield block + "_expand_conv", f"block{number}_expand_conv", "conv"
                yield block + "_bn0", f"block{number}_expand_bn", "bn"
            yield block + "_depthwise_conv", f"block{number}_depthwise", "depthwise"
            yield block + "_bn1", f"block{number}_depthwise_bn", "bn"
            yield block + "_project_conv", f"block{number}_project_conv", "conv"
            yield block + "_bn2", f"block{number}_project_bn", "bn"
            number += 1
    yield "_conv_head", "top_conv", "conv"
    yield "_bn1", "top_bn", "bn"
