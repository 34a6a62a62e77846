"""What every network of the zoo ends in: the mean over the picture, dropout where its authors use it, one logit. CAM needs just this."""
from __future__ import annotations

from typing import Any

HEAD = ("mean", "dropout", "logit")  # names of its layers


def backbone_of(model: Any) -> list[Any]:
    """The layers of a network of the zoo that are not its head, from the input on; auxiliary heads are no part of it either."""
    return [layer for layer in model.layers if layer.name not in HEAD and not layer.name.startswith("auxiliary")]
