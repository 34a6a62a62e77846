"""What every network of the zoo ends in: the mean over the picture, dropout where its authors use it, one logit. CAM needs just this."""
from __future__ import annotations

from typing import Any

HEAD = ("mean", "dropout", "logit")  # names of its layers


def with_head(inputs: Any, features: Any, name: str, dropout: float = 0.0) -> Any:
    """The Keras model from `inputs` (n, p, p, 3) over `features` (n, h, w, c) to a logit (n, 1); the logit is float32 under any policy."""
    import keras

    x = keras.layers.GlobalAveragePooling2D(name="mean")(features)
    if dropout:
        x = keras.layers.Dropout(dropout, name="dropout")(x)
    return keras.Model(inputs, keras.layers.Dense(1, dtype="float32", name="logit")(x), name=name)


def backbone_of(model: Any) -> list[Any]:
    """The layers of a network of the zoo that are not its head, from the input on; auxiliary heads are no part of it either."""
    return [layer for layer in model.layers if layer.name not in HEAD and not layer.name.startswith("auxiliary")]
