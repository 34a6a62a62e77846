"""The optimizer that the config asks for."""
from __future__ import annotations

from typing import Any

from ..config import Train


def optimizer_of(train: Train, keras: Any) -> Any:
    """A Keras optimizer, not yet built; its step size is set anew in each step (see schedule).

    With `mixed_float16` it is wrapped by one that scales the loss, so that small gradients do not vanish, and leaves out steps whose gradients
    overflow. With `compression: dgc` the momentum is in the compression: the optimizer has none.
    """
    optimizer = _plain(train, keras)
    return keras.optimizers.LossScaleOptimizer(optimizer) if train.precision == "mixed_float16" else optimizer


def _plain(train: Train, keras: Any) -> Any:
    if train.optimizer == "adam":
        return keras.optimizers.Adam(train.learning_rate)
    if train.optimizer == "adamw":
        optimizer = keras.optimizers.AdamW(train.learning_rate, weight_decay=train.weight_decay)
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
        return optimizer
    momentum = 0.0 if train.compression == "dgc" else train.momentum
    return keras.optimizers.SGD(train.learning_rate, momentum=momentum, nesterov=momentum > 0)
