"""GoogLeNet, the first Inception (Szegedy et al., Going deeper with convolutions, CVPR 2015; Table 1), with its two auxiliary heads.

As Table 1 has it, without batch normalisation. The response normalisations of Figure 3 are left out: on activations of the size that px
of -1 to 1 give, they divide by 1.000.
"""
from __future__ import annotations

from typing import Any

from .head import with_head
from .normaliser import TF

# 1x1 | 3x3 reduce, 3x3 | 5x5 reduce, 5x5 | projection of the pooled; a pool of stride 2 stands before 3a, 4a and 5a
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32), "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64), "4b": (160, 112, 224, 24, 64, 64), "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64), "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128), "5b": (384, 192, 384, 48, 128, 128),
}
WITH_AUXILIARY = ("4a", "4d")
LEAST = 65  # px: there the maps of 4a are 5 px wide, and the auxiliary heads' pools are 5 x 5


def googlenet(patch: int) -> Any:
    """The network as it is used, without auxiliary heads: 6.0 M parameters."""
    import keras

    inputs = keras.Input((patch, patch, 3), name="rgb")
    x = _conv(TF.layers(inputs), 64, 7, "conv1", strides=2)
    x = _pool(x, "pool1")
    x = _conv(_conv(x, 64, 1, "conv2_reduce"), 192, 3, "conv2")
    for name, widths in MODULES.items():
        if name.endswith("a"):
            x = _pool(x, f"pool{int(name[0]) - 1}")
        x = _module(x, f"inception_{name}", *widths)
    return with_head(inputs, x, "googlenet", dropout=0.4)


def with_auxiliary_heads(model: Any) -> Any:
    """The network as it is trained: the same layers, and logits (n, 3): its own, then those of the heads on 4a and 4d (Section 5).

    A head: average pool 5 x 5 of stride 3, 128 filters of 1 x 1, 1024 units, dropout of 70 %, a logit.
    """
    import keras

    layers = keras.layers
    logits = [model.output]
    for module in WITH_AUXILIARY:
        name = f"auxiliary_{module}"
        x = layers.AveragePooling2D(5, 3, name=f"{name}_pool")(model.get_layer(f"inception_{module}").output)
        x = layers.Flatten(name=f"{name}_flat")(_conv(x, 128, 1, f"{name}_conv"))
        x = layers.Dense(1024, activation="relu", kernel_initializer="he_normal", name=f"{name}_dense")(x)
        x = layers.Dropout(0.7, name=f"{name}_dropout")(x)
        logits.append(layers.Dense(1, dtype="float32", name=f"{name}_logit")(x))
    return keras.Model(model.input, layers.Concatenate(dtype="float32", name="auxiliary_logits")(logits), name="googlenet_trained")


def _module(x: Any, name: str, one: int, reduce3: int, three: int, reduce5: int, five: int, projected: int) -> Any:
    """Figure 2 (b): four branches, side by side in the channels."""
    import keras

    branches = [
        _conv(x, one, 1, f"{name}_1x1"),
        _conv(_conv(x, reduce3, 1, f"{name}_3x3_reduce"), three, 3, f"{name}_3x3"),
        _conv(_conv(x, reduce5, 1, f"{name}_5x5_reduce"), five, 5, f"{name}_5x5"),
        _conv(_pool(x, f"{name}_pool", strides=1), projected, 1, f"{name}_projection"),
    ]
    return keras.layers.Concatenate(name=name)(branches)


def _conv(x: Any, width: int, size: int, name: str, strides: int = 1) -> Any:
    """He's start (2015): with no normalisation it is what keeps 22 layers of rectified units from fading."""
    import keras

    return keras.layers.Conv2D(width, size, strides, "same", activation="relu", kernel_initializer="he_normal", name=name)(x)


def _pool(x: Any, name: str, strides: int = 2) -> Any:
    import keras

    return keras.layers.MaxPooling2D(3, strides, "same", name=name)(x)
