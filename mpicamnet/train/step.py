"""One step of training, the same on all ranks; and what the network says of px."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .auxiliary import whole_loss
from .dgc import sent_share
from .feed import Batch
from .learner import Learner
from .loss import row_losses
from .reduction import reduced

Loss = Any
Gradients = list[Any]
MOVING = ("moving_mean", "moving_variance")  # of batch normalisation


@dataclass(frozen=True)
class Heard:
    """What a rank knows after a step: the mean loss over all ranks, its own, whether any rank failed or was asked to stop."""

    loss: float
    own: float
    failed: bool
    stop: bool


def train_step(learner: Learner, frozen: bool = False) -> Callable[..., Heard]:
    """step(batch, rate, epoch=0, failed=False, stop=False) -> Heard, with a step of size `rate` taken; collective over the ranks of Horovod.

    `frozen`: the backbone stays as it is. What ranks must tell each other in each step (did one fail to read? was one
    asked to stop? is the loss a number?) travels with the gradients: one meeting of the ranks per step, not three.
    """
    import tensorflow as tf

    train = learner.train
    learner.freeze(frozen)
    forth_and_back, together = local_gradients(learner), reduced_gradients(learner)
    part_of = tf.function(forth_and_back, autograph=False, jit_compile=False, reduce_retracing=True)

    @tf.function(autograph=False, jit_compile=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def last(px: Any, label: Any, weight: Any, before: tuple[Loss, Gradients] | None, rate: Any, share: Any, flags: Any) -> Any:
        loss, grads = _mean_of(before, forth_and_back(px, label, weight), train.accumulate)
        grads, said = together(grads, tf.concat([loss[None], flags], 0), share)
        learner.optimizer.learning_rate.assign(rate)
        learner.optimizer.apply_gradients(zip(grads, learner.model.trainable_variables, strict=True))
        return tf.concat([said, loss[None]], 0)

    def step(batch: Batch, rate: float, epoch: int = 0, failed: bool = False, stop: bool = False) -> Heard:
        *parts, end = zip(*(np.split(a, train.accumulate) for a in (batch.px, batch.label, batch.weight)), strict=True)
        before = None
        for part in parts:
            found = part_of(*part)
            before = found if before is None else (before[0] + found[0], [a + b for a, b in zip(before[1], found[1], strict=True)])
        share = sent_share(train.dgc_sparsity, train.dgc_warmup, epoch)
        mean, any_failed, any_stop, own = last(*end, before, np.float32(rate), np.float32(share), np.array([failed, stop], np.float32)).numpy()
        return Heard(float(mean), float(own), bool(any_failed > 0), bool(any_stop > 0))

    return step


def local_gradients(learner: Learner) -> Callable[[Any, Any, Any], tuple[Loss, Gradients]]:
    """f(px, label, weight) -> mean loss of these rows and its gradients (times the loss scale, where the optimizer has one); of this rank alone.

    Keras variables hide the TensorFlow ones that a tape needs: `.value` is these. The gradients are float32 in every precision.
    """
    import tensorflow as tf

    losses_of = row_losses(learner.train)
    variables = [v.value for v in learner.model.trainable_variables]
    scaled = learner.optimizer.scale_loss if learner.train.precision == "mixed_float16" else lambda loss: loss

    def gradients(px: Any, label: Any, weight: Any) -> tuple[Loss, Gradients]:
        with tf.GradientTape() as tape:
            logits = tf.cast(learner.model(tf.cast(px, tf.float32), training=True), tf.float32)
            loss = whole_loss(lambda z: tf.reduce_mean(weight * losses_of(z, label)), logits)
            target = scaled(loss)
        return loss, [tf.cast(g, tf.float32) for g in tape.gradient(target, variables)]

    return gradients


def reduced_gradients(learner: Learner) -> Callable[[Gradients, Any, Any], tuple[Gradients, Any]]:
    """f(gradients, said, share) -> both as all ranks hold them; collective, inside a tf.function.

    The moving statistics of batch normalisation are averaged as well: each rank has seen other rows, and there is one network.
    """
    import tensorflow as tf

    model, hvd = learner.model, learner.hvd
    moving = [v.value for layer in model.layers if layer.trainable for v in layer.variables if v.path.rsplit("/", 1)[-1] in MOVING]
    moving = moving if hvd.size() > 1 else []

    def together(grads: Gradients, said: Any, share: Any) -> tuple[Gradients, Any]:
        words = said.shape[0]
        message = tf.concat([said, *(tf.reshape(v, [-1]) for v in moving)], 0)
        if learner.residuals is not None:
            grads = learner.residuals.exchanged(hvd, grads, model.trainable_variables, share)
            _, message = reduced(hvd, learner.train, [], message)
        else:
            grads, message = reduced(hvd, learner.train, grads, message)
        means = tf.split(message, [words, *(v.shape.num_elements() for v in moving)])
        for variable, mean in zip(moving, means[1:], strict=True):
            variable.assign(tf.reshape(mean, variable.shape))
        return grads, means[0]

    return together


def averaged_gradients(learner: Learner) -> Callable[..., tuple[Loss, Gradients]]:
    """f(px, label, weight) -> the mean loss over all ranks, and its gradients; collective."""
    forth_and_back, together = local_gradients(learner), reduced_gradients(learner)

    def gradients(px: Any, label: Any, weight: Any) -> tuple[Loss, Gradients]:
        loss, grads = forth_and_back(px, label, weight)
        grads, said = together(grads, loss[None], sent_share(learner.train.dgc_sparsity, learner.train.dgc_warmup, 0))
        return said[0], grads

    return gradients


def _mean_of(before: tuple[Loss, Gradients] | None, last: tuple[Loss, Gradients], parts: int) -> tuple[Loss, Gradients]:
    """Mean over the parts of a batch: the sum over all but the last, and the last."""
    if before is None:
        return last
    return (before[0] + last[0]) / parts, [(a + b) / parts for a, b in zip(before[1], last[1], strict=True)]


def forward_pass(model: Any) -> Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]:
    """f(px uint8 (n, p, p, 3)) -> logits float32 (n,)."""
    import tensorflow as tf

    @tf.function(autograph=False, jit_compile=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def forward(px: Any) -> Any:
        return tf.cast(model(tf.cast(px, tf.float32), training=False)[:, 0], tf.float32)

    return lambda px: np.asarray(forward(px), np.float32)
