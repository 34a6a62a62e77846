"""Networks that keras.applications has: their convolutions, behind our normaliser and under our head."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .head import with_head
from .normaliser import Normaliser


def from_keras(name: str, class_name: str, normaliser: Normaliser, dropout: float = 0.0) -> Callable[[int], Any]:
    """build(patch) for a network of keras.applications, with random weights; its graph is flat: each layer is one of the model's own."""

    def build(patch: int) -> Any:
        import keras

        inputs = keras.Input((patch, patch, 3), name="rgb")
        network = getattr(keras.applications, class_name)
        features = network(include_top=False, weights=None, input_tensor=normaliser.layers(inputs)).output
        return with_head(inputs, features, name, dropout)

    return build
