"""The infer stage: slides and a network -> infer/predictions.h5 and a picture per slide. Collective.

choose slides, look at the model's card -> plan the slides -> (members of the `infer` communicator) in rounds: read, predict -> gather to
each slide's owner, who draws -> write all probabilities (one rank), named last.
"""
from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np

from .. import config as cfg
from ..config import Config
from ..errors import SlideError, UserError
from ..job import Job, software
from ..patches.fill import Filler
from ..patches.plan import Candidates, SlidePlan, window_candidates
from ..patches.rows import Reader
from ..patches.schema import statuses
from ..patches.stage import make_plans, slide_columns
from ..patches.units import unit_rows, units_of
from ..ranks import Comm, Progress, Rounds, agree, fence, gather_rows, wait_asleep
from ..ranks.fence import RankFault
from ..slides import SlideRecord
from ..train import Card, is_given, load_model, normalised, parts_of, read_card
from ..train.engine import start_tensorflow
from ..train.step import forward_pass
from .heatmap import heatmap
from .picture import write_picture
from .predict import COLUMNS, Predicted, Prediction
from .predictions import write_predictions

PHASES = ["plan", "load", "read", "predict", "wait", "gather", "draw", "finish", "stage"]
UNITS_AT_ONCE = 4  # of a rank in a round, where slides are that large: long enough to be worth a round, short enough for a signal
Errors = dict[int, SlideError]


def run(job: Job) -> None:
    world, members = job.comms.world, job.comms.infer
    with job.clock.phase("stage"):
        model, card, model_digest = _model(job)
        job = dataclasses.replace(job, records=_test_records(job))  # from here on, a slide's number is its place among these
        plans, problems = make_plans(job, job.config.infer.stride or job.config.data.patch)
        error: Exception | None = None
        bad: Errors = {}
        if members is not None:
            try:
                bad = _infer(job, members, plans, problems, model, card, model_digest)
            except (UserError, RankFault) as e:  # raised by all members alike; the ranks that wait must hear of it too
                error = e
        wait_asleep(world)
        agree(world, error)
        told: Errors = {i: e for part in world.allgather(bad) for i, e in part.items()}  # also to ranks that are no members
        job.leave_out([*problems.values(), *told.values()])
    job.write_timing("infer", PHASES, "predict")


def _model(job: Job) -> tuple[Path, Card, str]:
    """The model's file, card and digest, read by one rank and told to all."""
    config = job.config
    path = Path(config.infer.model) if config.infer.model is not None else job.work / "train" / "model.keras"
    found: tuple[Path, Card, str] | None = None
    with fence(job.comms.world, path):
        if job.comms.world.rank == 0:
            card, digest = read_card(path)
            if card.patch != config.data.patch:
                raise UserError(f"the model takes patches of {card.patch} px, and `data.patch` is {config.data.patch}", path,
                                "make them equal, or train a model of this size")
            found = path, card, digest
    told: tuple[Path, Card, str] = job.comms.world.bcast(found, root=0)
    return told


def _test_records(job: Job) -> list[SlideRecord]:
    """The slides of the split's test, in catalogue order; all slides where no split is given."""
    split = job.config.data.split
    if not is_given(split):
        return job.records
    test = parts_of(split, job.records, job.config.seed).test  # the same on all ranks, and so is its error
    if len(test) == 0:
        raise UserError("no slides are in the split's test", "data.split.test", "name some: infer works on these")
    return [job.records[i] for i in test]


def _infer(job: Job, comm: Comm, plans: dict[int, SlidePlan], problems: Errors, model: Path, card: Card, model_digest: str) -> Errors:
    """Predict, draw, write; returns on all members why tiles of a slide could not be read. Collective over `comm`."""
    config, clock = job.config, job.clock
    with clock.phase("load"), fence(comm, model):
        start_tensorflow(config.infer.threads)
        network = forward_pass(load_model(model))
    units = units_of([p.windows for p in plans.values()], list(plans), card.patch)
    filler = Filler(config.extract, config.data.reader)
    reader = Reader(_as_pixels(config), plans, _candidates(plans, config), filler)
    task = Prediction(units, reader, lambda px: network(normalised(px, card.stain)), config.infer.batch, card.patch, clock)
    progress = Progress(job.log, "windows", int(units.weights.sum()))
    reach = np.concatenate(([0], np.cumsum(units.weights)))
    rounds: Rounds[Predicted] = Rounds(comm, units.weights, UNITS_AT_ONCE * unit_rows(card.patch), clock, job.signals)
    try:
        rounds.run(task, 0, np.zeros(1, np.int64), lambda blocks: progress.update(int(reach[blocks])))
    finally:
        filler.close()
    with clock.phase("gather"):
        owned = _to_owners(comm, Predicted.join(task.parts))
        bad: Errors = {}
        for part in comm.allgather(reader.errors):
            bad.update({i: e for i, e in part.items() if i not in bad})
    folder = job.work / "infer" / "heatmaps"
    with clock.phase("draw"), fence(comm, folder):
        for i in (i for i in plans if i % comm.size == comm.rank):
            tiles = owned.take(owned.slide == i)
            picture = folder / f"{plans[i].record.name}.png"
            write_picture(picture, plans[i], heatmap(plans[i].grid, tiles.xy, tiles.prob), config.data.reader, config.evaluate.threshold)
    with clock.phase("finish"):
        tiles = _gathered(comm, owned, 0).in_order()
        with fence(comm, job.work / "infer"):
            if comm.rank == 0:
                _write(job, plans, problems, bad, tiles, card, model_digest)
    return bad


def _as_pixels(config: Config) -> Config:
    """The config under which the reader of extraction hands over px, whatever patches.h5 keeps."""
    return dataclasses.replace(config, extract=dataclasses.replace(config.extract, storage="pixels"))


def _candidates(plans: dict[int, SlidePlan], config: Config) -> Callable[[int, int], Candidates]:
    """The windows of a block of a slide, in row order."""
    @functools.lru_cache(maxsize=2)  # the parts of a large block come one after the other
    def candidates(slide: int, block: int) -> Candidates:
        return window_candidates(plans[slide], config, block)

    return candidates


def _to_owners(comm: Comm, mine: Predicted) -> Predicted:
    """The tiles of the slides that this rank owns, from all ranks; collective."""
    owned = Predicted.join([])
    for owner in range(comm.size):
        got = _gathered(comm, mine.take(mine.slide % comm.size == owner), owner)
        if comm.rank == owner:
            owned = got
    return owned


def _gathered(comm: Comm, mine: Predicted, root: int) -> Predicted:
    """All ranks' tiles on `root`, none elsewhere; collective."""
    columns = {name: gather_rows(comm, getattr(mine, name), root) for name in COLUMNS}
    there = {name: c for name, c in columns.items() if c is not None}
    return Predicted(**there) if there else Predicted.join([])


def _write(job: Job, plans: dict[int, SlidePlan], problems: Errors, bad: Errors, tiles: Predicted, card: Card, model_digest: str) -> None:
    config = job.config
    slides = slide_columns(job, plans, problems)
    slides["status"] = statuses([str(bad[i]) if i in bad else s.decode() for i, s in enumerate(slides["status"])])
    attributes = {"model_digest": model_digest, "patch": card.patch, "stride": config.infer.stride or card.patch,
                  "mpp": np.nan if card.mpp is None else card.mpp, "config": cfg.as_yaml(config), "config_digest": job.digest,
                  "software": software()}
    names = {f"{p.record.name}.png" for p in plans.values()}
    for old in (job.work / "infer" / "heatmaps").glob("*.png"):
        if old.name not in names:  # of an earlier run, over other slides
            old.unlink()
    write_predictions(job.work / "infer" / "predictions.h5", tiles, slides, attributes)
    job.log.say(f"  {len(tiles):,} tiles on {len(plans)} slides; pictures in {job.work / 'infer' / 'heatmaps'}")
