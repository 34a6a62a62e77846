"""The train stage: patches.h5 -> train/model.keras. Collective.

read the table, cut it into train and val -> (members of the `train` communicator) build, go on from train/last, fit -> name the best model.
"""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .. import config as cfg
from ..errors import UserError
from ..job import Job
from ..ranks import Comm, agree, fence, wait_asleep
from ..ranks.fence import RankFault
from . import checkpoint
from .curves import write_curves, write_history
from .engine import horovod, precision, start_tensorflow
from .feed import Feed
from .learner import assign, learner_of
from .loop import fit
from .model_file import Card, config_digest, save_model
from .order import Order, Pace
from .source import open_source
from .split import parts_of
from .stain import STAINS
from .sync_batchnorm import ordinary, synchronised
from .table import Table, class_weights, read_table, training_rows
from .weights import first_weights, load_weights
from .zoo import NETWORKS

PHASES = ["feed", "step", "validate", "save", "stage"]


@dataclass(frozen=True)
class Plan:
    """What is trained on: rows of `table` that train and that validate, and what a row of each class counts; `start`: file of the first weights."""

    table: Table
    rows: npt.NDArray[np.int64]
    val_rows: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    start: Path | None


def run(job: Job) -> None:
    world, members = job.comms.world, job.comms.train
    with job.clock.phase("stage"):
        plan = _plan(job)
        job.log.say(f"  {len(plan.rows):,} patches train, {len(plan.val_rows):,} validate, of {len(plan.table):,}")
        error: Exception | None = None
        if members is not None:
            try:
                _train(job, plan, members)
            except (UserError, RankFault) as e:  # raised by all members alike; the ranks that wait must hear of it too
                error = e
        wait_asleep(world)
        agree(world, error)
    job.write_timing("train", PHASES)


def _plan(job: Job) -> Plan:
    """The table and its split, read by one rank and told to all; whatever is wrong with them is said here, before any epoch."""
    world, config = job.comms.world, job.config
    found: Plan | None = None
    with fence(world, job.work / "patches.h5"):
        if world.rank == 0:
            start = first_weights(config.train, config.data.patch)
            if start is not None and start.resolve() == (job.work / "train" / "model.keras").resolve():
                raise UserError("training would replace the file that it starts from", start, "copy it elsewhere and set `train.weights` to the copy")
            table = read_table(job.work / "patches.h5", config.data.patch)
            rows, val_rows = training_rows(table, parts_of(config.data.split, table.slides, config.seed))
            found = Plan(table, rows, val_rows, class_weights(table.label[rows], config.train.balance), start)
            (job.work / "train").mkdir(exist_ok=True)
            _make_way(job)
    told: Plan = world.bcast(found, root=0)
    return told


def _make_way(job: Job) -> None:
    """Where this very model is there already, it is wanted anew (`--force`): it goes, and train/last too: training starts from nothing."""
    folder = job.work / "train"
    model = folder / "model.keras"
    if model.exists() and config_digest(model) == job.digest:
        model.unlink()
        (folder / checkpoint.FILE).unlink(missing_ok=True)


def _order(config: cfg.Config, plan: Plan, ranks: int) -> Order:
    """How epochs take the rows; raises UserError where they are fewer than all ranks take in a step."""
    train = config.train
    order = Order(plan.rows, plan.table.label[plan.rows], config.seed, train.balance == "oversample", train.run, train.pool)
    pace = Pace(len(order), train.batch, ranks)
    if pace.steps == 0:
        raise UserError(f"{len(order):,} patches train, and a step takes {pace.together:,} ({train.batch} on each of {ranks} ranks)", "train.batch",
                        "lower it, or take fewer ranks or more patches")
    return order


def _train(job: Job, plan: Plan, comm: Comm) -> None:
    config, train, folder = job.config, job.config.train, job.work / "train"
    order = _order(config, plan, comm.size)
    with fence(comm):
        _, keras = start_tensorflow(train.threads, config.infer.ranks_per_device)
    timeline = folder / "timeline.json.partial" if train.timeline else None
    with horovod(comm, timeline) as hvd:
        with fence(comm):
            keras.utils.set_random_seed(config.seed % 2**32)
            network = NETWORKS[train.model]
            with precision(keras, train.precision):
                model = network.build(plan.table.patch)
            if plan.start is not None and comm.rank == 0:  # the others get them from it: `fit` makes all ranks alike
                job.log.say(f"  starting from {plan.start}: {load_weights(model, plan.start)}")
            model = synchronised(model) if train.sync_batchnorm else model
            learner = learner_of(train, network.trained(model), keras, hvd, comm)
            source = open_source(plan.table, config, job.records)
        feed = Feed(plan.table, source, plan.weights, config.seed, train.augment, STAINS[train.stain], train.readers)
        with source:
            best, history = fit(job, learner, feed, order, plan.val_rows)
        with job.clock.phase("save"), fence(comm, folder):
            if comm.rank == 0:
                assign(learner.model.variables, best)
                write_history(folder / "history.csv", history)
                write_curves(folder / "curves.png", history, f"{train.model}, {plan.table.patch} px")
                plain = train.precision == "float32" and not train.sync_batchnorm
                save_model(folder / "model.keras", model if plain else ordinary(model), _card(job, plan.table), cfg.as_dict(config), job.digest)
    with fence(comm, folder):
        if comm.rank == 0 and timeline is not None:  # Horovod closes it when it ends
            timeline.replace(folder / "timeline.json")


def _card(job: Job, table: Table) -> Card:
    config = job.config
    network = NETWORKS[config.train.model]
    known = [s.mpp for s in table.slides if s.mpp is not None]
    mpp = config.data.mpp or (float(np.median(known)) if known else None)
    return Card(config.train.model, table.patch, mpp, config.data.level, "RGB", network.normaliser, "logit", ("normal", "tumour"), STAINS[config.train.stain])
