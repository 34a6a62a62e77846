"""What a row costs: cross-entropy, or focal loss."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..config import Train


def row_losses(train: Train) -> Callable[[Any, Any], Any]:
    """f(logit, label) -> loss of each row; float32 tensors (b,). TensorFlow must have been started."""
    if train.loss == "focal":
        return lambda logit, label: focal(logit, label, train.focal_gamma, train.focal_alpha)
    return cross_entropy


def cross_entropy(logit: Any, label: Any) -> Any:
    """-log p of the true class, float32 (b,)."""
    import tensorflow as tf

    return tf.nn.sigmoid_cross_entropy_with_logits(labels=label, logits=logit)


def focal(logit: Any, label: Any, gamma: float, alpha: float) -> Any:
    """-a (1 - p)^gamma log p, float32 (b,): p is the probability given to the true class, a is `alpha` for tumour and 1 - alpha for normal.

    Lin et al. 2017, "Focal loss for dense object detection", equation 5.
    """
    import tensorflow as tf

    log_p = -cross_entropy(logit, label)
    signed = logit * (2 * label - 1)  # of the true class
    share = alpha * label + (1 - alpha) * (1 - label)
    # (1 - p)^gamma by its logarithm: the power itself has no gradient at p = 1 where gamma < 1
    return -share * tf.exp(gamma * tf.math.log_sigmoid(-signed)) * log_p
