"""The step size over time."""
from __future__ import annotations

import math

from ..config import Train


def learning_rate(train: Train, ranks: int, step: int, steps: int) -> float:
    """The step size of one step of all.

    The batch grows with the ranks, and so does the step size (Goyal et al. 2017), unless `scale_lr` is off; over the first `warmup` epochs it
    rises to that from a tenth of one rank's. Then it is constant, or falls by `step_factor` every `step_epochs` epochs, or along half a
    cosine to a hundredth. For SGD all this is divided by 1 + `decay` x steps, as Keras did until version 2.10.

    Parameters
    ----------
    step, steps
        Steps taken since training began, and steps of one epoch.
    """
    height = train.learning_rate * (ranks if train.scale_lr and train.reduce == "average" else 1)
    return _shape(train, height, step, steps) / (1 + (train.decay * step if train.optimizer == "sgd" else 0))


def _shape(train: Train, height: float, step: int, steps: int) -> float:
    rise = round(train.warmup * steps)
    if step < rise:
        return train.learning_rate / 10 + (height - train.learning_rate / 10) * (step + 1) / rise
    if train.schedule == "step":
        return height * train.step_factor ** (step // steps // train.step_epochs)
    if train.schedule == "cosine":
        share = (step - rise) / max(1, train.epochs * steps - rise)
        return height * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
    return height
