"""The training loop, from top to bottom: the same for one rank and for many.

A step: each rank takes its part of the next rows and finds the gradients of its mean loss; they become one over the ranks; all take the same
step. So weights are the same on all ranks at all times, and rank 0 alone saves and judges.
"""
from __future__ import annotations

import math
import time
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from .. import ranks
from ..errors import STOPPED, UserError
from ..job import Job
from ..ranks import agree, fence
from ..ranks.fence import as_error
from ..ranks.signals import stopped
from ..words import duration
from . import checkpoint
from .ahead import ahead
from .checkpoint import Arrays, Checkpoint, Progress, Row
from .feed import Batch, Feed
from .learner import Learner, arrays_of, assign, held_by_all, hold, tell_all
from .mining import with_hard_rows
from .order import Order, Pace
from .schedule import learning_rate
from .step import Heard, forward_pass, train_step
from .table import Table
from .validate import validate


def fit(job: Job, learner: Learner, feed: Feed, order: Order, val_rows: npt.NDArray[np.int64]) \
        -> tuple[Arrays, list[Row]]:
    """Train over `order` for `train.epochs`, judging on `val_rows` after each; collective over `learner.comm`.

    Goes on from the checkpoint that an earlier run left. Returns, on rank 0, the model's variables where it judged best, and the history;
    on other ranks nothing of use. Raises `stopped()` on all ranks after a signal to any, with the checkpoint saved.
    """
    train, comm, clock = job.config.train, learner.comm, job.clock
    pace = Pace(len(order), train.batch, comm.size)
    done, best = _begin(job, learner)
    forward = forward_pass(learner.model)
    first = done.epoch
    shown = ranks.Progress(job.log, "patches", train.epochs * pace.epoch, first * pace.epoch + done.rows)
    for epoch in range(first, train.epochs):
        if checkpoint.out_of_patience(done.history, train.patience):
            break
        if epoch in (first, train.freeze):  # a graph for each: to make one takes as long as some steps
            step_together = train_step(learner, frozen=epoch < train.freeze)
        begun, so_far = time.monotonic() - done.seconds, f"epoch {epoch + 1} of {train.epochs}"
        start, loss_sum = done.rows // pace.together, done.loss_sum
        order = with_hard_rows(job, comm, forward, feed, order, epoch, begun=done.rows > 0)
        with ahead(feed.epoch(order, pace, epoch, comm.rank, start)) as batches:
            for step in range(start, pace.steps):
                with clock.phase("feed"):
                    batch, error = _next(batches, train.batch, feed.table, comm.rank)
                rate = learning_rate(train, comm.size, epoch * pace.steps + step, pace.steps)
                with clock.phase("step"):
                    heard = step_together(batch, rate, epoch, failed=error is not None, stop=job.signals.caught != 0)
                if heard.failed:
                    agree(comm, error)
                if not math.isfinite(heard.loss):
                    agree(comm, _not_finite(heard, batch, feed.table, f"epoch {epoch + 1}, step {step}, rank {comm.rank}"))
                loss_sum += heard.loss
                clock.count("step", len(batch.rows), batch.px.nbytes)
                shown.update(epoch * pace.epoch + (step + 1) * pace.together, at=f"{so_far}, loss {loss_sum / (step + 1):.4f}")
                if heard.stop:
                    done = Progress(epoch, (step + 1) * pace.together, loss_sum, time.monotonic() - begun, done.history)
                    _save(job, learner, done, best)
                    raise stopped()
        shown.update((epoch + 1) * pace.epoch, at=f"{so_far}, loss {loss_sum / pace.steps:.4f}, validation")
        try:
            with clock.phase("validate"):
                verdict = validate(comm, job.signals, forward, feed, val_rows)
        except UserError as e:  # on all ranks alike
            if e.code == STOPPED:
                done = Progress(epoch, pace.epoch, loss_sum, time.monotonic() - begun, done.history)
                _save(job, learner, done, best)
            raise
        row: Row | None = None
        if verdict is not None:
            row = Row(epoch + 1, loss_sum / pace.steps, verdict.loss, verdict.auc, verdict.accuracy, time.monotonic() - begun)
            _say(job, row, pace)
        done = Progress(epoch + 1, history=[*done.history, comm.bcast(row, root=0)])
        if comm.rank == 0 and checkpoint.kept(done.history) is done.history[-1]:
            best = arrays_of(learner.model.variables)
        with clock.phase("save"):
            _save(job, learner, done, best)
    if len(done.history) < train.epochs:
        job.log.say(f"  no better epoch in {train.patience}: training ends here")
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
                assign(learner.model.variables, state.model)
                assign(learner.optimizer.variables, state.optimizer)
                p = state.progress
                job.log.say(f"  going on from train/last: epoch {min(p.epoch + 1, job.config.train.epochs)}, {p.rows:,} rows of it seen")
    tell_all(learner)
    hold(learner, state.held if state is not None else [])
    progress: Progress = comm.bcast(state.progress if state is not None else Progress(), root=0)
    return progress, state.best if state is not None else []


def _next(batches: Iterator[Batch], many: int, table: Table, rank: int) -> tuple[Batch, Exception | None]:
    """The next batch; where it cannot be had, an empty one and why: this rank takes the step with the others, who hear of it there."""
    try:
        return next(batches), None
    except Exception as e:
        nothing = np.zeros(many, np.float32)
        px = np.zeros((many, table.patch, table.patch, 3), np.uint8)
        return Batch(px, nothing, nothing, np.zeros(0, np.int64)), as_error(e, table.path, rank)


def _not_finite(heard: Heard, batch: Batch, table: Table, where: str) -> UserError | None:
    """The error of a rank whose own loss is not a number; names the rows."""
    if math.isfinite(heard.own):
        return None
    rows = "; ".join(f"slide {table.slides[s].name}: " + ", ".join(f"{row} at ({table.xy[row, 0]}, {table.xy[row, 1]})" for row in
                                                                  np.unique(batch.rows[table.slide[batch.rows] == s]))
                     for s in np.unique(table.slide[batch.rows]))
    return UserError(f"the loss is {heard.own}", f"{where}, rows of patches.h5 {rows}", "lower `train.learning_rate`, or look at these rows")


def _save(job: Job, learner: Learner, done: Progress, best: Arrays) -> None:
    held = held_by_all(learner)
    with fence(learner.comm, job.work / "train"):
        if learner.comm.rank == 0:
            state = Checkpoint(done, arrays_of(learner.model.variables), arrays_of(learner.optimizer.variables), best, held)
            checkpoint.save(job.work / "train", job.digest, state)


def _say(job: Job, row: Row, pace: Pace) -> None:
    rate = pace.epoch / max(row.seconds, 1e-9)
    job.log.say(f"  epoch {row.epoch} of {job.config.train.epochs}: loss {row.loss:.4f}; validation loss {row.val_loss:.4f}, "
                f"AUC {row.val_auc:.4f}, accuracy {row.val_accuracy:.3f}; {duration(row.seconds)}, {rate:,.0f} patches/s")
