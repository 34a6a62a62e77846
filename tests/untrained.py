"""Networks that have learned nothing: for tests that ask only whether answers are the same, and in the right place."""
from __future__ import annotations

from pathlib import Path


def save_untrained(path: Path, patch: int, mpp: float | None) -> Path:
    """A model file whose weights follow from a fixed seed."""
    from mpicamnet.train.engine import start_tensorflow
    from mpicamnet.train.model_file import Card, save_model
    from mpicamnet.train.zoo import NETWORKS

    _, keras = start_tensorflow(1)
    keras.utils.set_random_seed(4)
    card = Card("camnet_small", patch, mpp, 0, "RGB", "px / 127.5 - 1", "logit", ("normal", "tumour"))
    save_model(path, NETWORKS["camnet_small"].build(patch), card, {}, "m")
    return path
