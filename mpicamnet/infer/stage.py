"""The infer stage: slides and a network -> infer/predictions.h5 and a heatmap per slide. Collective.

choose slides, look at the model's card -> plan the slides -> (members of the `infer` communicator) in rounds: read, predict, write tiles where
they belong -> in rounds: draw each slide from its tiles -> write predictions.h5 (one rank), named last.
"""
from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from .. import config as cfg
from ..config import Config
from ..errors import SlideError, UserError
from ..job import Job, software
from ..made import recorded
from ..patches.fill import Filler
from ..patches.journal import Mark
from ..patches.plan import Candidates, SlidePlan, digest_of, window_candidates
from ..patches.rows import Reader
from ..patches.stage import NO_TISSUE, make_plans, slide_columns
from ..patches.store import left_behind, partial_path, write_error
from ..patches.units import Units, units_of
from ..ranks import Comm, Progress, Rounds, Standing, agree, fence, reach_of, slowest, wait_asleep
from ..ranks.fence import RankFault
from ..slides import SlideRecord
from ..train import Card, is_given, load_model, normalised, parts_of, read_card
from ..train.ahead import ahead
from ..train.engine import start_tensorflow
from .draw import Drawing
from .network import TURNS, forward_of
from .predict import AHEAD, Network, Outcome, Prediction, read
from .predictions import finish, maps_in_the_making
from .store import Store

PHASES = ["plan", "load", "read", "feed", "predict", "wait", "write", "draw", "finish", "stage"]
UNIT_BATCHES = 2  # of a unit: few, so that work falls evenly on the ranks
ROUND_BYTES = 192 << 20  # of px that a rank sees in a round, at most: long enough to be worth a round, short enough for a signal
LEAST_ROUNDS = 24
OTHER_MPP = 0.1  # a slide whose px are larger or smaller than the model's by more than this share is another matter to the network
Errors = dict[int, SlideError]
Plans = dict[int, SlidePlan]


def run(job: Job) -> None:
    world, members = job.comms.world, job.comms.infer
    with job.clock.phase("stage"):
        model, card, model_digest = _model(job)
        job = dataclasses.replace(job, records=_test_records(job))  # from here on, a slide's number is its place among these
        plans, problems = _of_the_models_resolution(job, card, *make_plans(job, job.config.infer.stride or job.config.data.patch))
        job.signals.stop_here(world)
        error: Exception | None = None
        if members is not None:
            try:
                _infer(job, members, plans, problems, model, card, model_digest)
            except (UserError, RankFault) as e:  # raised by all members alike; the ranks that wait must hear of it too
                error = e
        wait_asleep(world)
        agree(world, error)
        _tell(job, plans, problems)
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


def _of_the_models_resolution(job: Job, card: Card, plans: Plans, problems: Errors) -> tuple[Plans, Errors]:
    """The plans of slides whose px are as large as those the network has learned from; the others are problems. Raises UserError where there are none."""
    fit: Plans = {}
    told = dict(problems)
    for i, plan in plans.items():
        mpp = plan.resolution.mpp
        if mpp is None or card.mpp is None or abs(mpp / card.mpp - 1) <= OTHER_MPP:
            fit[i] = plan
            continue
        told[i] = SlideError(f"it would be read at {mpp:.3g} um per px, and the model was trained at {card.mpp:.3g}", plan.record.name,
                             f"set data.mpp to {card.mpp:.3g}: slides are then resampled" if job.config.data.mpp is None else "set data.mpp to the model's")
    if not fit:
        first = next(e for i, e in told.items() if i in plans)
        raise UserError(first.what, f"{first.where} (and all other slides)" if len(plans) > 1 else first.where, first.mend)
    return fit, dict(sorted(told.items()))


def _infer(job: Job, comm: Comm, plans: Plans, problems: Errors, model: Path, card: Card, model_digest: str) -> None:
    """Predict, draw, write; collective over `comm`."""
    path = job.work / "infer" / "predictions.h5"
    units = units_of([p.windows for p in plans.values()], list(plans), card.patch, UNIT_BATCHES * job.config.infer.batch)
    mark, store = _open_store(job, comm, plans, problems)
    reused = mark.total
    try:
        mark = _predict(job, comm, store, plans, units, model, card, mark)
        _close(comm, store, path)  # what a rank wrote is there for all once all have closed
        store = _reopened(comm, path)
        _draw(job, comm, store, plans, mark)
    except (UserError, RankFault):  # all members have it; anything else is one rank's, and closing with the others would wait for ever
        store.abandon()
        raise
    _close(comm, store, path)
    with job.clock.phase("finish"), fence(comm, path):
        if comm.rank == 0:
            config = job.config
            finish(path, mark.rows, {
                "model_digest": model_digest, "patch": card.patch, "stride": config.infer.stride or card.patch,
                "mpp": np.nan if card.mpp is None else card.mpp, "config": cfg.as_yaml(config), "config_digest": job.digest, "software": software(),
                "blocks_done": mark.total, "blocks_reused": reused})


def _open_store(job: Job, comm: Comm, plans: Plans, problems: Errors) -> tuple[Mark, Store]:
    """The file that an earlier run left with how far it came, or a new one; collective."""
    path = job.work / "infer" / "predictions.h5"
    slides = slide_columns(job, plans, problems)
    found: tuple[Mark | None, str, dict[str, str]] = None, "", {}
    with fence(comm, path):
        if comm.rank == 0:
            maps = maps_in_the_making(path)
            drawn = maps.is_dir()
            maps.mkdir(parents=True, exist_ok=True)
            if path.exists() and recorded(path).config_digest == job.digest:  # it is wanted anew (`--force`): from nothing
                partial_path(path).unlink(missing_ok=True)
            planned, made_with = digest_of(plans), f"{job.digest}, batches of {job.config.infer.batch}"  # which decide the units, and the last bits
            found = *left_behind(path, made_with, planned), {"config_digest": made_with, "plan_digest": planned}
            if found[0] is None:
                for old in maps.iterdir():
                    old.unlink()
            elif not drawn:  # someone removed the maps that the mark tells of
                found = dataclasses.replace(found[0], slides=0), *found[1:]
    mark, why, attributes = comm.bcast(found, root=0)
    if mark is not None:
        if mark.total:
            job.log.say(f"  going on after {mark.total:,} blocks and {mark.rows:,} tiles of an earlier run")
        return mark, _reopened(comm, path)
    if why:
        job.log.say(f"  {why}")
    windows = sum(int(p.windows.sum()) for p in plans.values())
    store = _made_together(comm, path, lambda: Store.create(path, comm, windows, attributes, slides))
    with fence(comm, path):
        if comm.rank == 0:
            store.begin(slides)
    return Mark(), store


def _reopened(comm: Comm, path: Path) -> Store:
    return _made_together(comm, path, lambda: Store.reopen(path, comm))


def _made_together(comm: Comm, path: Path, make: Callable[[], Store]) -> Store:
    """What a collective call gives; where it fails on a rank, all raise the error."""
    store: Store | None = None
    error: Exception | None = None
    try:
        store = make()
    except OSError as e:
        error = write_error(e, path, 1 << 20)
    agree(comm, error)
    assert store is not None
    return store


def _close(comm: Comm, store: Store, path: Path) -> None:
    error: Exception | None = None
    try:
        store.close()
    except OSError as e:
        error = write_error(e, path, 1 << 20)
    agree(comm, error)


def _predict(job: Job, comm: Comm, store: Store, plans: Plans, units: Units, model: Path, card: Card, mark: Mark) -> Mark:
    """Write the tiles of all units, from where `mark` stands; collective."""
    if mark.blocks == len(units):
        return mark
    config, clock = job.config, job.clock
    with clock.phase("load"), fence(comm, model):
        start_tensorflow(config.infer.threads or config.train.threads, config.infer.ranks_per_device)
        forward = forward_of(load_model(model), card.patch)
        network = Network(lambda px: forward(normalised(px, card.stain)), config.infer.batch, TURNS[config.infer.tta])
    reach = reach_of(units.weights)
    progress = Progress(job.log, "windows", int(reach[-1]), done=int(reach[mark.blocks]))
    # Small work in many rounds too: a kill costs a round, and many small pieces even out better than a few large ones.
    largest = int(units.weights.max())
    most = max(largest, min(ROUND_BYTES // (card.patch * card.patch * 3), int(reach[-1]) // (LEAST_ROUNDS * comm.size)))
    rounds: Rounds[Outcome] = Rounds(comm, units.weights, most, clock, job.signals, beforehand=True)
    filler = Filler(config.extract, config.data.reader)
    reader = Reader(_as_pixels(config), plans, _candidates(plans, config), filler)

    def tell(now: Standing) -> None:
        progress.update(int(reach[now.blocks]), units.at(now.blocks, job.records), slowest(now))

    with ahead(read(reader, units, rounds.shares(mark.blocks), card.patch, clock), AHEAD) as rows:
        task = Prediction(comm, store, network, rows, clock, rounds.nudge)
        tiles, _ = rounds.run(task, mark.blocks, np.array([mark.rows, 0]), tell).tolist()
    filler.close()
    return Mark(0, len(units), len(units), tiles, 0)


def _draw(job: Job, comm: Comm, store: Store, plans: Plans, mark: Mark) -> None:
    """Draw the slides that are not drawn yet, one per rank and round; collective."""
    task = Drawing(comm, store, list(plans.values()), job.config, maps_in_the_making(job.work / "infer" / "predictions.h5"), mark, job.clock)
    progress = Progress(job.log, "heatmaps", len(plans), done=mark.slides)
    rounds: Rounds[Errors] = Rounds(comm, np.ones(len(plans), np.int64), 1, job.clock, job.signals)
    rounds.run(task, mark.slides, np.zeros(1, np.int64), lambda now: progress.update(now.blocks, slowest(now)))


def _as_pixels(config: Config) -> Config:
    """The config under which the reader of extraction hands over px, whatever patches.h5 keeps."""
    return dataclasses.replace(config, extract=dataclasses.replace(config.extract, storage="pixels"))


def _candidates(plans: dict[int, SlidePlan], config: Config) -> Callable[[int, int], Candidates]:
    """The windows of a block of a slide, in row order."""
    @functools.lru_cache(maxsize=2)  # the parts of a large block come one after the other
    def candidates(slide: int, block: int) -> Candidates:
        return window_candidates(plans[slide], config, block)

    return candidates


def _tell(job: Job, plans: Plans, problems: Errors) -> None:
    """Say what was made, and name the slides that gave nothing or less; collective."""
    told: tuple[int, Errors] = 0, {}
    with fence(job.comms.world):
        if job.comms.world.rank == 0:
            with h5py.File(job.work / "infer" / "predictions.h5", "r") as f:
                status = [s.decode("utf-8", "replace") for s in f["slides/status"][...]]
                told = len(f["slide"]), {i: SlideError(s, job.records[i].name) for i, s in enumerate(status) if i in plans and s not in ("ok", NO_TISSUE)}
    tiles, bad = job.comms.world.bcast(told, root=0)
    job.leave_out([*problems.values(), *bad.values()])
    job.log.say(f"  {tiles:,} tiles on {len(plans)} slides; heatmaps in {job.work / 'infer' / 'heatmaps'}")
