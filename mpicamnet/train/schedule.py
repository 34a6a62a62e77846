"""The step size over time."""
from __future__ import annotations

import math

from ..config import Train


def learning_rate(train: Train, ranks: int, step: int, steps: int) -> float:
    """The step size of one step of all.

    The batch grows with the ranks, and so does the step size (Goyal et al. 2017); over the first `warmup` epochs it rises to
    that from a tenth of one rank's. Then it is constant, or falls along half a cosine to a hundredth.

    Parameters
    ----------
    step, steps
        Steps taken since training began, and steps of one epoch.
    """
    full = train.learning_rate * ranks
    rise = round(train.warmup * steps)
    if step < rise:
        return train.learning_rate / 10 + (full - train.learning_rate / 10) * (step + 1) / rise
    if train.schedule == "constant":
        return full
    share = (step - rise) / max(1, train.epochs * steps - rise)
    return full * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * share)))
