"""What a row costs."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.config import Train
from mpicamnet.train.engine import start_tensorflow
from mpicamnet.train.loss import focal, row_losses


def losses(logit: list[float], label: list[float], **how: object) -> npt.NDArray[np.float32]:
    start_tensorflow(1)
    found: npt.NDArray[np.float32] = row_losses(Train(**how))(np.float32(logit), np.float32(label)).numpy()  # type: ignore[arg-type]
    return found


def test_focal_loss_is_the_papers() -> None:
    """Equation 5 by hand: p = 0.9 for tumour: 0.25 x 0.1^2 x -ln 0.9 = 2.634e-4; p = 0.2 for normal (0.8 tumour): 0.75 x 0.8^2 x -ln 0.2 = 0.77253."""
    logit = [float(np.log(0.9 / 0.1)), float(np.log(0.8 / 0.2))]
    assert losses(logit, [1, 0], loss="focal", focal_gamma=2, focal_alpha=0.25) == pytest.approx([2.6340e-4, 0.772530], rel=1e-4)


def test_focal_loss_without_focus_is_half_the_cross_entropy() -> None:
    logit, label = [-3.0, 0.5, 8.0], [1.0, 0.0, 1.0]
    plain = losses(logit, label)
    assert plain == pytest.approx([np.log1p(np.exp(3)), np.log1p(np.exp(0.5)), np.log1p(np.exp(-8))], rel=1e-5)
    assert losses(logit, label, loss="focal", focal_gamma=0, focal_alpha=0.5) == pytest.approx(plain / 2, rel=1e-6)


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_loss_has_a_gradient_however_sure_the_network_is(gamma: float) -> None:
    tf, _ = start_tensorflow(1)
    z = tf.Variable([-200.0, -1.0, 1.0, 200.0])
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(focal(z, tf.constant([1.0, 0.0, 1.0, 1.0]), gamma, 0.25))
    grad = tape.gradient(loss, z).numpy()
    assert np.isfinite(grad).all()
    assert grad[0] == pytest.approx(-0.25, rel=1e-3)  # far on the wrong side the loss is -a z
    assert grad[3] == 0
