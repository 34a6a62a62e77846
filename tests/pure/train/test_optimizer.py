"""Optimizers do what their papers say."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpicamnet.config import Train
from mpicamnet.train.engine import start_tensorflow
from mpicamnet.train.optimizer import optimizer_of


def after(steps: int, grad: float, **how: Any) -> tuple[float, float]:
    """A kernel and a bias that both start at 1, after steps of size 0.1 along a constant gradient."""
    _, keras = start_tensorflow(1)
    layer = keras.layers.Dense(1, kernel_initializer="ones", bias_initializer="ones")
    layer.build((None, 1))
    optimizer = optimizer_of(Train(learning_rate=0.1, **how), keras)
    optimizer.build(layer.trainable_variables)
    for _ in range(steps):
        optimizer.apply_gradients((np.full(v.shape, grad, np.float32), v) for v in layer.trainable_variables)
    return float(layer.kernel.numpy()[0, 0]), float(layer.bias.numpy()[0])


def test_sgd_has_nesterovs_momentum() -> None:
    """v = m v - lr g; w += m v - lr g. By hand, m = 0.9, g = 1: v1 = -0.1, w1 = 1 - 0.09 - 0.1 = 0.81; v2 = -0.19, w2 = 0.81 - 0.171 - 0.1 = 0.539."""
    assert after(1, 1.0)[0] == pytest.approx(0.81)
    assert after(2, 1.0)[0] == pytest.approx(0.539)
    assert after(2, 1.0, momentum=0.0)[0] == pytest.approx(0.8)


def test_adam_steps_by_the_step_size_whatever_the_gradient() -> None:
    assert after(3, 7.0, optimizer="adam") == pytest.approx((0.7, 0.7), abs=1e-5)


def test_adamw_takes_from_weights_and_not_from_biases() -> None:
    """Loshchilov and Hutter 2019: w -= lr x decay x w, beside Adam's own step, which is nothing for a gradient of nothing."""
    assert after(2, 0.0, optimizer="adamw", weight_decay=0.5) == pytest.approx((0.95 ** 2, 1.0))


def test_with_dgc_the_momentum_is_not_taken_twice() -> None:
    assert after(2, 1.0, compression="dgc")[0] == pytest.approx(0.8)


def test_float16_scales_the_loss_and_leaves_out_a_step_that_overflows() -> None:
    _, keras = start_tensorflow(1)
    assert optimizer_of(Train(precision="mixed_float16"), keras).initial_scale > 1
    assert after(1, float("inf"), precision="mixed_float16") == (1.0, 1.0)
