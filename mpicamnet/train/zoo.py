"""The networks that `train.model` can name.

All take RGB as float32 (n, p, p, 3), 0 to 255, and give a logit (n, 1): the normaliser is the first layer, so nobody can forget it, and it
is also said in the model's card. Each ends in a convolution, its mean over the picture, and one dense unit: what class activation maps
need.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import imagenet
from .applications import from_keras
from .efficientnet_lite import efficientnet_lite0
from .googlenet import LEAST, googlenet, with_auxiliary_heads
from .head import backbone_of, with_head
from .imagenet import Published
from .normaliser import CAFFE, LITE, TF, TORCH


@dataclass(frozen=True)
class Network:
    """`build(patch)` gives a Keras model with random weights; `normaliser`: in words, what it does to px first; `least`: smallest patch, px.

    `imagenet`: the file of its ImageNet weights, where there is one. `with_auxiliary_heads(model)` gives, where there are any, a model of the
    same layers and more, with logits (n, k): the network's own, then the auxiliary ones, which only training looks at.
    """

    build: Callable[[int], Any]
    normaliser: str
    least: int
    imagenet: Published | None = None
    with_auxiliary_heads: Callable[[Any], Any] | None = None

    def trained(self, model: Any) -> Any:
        """What the optimizer works on: `model`, with the auxiliary heads where the network has any."""
        return self.with_auxiliary_heads(model) if self.with_auxiliary_heads is not None else model

    def backbone(self, model: Any) -> list[Any]:
        """The layers that pre-trained weights are for, and that freezing holds still: all but the heads."""
        return backbone_of(model)


def camnet_small(patch: int) -> Any:
    """A small CNN for CPUs: four 3 x 3 convolutions, 98,000 parameters.

    Group normalisation, since batch statistics would differ between ranks; on the pooled maps, where it costs a quarter of the px.
    """
    import keras

    layers = keras.layers
    x = inputs = keras.Input((patch, patch, 3), name="rgb")
    x = TF.layers(x)
    for i, width in enumerate((16, 32, 64), 1):
        x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"conv{i}")(x)
        x = layers.MaxPooling2D(name=f"pool{i}")(x)
        x = layers.GroupNormalization(8, epsilon=1e-5, name=f"norm{i}")(x)
    x = layers.Conv2D(128, 3, padding="same", activation="relu", name="conv4")(x)
    return with_head(inputs, x, "camnet_small")


NETWORKS = {
    "camnet_small": Network(camnet_small, TF.words, 16),
    "resnet50": Network(from_keras("resnet50", "ResNet50", CAFFE), CAFFE.words, 32, imagenet.RESNET50),
    "resnet101": Network(from_keras("resnet101", "ResNet101", CAFFE), CAFFE.words, 32, imagenet.RESNET101),
    "googlenet": Network(googlenet, TF.words, LEAST, None, with_auxiliary_heads),
    "inception_v3": Network(from_keras("inception_v3", "InceptionV3", TF, dropout=0.2), TF.words, 75, imagenet.INCEPTION_V3),
    "densenet121": Network(from_keras("densenet121", "DenseNet121", TORCH), TORCH.words, 32, imagenet.DENSENET121),
    "inception_resnet_v2": Network(from_keras("inception_resnet_v2", "InceptionResNetV2", TF, dropout=0.2), TF.words, 75, imagenet.INCEPTION_RESNET_V2),
    "efficientnet_lite0": Network(efficientnet_lite0, LITE.words, 32, imagenet.EFFICIENTNET_LITE0),
}
