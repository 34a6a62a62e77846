"""Class activation maps (Zhou et al. 2016), for networks whose head is the mean of each map and one linear layer."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .gradcam import Pixels, in_batches, looker
from .graph import Step, steps
from .maps import Maps, upsampled

_PASS = ("Dropout", "Flatten", "Reshape", "Activation")  # between mean and linear layer, these change no value


@dataclass(frozen=True)
class Head:
    """`step` gives the maps whose means the last layer, `dense`, reads."""

    step: Step
    dense: Any

    @property
    def kernel(self) -> npt.NDArray[np.float32]:
        """What each map counts, (k,)."""
        return np.asarray(self.dense.kernel.numpy()[:, -1], np.float32)

    @property
    def bias(self) -> float:
        return float(self.dense.bias.numpy()[-1]) if self.dense.bias is not None else 0.0


def linear_head(model: Any) -> Head | None:
    """The head of the network's last output, None where it is not global average pooling and one linear layer."""
    import keras

    every = {s.place: s for s in steps(model)}
    dense = list(every.values())[-1]
    if not isinstance(dense.layer, keras.layers.Dense) or dense.layer.activation not in (keras.activations.linear, keras.activations.sigmoid):
        return None
    step = dense
    while len(step.reads) == 1 and step.reads[0] >= 0:
        step = every[step.reads[0]]
        if isinstance(step.layer, keras.layers.GlobalAveragePooling2D):
            maps = every.get(step.reads[0])
            return Head(maps, dense.layer) if maps is not None else None
        if type(step.layer).__name__ not in _PASS or getattr(step.layer, "activation", keras.activations.linear) is not keras.activations.linear:
            return None
    return None


def class_maps(maps: Maps, head: Head) -> Maps:
    """The sum of maps (n, h, w, k) by what the head gives each, (n, h, w): in units of the logit, below 0 where a place speaks against tumour.

    Its mean over all places, and the bias, is the logit.
    """
    return np.asarray(maps @ head.kernel, np.float32)


def cam(model: Any, images: Pixels, batch: int = 32) -> Maps | None:
    """CAM of the network's last output, float32 (n, h, w) in units of the logit, signed; None where the head does not allow it.

    `images` (n, h, w, 3), px as the network takes them.
    """
    head = linear_head(model)
    if head is None:
        return None
    height, width = images.shape[1:3]
    parts = [upsampled(class_maps(seen.maps, head), height, width) for seen in in_batches(looker(model, head.step), images, batch)]
    return np.concatenate([np.zeros((0, height, width), np.float32), *parts])
