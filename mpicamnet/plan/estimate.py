"""What each stage takes: seconds, bytes and memory, as functions of the work, the config and the number of ranks."""
from __future__ import annotations

import math
from dataclasses import dataclass, replace

from ..config import Config
from ..infer.network import TURNS
from ..patches.units import held_rows, unit_rows
from ..timings import StageTime, likeness
from . import costs
from .work import Work

MIB = 1 << 20


@dataclass(frozen=True)
class Estimate:
    """`work` in words; `seconds`, of which `start` do not shrink with ranks; `size` bytes that it leaves; `memory` bytes of a rank; `items` as
    the stage's `phase` counts them in timing.jsonl; `timed`: the seconds come from there. `left`: bytes that the process does not give back after it."""

    stage: str
    work: str
    seconds: float
    start: float
    size: float
    memory: float
    phase: str
    items: int
    timed: bool = False
    left: float = 0.0


def estimates(work: Work, config: Config, ranks: int, network: str) -> list[Estimate]:
    """All stages in order, by the defaults of `costs`; `network` is the one that infers."""
    return [extract(work, config, ranks), train(work, config, ranks), infer(work, config, ranks, network), evaluate(work, config, ranks),
            explain(work, config, ranks, network), report(work, config, ranks)]


def extract(work: Work, config: Config, ranks: int) -> Estimate:
    """By px that are read; random sampling reads the file tiles around each patch, to judge it and to keep it."""
    side, keys = config.data.patch, config.extract
    if keys.sampling == "dense":
        px, words = work.windows * side**2, f"{work.windows:,} windows"
    else:
        around = round(work.rows / max(work.passing, 0.01) * (side + costs.FILE_TILE) ** 2)
        px, words = 2 * min(around, work.tissue), f"{work.slides:,} slides, {keys.per_class:,} of a class"
    seconds = costs.EXTRACT_START + (work.slides * costs.SLIDE_SECONDS + px / costs.PX_PER_SECOND) / ranks
    held = min(2, ranks) * held_rows(keys.buffer, side) if keys.storage == "pixels" else unit_rows(side)
    chunk = keys.chunk * MIB  # the last is as large as the others
    size = math.ceil(work.rows * work.px / chunk) * chunk + work.rows * costs.COLUMNS + costs.PATCHES_HEAD
    left = held * side**2 * 3 + keys.cache * MIB
    return Estimate("extract", words, seconds, costs.EXTRACT_START, size, costs.PYTHON + left, "plan", work.windows, left=left)


def training_ranks(config: Config, ranks: int) -> int:
    """How many of all ranks train, where there are no GPUs."""
    return min(ranks, config.train.ranks or ranks)


def train(work: Work, config: Config, ranks: int) -> Estimate:
    """By rows that are looked at. An epoch in which only the head learns costs what looking costs, and so does validation."""
    keys, side = config.train, config.data.patch
    network, ranks = costs.of(keys.model), training_ranks(config, ranks)
    together = keys.batch * ranks
    rows = work.train // together * together
    frozen = min(keys.freeze, keys.epochs)
    area = costs.area(side)
    core = area / keys.threads * (rows * ((keys.epochs - frozen) / network.train + frozen / network.forward)
                                  + keys.epochs * work.val / network.forward)
    start = network.train_start * (2 if 0 < frozen < keys.epochs else 1)
    optimizer = 1 if keys.optimizer == "sgd" else 2
    copies = 4.0 * network.parameters * (2 + optimizer)  # in train/last: the model, the best one, and the optimizer's
    pool = 2 * keys.run * keys.pool / ranks * side * side * 3
    memory = network.train_held + network.train_patch * area * max(1, keys.batch // keys.accumulate) + pool + copies + keys.fusion_mb * MIB
    size = 4.0 * network.parameters + copies + costs.TRAIN_FILES
    return Estimate("train", f"{rows:,} rows x {keys.epochs} epochs", start + core / ranks, start, size, memory, "step", rows * keys.epochs,
                    left=network.train_held - network.forward_held)


def infer(work: Work, config: Config, ranks: int, network: str) -> Estimate:
    """By tiles; then each slide is drawn by one rank."""
    keys, side = config.infer, config.data.patch
    cost, area = costs.of(network), costs.area(side)
    threads = keys.threads or config.train.threads
    looked = work.tiles * len(TURNS[keys.tta]) * area / cost.forward / threads
    drawn = work.tested * costs.SLIDE_DRAWN + work.raster * costs.RASTER_PX
    px = 3 * 2 * keys.batch * side * side * 3  # units of two batches: one is read, one waits, one is in the network
    memory = cost.forward_held + cost.forward_patch * area * keys.batch + px + config.extract.cache * MIB
    size = work.tiles * costs.TILE + work.tested * costs.SLIDE_FILES + work.raster * costs.RASTER_BYTES
    return Estimate("infer", f"{work.tiles:,} tiles of {work.tested:,} slides", cost.forward_start + (looked + drawn) / ranks, cost.forward_start, size,
                    memory, "predict", work.tiles)


def evaluate(work: Work, config: Config, ranks: int) -> Estimate:
    """By resamplings of the tiles."""
    keys = config.evaluate
    each = costs.REPLICATE + work.tiles * costs.REPLICATE_TILE
    memory = costs.PYTHON + work.tiles * costs.TILE_HELD
    return Estimate("evaluate", f"{keys.bootstrap:,} resamplings", costs.EVALUATE_START + keys.bootstrap * each / ranks, costs.EVALUATE_START,
                    costs.EVALUATE_FILES, memory, "stage", 0)


def explain(work: Work, config: Config, ranks: int, network: str) -> Estimate:
    """By perturbed pictures (LIME), panels, and patches whose concepts are measured."""
    keys, side = config.explain, config.data.patch
    cost, area = costs.of(network), costs.area(side)
    panels = work.explained if set(keys.methods) - {"rcv"} else 0
    pictures = panels * keys.lime.samples * len(keys.lime.seeds) if "lime" in keys.methods else 0
    core = area * (pictures / cost.forward / (config.infer.threads or config.train.threads) + work.measured * costs.CONCEPTS) + panels * costs.PANEL
    start = cost.forward_start + (costs.REGRESS if work.measured else 0) + (costs.SANITY * keys.sanity if panels else 0)
    memory = cost.forward_held + cost.forward_patch * area * keys.batch
    size = panels * (costs.PANEL_BYTES + costs.MAPS_PX * side * side) + (costs.CONCEPT_FILES if work.measured else 0)
    words = ", ".join(w for n, w in ((pictures, f"{pictures:,} perturbed pictures"), (panels, f"{panels:,} panels"), (work.measured, "concepts of "
                      f"{work.measured:,} patches")) if n)
    phase, items = ("lime", pictures) if pictures else ("measure", work.measured)
    return Estimate("explain", words or "nothing", start + core / ranks, start, size, memory, phase, items)


def report(work: Work, config: Config, ranks: int) -> Estimate:
    """By cards of slides; the pictures of the other stages are made smaller by one rank."""
    panels = min(work.explained, costs.MOST_PANELS) if set(config.explain.methods) - {"rcv"} else 0
    start = costs.REPORT_START + panels * costs.PANEL_SHRUNK
    size = min(costs.REPORT_MOST, costs.REPORT_FILE + panels * costs.PANEL_SHOWN + work.slides * costs.CARD)
    return Estimate("report", f"{work.slides:,} slides", start + work.slides * costs.CARD_SECONDS / ranks, start, size, costs.PYTHON, "draw", work.slides)


def by_last(now: Estimate, last: StageTime | None, config: Config, ranks: int) -> Estimate:
    """The estimate with the seconds and the memory of the last time, where that was like today: what is done again is scaled by items and ranks."""
    if last is None or not last.like or last.like != likeness(now.stage, config):
        return now
    before = last.ranks  # of the program; those that train may be fewer
    if now.stage == "train":
        before, ranks = training_ranks(config, before), training_ranks(config, ranks)
    start = min(now.start, 0.9 * last.seconds)
    then = last.items(now.phase)
    more = now.items / then if then and now.items else 1.0
    seconds = start + (last.seconds - start) * more * before / ranks
    return Estimate(now.stage, now.work, seconds, start, now.size, last.memory or now.memory, now.phase, now.items, True, now.left)


def in_one_process(todo: list[Estimate]) -> list[Estimate]:
    """Stages that one `run` does, one after the other: their memory is the most since it began, as timing.jsonl has it."""
    found: list[Estimate] = []
    carried, most = 0.0, 0.0
    for e in todo:
        most = max(most, e.memory if e.timed else e.memory + carried)
        carried += e.left
        found.append(replace(e, memory=most))
    return found
