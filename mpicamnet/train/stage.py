"""The train stage: patches.h5 -> train/model.keras. Collective.

read the table, cut it into train and val -> (members of the `train` communicator) build, go on from train/last, fit -> name the best model.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import config as cfg
from ..errors import UserError
from ..job import Job
from ..ranks import Comm, agree, fence, wait_asleep
from ..ranks.fence import RankFault
from . import checkpoint
from .curves import write_curves, write_history
from .engine import horovod, start_tensorflow
from .feed import Feed
from .loop import Learner, fit, optimizer_of
from .model_file import Card, config_digest, save_model
from .source import open_source
from .split import parts_of
from .table import Table, class_weights, read_table, training_rows
from .zoo import NETWORKS

PHASES = ["feed", "step", "validate", "save", "stage"]


@dataclass(frozen=True)
class Plan:
    """What is trained on: rows of `table` that train and that validate, and what a row of each class counts."""

    table: Table
    rows: npt.NDArray[np.int64]
    val_rows: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]


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
            network = NETWORKS[config.train.model]
            if config.data.patch < network.least:
                raise UserError(f"`data.patch` is {config.data.patch}", "", f"{config.train.model} needs at least {network.least} px")
            table = read_table(job.work / "patches.h5", config.data.patch)
            rows, val_rows = training_rows(table, parts_of(config.data.split, table.slides, config.seed))
            found = Plan(table, rows, val_rows, class_weights(table.label[rows], config.train.balance))
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


def _train(job: Job, plan: Plan, comm: Comm) -> None:
    config, folder = job.config, job.work / "train"
    with fence(comm):
        _, keras = start_tensorflow(config.train.threads, config.infer.ranks_per_device)
    with horovod(comm) as hvd:
        with fence(comm):
            keras.utils.set_random_seed(config.seed % 2**32)
            model = NETWORKS[config.train.model].build(plan.table.patch)
            optimizer = optimizer_of(config.train, keras)
            optimizer.build(model.trainable_variables)
            source = open_source(plan.table, config, job.records)
        feed = Feed(plan.table, source, plan.weights, config.seed, config.train.augment)
        with source:
            best, history = fit(job, Learner(model, optimizer, hvd, comm), feed, plan.rows, plan.val_rows)
        with job.clock.phase("save"), fence(comm, folder):
            if comm.rank == 0:
                for variable, value in zip(model.variables, best, strict=True):
                    variable.assign(value)
                write_history(folder / "history.csv", history)
                write_curves(folder / "curves.png", history, f"{config.train.model}, {plan.table.patch} px")
                save_model(folder / "model.keras", model, _card(job, plan.table), cfg.as_dict(config), job.digest)


def _card(job: Job, table: Table) -> Card:
    config = job.config
    network = NETWORKS[config.train.model]
    known = [s.mpp for s in table.slides if s.mpp is not None]
    mpp = config.data.mpp or (float(np.median(known)) if known else None)
    return Card(config.train.model, table.patch, mpp, config.data.level, "RGB", network.normaliser, "logit", ("normal", "tumour"))
