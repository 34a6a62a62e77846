"""CAM, Grad-CAM and Grad-CAM++ of a batch of pictures at once: one pass forward serves all that look at the same layer."""
from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .cam import class_maps, linear_head
from .gradcam import Evidence, gradcam_plus_plus_weights, gradcam_weights, looker, weighted
from .graph import maps_step
from .maps import Maps, scaled, upsampled

METHODS = ("cam", "gradcam", "gradcam++")
CALLED = {"cam": "CAM", "gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++"}


@dataclass(frozen=True)
class Seen:
    """Of n pictures: `score` float32 (n,), the logit; `maps`: by method, float32 (n, h, w), as coarse as the layer."""

    score: npt.NDArray[np.float32]
    maps: dict[str, Maps]


class ClassMaps:
    """The methods that a network allows, and what they say. `layer`: whose maps are looked at, by its name.

    Raises UserError where the network has no convolution, or not the layer that is asked for.
    """

    def __init__(self, model: Any, methods: Collection[str], layer: str | None):
        self._step = maps_step(model, layer)
        self._head = linear_head(model) if "cam" in methods else None
        self.methods = tuple(m for m in METHODS if m in methods and (m != "cam" or self._head is not None))
        self.layer = self._step.name
        self._look = looker(model, self._step)
        self._look_at_head = looker(model, self._head.step) if self._head is not None else None

    def of(self, px: npt.NDArray[np.uint8]) -> Seen:
        """What the methods say of px uint8 (n, p, p, 3); batches of one shape are compiled once."""
        seen = self._look(px)
        maps = {}
        for method in self.methods:
            if method == "cam":
                maps[method] = self._cam(px, seen)
            else:
                maps[method] = weighted(seen.maps, gradcam_weights(seen) if method == "gradcam" else gradcam_plus_plus_weights(seen))
        return Seen(seen.score, maps)

    def _cam(self, px: npt.NDArray[np.uint8], seen: Evidence) -> Maps:
        assert self._head is not None and self._look_at_head is not None
        return class_maps(seen.maps if self._look_at_head is self._look else self._look_at_head(px).maps, self._head)


def picture(method: str, coarse: Maps, side: int) -> Maps:
    """A coarse map (h, w) at the size of its patch, (side, side): CAM in units of the logit, the others from 0 to 1."""
    fine = upsampled(coarse[None], side, side)
    return np.asarray((fine if method == "cam" else scaled(fine))[0], np.float32)
