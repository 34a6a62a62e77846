"""The training loop, from top to bottom: the same for one rank and for many.

A step: each rank takes its part of the next rows, finds the gradients of its mean loss; Horovod averages them over the ranks; all take the
same step. So weights are the same on all ranks at all times, and rank 0 alone keeps, saves and judges.
"""
from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import Train
from ..errors import STOPPED, UserError
from ..job import Job
from ..ranks import Comm, Signals, fence
from ..ranks.signals import stopped
from ..words import duration
from . import checkpoint
from .ahead import ahead
from .checkpoint import Arrays, Checkpoint, Progress, Row
from .feed import Feed
from .judge import Verdict, judge
from .mining import with_hard_rows
from .order import Order, Pace
from .schedule import learning_rate
from .scoring import Forward, logits_of


@dataclass(frozen=True)
class Learner:
    """A network with its optimizer, and Horovod to keep it the same on all ranks of `comm`."""

    model: Any
    optimizer: Any
    hvd: Any
    comm: Comm


def optimizer_of(train: Train, keras: Any) -> Any:
    if train.optimizer == "adam":
        return keras.optimizers.Adam(train.learning_rate)
    return keras.optimizers.SGD(train.learning_rate, momentum=train.momentum, nesterov=True)


def fit(job: Job, learner: Learner, feed: Feed, order: Order, val_rows: npt.NDArray[np.int64]) \
        -> tuple[Arrays, list[Row]]:
    """Train over `order` for `train.epochs`, judging on `val_rows` after each; collective over `learner.comm`.

    Goes on from the checkpoint that an earlier run left. Returns, on rank 0, the model's variables where it judged best, and the history;
    on other ranks nothing of use. Raises `stopped()` on all ranks after a signal to any, with the checkpoint saved.
    """
    train, comm, clock = job.config.train, learner.comm, job.clock
    pace = Pace(len(order), train.batch, comm.size)
    done, best = _begin(job, learner)
    step_together, forward = train_step(learner), forward_pass(learner.model)
    for epoch in range(done.epoch, train.epochs):
        begun = time.monotonic() - done.seconds
        start = done.rows // pace.together
        order = with_hard_rows(job, comm, forward, feed, order, epoch, begun=done.rows > 0)
        loss, loss_sum = 0.0, done.loss_sum if comm.rank == 0 else 0.0
        with ahead(feed.epoch(order, pace, epoch, comm.rank, start)) as batches:
            for step in range(start, pace.steps):
                with clock.phase("feed"), fence(comm, feed.table.path):
                    _check_loss(loss, epoch, step)
                    batch = next(batches)
                if job.signals.any_stopped(comm):
                    summed = comm.allreduce(loss_sum)
                    taken = time.monotonic() - begun
                    _save(job, learner, Progress(epoch, step * pace.together, summed, taken, done.history), best)
                    raise stopped()
                learner.optimizer.learning_rate = learning_rate(train, comm.size, epoch * pace.steps + step, pace.steps)
                with clock.phase("step"):
                    loss = float(step_together(batch.px, batch.label, batch.weight))
                loss_sum += loss
                clock.count("step", len(batch.rows), batch.px.nbytes)
        with fence(comm):
            _check_loss(loss, epoch, pace.steps)
        mean_loss = comm.allreduce(loss_sum) / (pace.steps * comm.size)
        try:
            with clock.phase("validate"):
                verdict = validate(comm, job.signals, forward, feed, val_rows)
        except UserError as e:  # on all ranks alike
            if e.code == STOPPED:
                summed, taken = comm.allreduce(loss_sum), time.monotonic() - begun
                _save(job, learner, Progress(epoch, pace.steps * pace.together, summed, taken, done.history), best)
            raise
        if comm.rank == 0 and verdict is not None:
            row = Row(epoch + 1, mean_loss, verdict.loss, verdict.auc, verdict.accuracy, time.monotonic() - begun)
            _say(job, row, pace)
            done = Progress(epoch + 1, history=[*done.history, row])
            if checkpoint.kept(done.history) is row:
                best = _arrays(learner.model.variables)
        else:
            done = Progress(epoch + 1)
        with clock.phase("save"):
            _save(job, learner, done, best)
    return best, done.history


def _begin(job: Job, learner: Learner) -> tuple[Progress, Arrays]:
    """The state to go on from, the same on all ranks: a checkpoint's, or the start."""
    comm = learner.comm
    state: Checkpoint | None = None
    with fence(comm, job.work / "train"):
        if comm.rank == 0:
            state, why = checkpoint.load(job.work / "train", job.digest)
            if why:
                job.log.say(f"  {why}")
            if state is not None:
                _assign(learner.model.variables, state.model)
                _assign(learner.optimizer.variables, state.optimizer)
                p = state.progress
                job.log.say(f"  going on from train/last: epoch {min(p.epoch + 1, job.config.train.epochs)}, {p.rows:,} rows of it seen")
    learner.hvd.broadcast_variables([v.value for v in learner.model.variables + learner.optimizer.variables], root_rank=0)
    progress: Progress = comm.bcast(state.progress if state is not None else Progress(), root=0)
    return progress, state.best if state is not None else []


def train_step(learner: Learner) -> Callable[..., Any]:
    """step(px, label, weight) -> this rank's loss before the step; collective over the ranks of Horovod."""
    import tensorflow as tf

    gradients = averaged_gradients(learner)

    @tf.function(jit_compile=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def step(px: Any, label: Any, weight: Any) -> Any:
        loss, grads = gradients(px, label, weight)
        learner.optimizer.apply_gradients(zip(grads, learner.model.trainable_variables, strict=True))
        return loss

    return step  # type: ignore[no-any-return]


def averaged_gradients(learner: Learner) -> Callable[..., tuple[Any, list[Any]]]:
    """f(px, label, weight) -> this rank's mean loss, and the gradients of the mean over all ranks; collective.

    Keras variables hide the TensorFlow ones that Horovod needs: `.value` is these. One group: all gradients travel in one reduction, so
    that the order of its sums is the same in every run.
    """
    import tensorflow as tf

    weights = [v.value for v in learner.model.trainable_variables]

    def gradients(px: Any, label: Any, weight: Any) -> tuple[Any, list[Any]]:
        with tf.GradientTape() as tape:
            logit = learner.model(tf.cast(px, tf.float32), training=True)[:, 0]
            loss = tf.reduce_mean(weight * tf.nn.sigmoid_cross_entropy_with_logits(labels=label, logits=logit))
        tape = learner.hvd.DistributedGradientTape(tape, op=learner.hvd.Average, num_groups=1)
        return loss, tape.gradient(loss, weights)

    return gradients


def forward_pass(model: Any) -> Forward:
    """f(px uint8 (n, p, p, 3)) -> logits float32 (n,)."""
    import tensorflow as tf

    @tf.function(jit_compile=False, reduce_retracing=True)  # type: ignore[untyped-decorator]
    def forward(px: Any) -> Any:
        return model(tf.cast(px, tf.float32), training=False)[:, 0]

    return lambda px: np.asarray(forward(px), np.float32)


def validate(comm: Comm, signals: Signals, forward: Forward, feed: Feed, rows: npt.NDArray[np.int64]) -> Verdict | None:
    """How the network judges `rows`, on rank 0; collective."""
    every = logits_of(comm, signals, forward, feed, rows)
    verdict: Verdict | None = None
    with fence(comm):
        if every is not None:
            if not np.isfinite(every).all():
                raise UserError("the network says nothing finite of the validation rows", "", "lower `train.learning_rate`")
            label = feed.table.label[rows]
            verdict = judge(every, label, feed.weights[label])
    return verdict


def _check_loss(loss: float, epoch: int, step: int) -> None:
    if not math.isfinite(loss):
        raise UserError(f"the loss is {loss}", f"epoch {epoch + 1}, step {step}", "lower `train.learning_rate`, or look at these rows")


def _save(job: Job, learner: Learner, done: Progress, best: Arrays) -> None:
    with fence(learner.comm, job.work / "train"):
        if learner.comm.rank == 0:
            state = Checkpoint(done, _arrays(learner.model.variables), _arrays(learner.optimizer.variables), best)
            checkpoint.save(job.work / "train", job.digest, state)


def _say(job: Job, row: Row, pace: Pace) -> None:
    rate = pace.steps * pace.together / max(row.seconds, 1e-9)
    job.log.say(f"  epoch {row.epoch} of {job.config.train.epochs}: loss {row.loss:.4f}; validation loss {row.val_loss:.4f}, "
                f"AUC {row.val_auc:.4f}, accuracy {row.val_accuracy:.3f}; {duration(row.seconds)}, {rate:,.0f} patches/s")


def _arrays(variables: list[Any]) -> Arrays:
    return [np.array(v.numpy()) for v in variables]


def _assign(variables: list[Any], arrays: Arrays) -> None:
    for v, a in zip(variables, arrays, strict=True):
        v.assign(a)
