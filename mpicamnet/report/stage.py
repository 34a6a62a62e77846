"""The report stage: what the others left in `work` -> report.html. Collective.

read (one rank) -> cards, each slide's pictures drawn by one rank, in turn -> page (one rank).
"""
from __future__ import annotations

import os
import time
from pathlib import Path

from .. import config as cfg
from ..job import Job
from ..ranks import fence
from ..timings import read_timings
from ..train import read_card
from .card import Card, draw_card
from .montage import montage_tiles
from .page import Found, page
from .picture import Picture, drawing
from .source import read_csv, read_json, read_places, read_slides, software_of

PHASES = ["read", "draw", "cards", "page", "stage"]
# Bytes before base64 adds a third: 50 slides stay below 15 MB. With more slides each gets less.
CARDS, CARD = 7_000_000, 140_000
FIGURES = {"train/curves.png": 80_000, "evaluate/roc.png": 60_000, "evaluate/pr.png": 60_000, "evaluate/froc.png": 60_000,
           "evaluate/calibration.png": 60_000, "explain/rcv_r2.png": 100_000, "explain/rcv_relevance.png": 150_000, "explain/concepts.png": 500_000}
FIGURE_SIDE = 1400
PANELS, PANEL = 24, 60_000
PANEL_SIDE = 1200


def run(job: Job) -> None:
    world = job.comms.world
    with job.clock.phase("stage"):
        with job.clock.phase("read"):
            read: Found | None = None
            with fence(world, job.work):
                if world.rank == 0:
                    read = _read(job)
            found = world.bcast(read, root=0)
        with job.clock.phase("cards"):
            cards = _cards(job, found)
        with job.clock.phase("page"), fence(world, job.work / "report.html"):
            if world.rank == 0:
                _write(job, found, cards)
    job.write_timing("report", PHASES, "draw")


def _read(job: Job) -> Found:
    """By one rank."""
    config, work = job.config, job.work
    patches, predictions, attributions = work / "patches.h5", work / "infer" / "predictions.h5", work / "explain" / "attributions.h5"
    model = Path(config.infer.model) if config.infer.model is not None else work / "train" / "model.keras"
    predicted = read_slides(predictions) if predictions.is_file() else None
    explained = attributions.is_file()
    panels = sorted((work / "explain" / "panels").glob("*.png")) if explained else []
    software: dict[str, str] = {}
    for path in (patches, predictions, attributions):
        if path.is_file():
            software |= software_of(path)
    evaluation = read_json(work / "evaluate" / "evaluation.json")
    return Found(
        work.name, cfg.as_yaml(config), config.evaluate.threshold, config.data.patch, read_slides(patches), predicted,
        read_card(model)[0] if model.is_file() else None, evaluation, read_csv(work / "train" / "history.csv"),
        read_json(work / "explain" / "rcv.json") if explained else None, _figures(work, evaluation is not None, explained),
        [(p.stem, drawing(p, PANEL, PANEL_SIDE)) for p in _evenly(panels, PANELS)], len(panels),
        montage_tiles(predictions, predicted, config.evaluate.threshold) if predicted is not None else [], software)


def _figures(work: Path, evaluated: bool, explained: bool) -> dict[str, Picture]:
    """Figures that are there; those of a stage that was not finished are not shown."""
    there = {"train": (work / "train" / "model.keras").is_file(), "evaluate": evaluated, "explain": explained}
    return {name: drawing(work / name, most, FIGURE_SIDE) for name, most in FIGURES.items() if there[name.partition("/")[0]] and (work / name).is_file()}


def _evenly(paths: list[Path], most: int) -> list[Path]:
    return paths if len(paths) <= most else [paths[i * len(paths) // most] for i in range(most)]


def _cards(job: Job, found: Found) -> list[Card]:
    """The cards of all slides, on rank 0 (elsewhere none); in rounds of a slide per rank."""
    world, table = job.comms.world, found.table
    records = {r.name: r for r in job.records}
    share = min(CARD, CARDS // max(1, len(table)))
    cards: list[Card] = []
    for first in range(0, len(table), world.size):
        i = first + world.rank
        mine: Card | None = None
        with fence(world, job.work):
            if i < len(table):
                name = table.name[i]
                tiles = {t.row: (t.x, t.y) for t in found.montage if found.predicted is not None and found.predicted.name[t.slide] == name}
                places = read_places(job.work / "patches.h5", table, i)
                heatmap = job.work / "infer" / "heatmaps" / f"{name}.png"
                with job.clock.phase("draw"):
                    mine = draw_card(records[name], job.config, places, table.columns["downsample"][i], tiles, heatmap, share)
                job.clock.count("draw", 1)
        cards += [c for c in world.gather(mine, root=0) or [] if c is not None]
        job.signals.stop_here(world)
    told: list[list[Exception]] = world.bcast([c.errors for c in cards] if world.rank == 0 else [], root=0)
    job.leave_out([e for errors in told for e in errors])  # type: ignore[misc]
    return cards


def _write(job: Job, found: Found, cards: list[Card]) -> None:
    """By one rank."""
    times, unread = read_timings(job.work / "timing.jsonl")
    if unread:
        job.log.warn(f"{unread} lines of {job.work / 'timing.jsonl'} cannot be read, and are not shown")
    found = Found(**{**vars(found), "times": [t for t in times if t.stage != "report"], "made": time.strftime("%Y-%m-%d %H:%M:%S %z")})
    text = page(found, cards, {"config": cfg.as_dict(job.config), "config_digest": job.digest})
    path = job.work / "report.html"
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8", errors="replace") as f:
        f.write(text)
        f.flush()
        os.fsync(f.fileno())
    partial.replace(path)
