"""The evaluate stage: infer/predictions.h5 and what is known of its slides -> evaluate/. Collective.

read (one rank) -> look at slides, in turn by the ranks -> forests, in turn -> resamplings, in turn -> write (one rank), evaluation.json last.
"""
from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from .. import config as cfg
from ..errors import UserError
from ..job import Job
from ..ranks import allgather_list, fence
from ..slides import SlideRecord, patient_stages
from .bootstrap import Replicate, replicate
from .forest import feature_row, forest_chances, why_no_forest
from .levels import ForestCall, Levels, known, levels
from .pictures import NAMES as PICTURES
from .pictures import write_pictures
from .result import Replicates, evaluation
from .seen import Seen, look
from .source import WHOLE, SlideTable, read_heat, read_slides, read_tiles
from .staging import CLASSES
from .tables import write_tables
from .tiles import Tiles
from .truth import SlideTruth, slide_truth

SCHEMA = "mpicamnet.evaluation/1"
PHASES = ["look", "forest", "bootstrap", "write", "stage"]


def run(job: Job) -> None:
    world, config, path = job.comms.world, job.config, job.work / "infer" / "predictions.h5"
    with job.clock.phase("stage"):
        read: tuple[SlideTable, Tiles, dict[int, str]] | None = None
        with fence(world, path):
            if world.rank == 0:
                read = read_slides(path), read_tiles(path), patient_stages(config.data)
        table, tiles, told = world.bcast(read, root=0)
        with job.clock.phase("look"):
            seen = _look(job, path, table)
        with job.clock.phase("forest"):
            calls, why = _forest(job, seen)
        judged = levels(tiles, seen, config.evaluate.threshold, told, calls, why)
        job.signals.stop_here(world)
        with job.clock.phase("bootstrap"):
            replicates = _bootstrap(job, judged)
        with job.clock.phase("write"), fence(world, job.work / "evaluate"):
            if world.rank == 0:
                said = evaluation(judged, replicates)
                _write(job, judged, replicates, said)
                for line in _words(said):
                    job.log.say(line)
    job.write_timing("evaluate", PHASES)


def _look(job: Job, path: Path, table: SlideTable) -> list[Seen]:
    """What is seen of each slide, on every rank."""
    world = job.comms.world
    records = {r.name: r for r in job.records}
    mine: dict[int, Seen] = {}
    with fence(world, path):
        for i in range(world.rank, len(table), world.size):
            if table.name[i] not in records:
                raise UserError(f"slide {table.name[i]} is not in the catalogue", path, "run `mpicamnet infer` again")
            mine[i] = look(table, i, read_heat(path, table, i), _truth(records[table.name[i]], table, i), job.config.evaluate.detection)
    return allgather_list(world, mine)


def _truth(record: SlideRecord, table: SlideTable, slide: int) -> SlideTruth:
    if table.status[slide] not in WHOLE:  # its outlines may be what cannot be read
        return SlideTruth(record.stage, None, table.status[slide], None)
    return slide_truth(record, table.mpp_of(slide))


def _forest(job: Job, seen: list[Seen]) -> tuple[dict[int, ForestCall], str]:
    """What a forest says of each slide, trained without the slide's patient; or why there is none."""
    world, trees = job.comms.world, job.config.evaluate.forest
    places = [i for i in known(seen) if seen[i].predicted]
    true = np.array([CLASSES.index(seen[i].truth.stage) for i in places], np.int64)
    group = np.array([seen[i].patient if seen[i].patient >= 0 else -1 - i for i in places], np.int64)  # unknown: each slide for itself
    why = why_no_forest(true, group, trees)
    if why:
        return {}, why
    rows = np.array([feature_row(f) for i in places for f in [seen[i].features] if f is not None])
    mine: dict[int, ForestCall] = {}
    with fence(world):
        for held_out in np.unique(group)[world.rank::world.size].tolist():
            chances = forest_chances(rows, true, group, held_out, job.config.seed, trees)
            for at, chance in zip(np.flatnonzero(group == held_out).tolist(), chances, strict=True):
                mine[places[at]] = CLASSES[int(chance.argmax())], float(1 - chance[0])
    return {i: call for part in world.allgather(mine) for i, call in part.items()}, ""


def _bootstrap(job: Job, judged: Levels) -> Replicates:
    """All samples in each resampling, on every rank."""
    world, seed, samples = job.comms.world, job.config.seed, judged.samples
    mine: dict[int, dict[str, Replicate]] = {}
    with fence(world):
        for i in range(world.rank, job.config.evaluate.bootstrap, world.size):
            mine[i] = {name: replicate(sample, seed, i) for name, sample in samples.items()}
    every = allgather_list(world, mine)
    return {name: [r[name] for r in every] for name in samples}


def _write(job: Job, judged: Levels, replicates: Replicates, said: dict[str, Any]) -> None:
    """Tables, pictures, and last evaluation.json, which says that the others are there; by one rank."""
    folder = job.work / "evaluate"
    folder.mkdir(exist_ok=True)
    (folder / "evaluation.json").unlink(missing_ok=True)  # it must not stand beside tables that are newer
    write_tables(folder, judged, said)
    drawn = write_pictures(folder, judged, replicates, said)
    for name in set(PICTURES) - set(drawn):  # of an earlier run
        (folder / name).unlink(missing_ok=True)
    config = job.config
    whole = {"schema": SCHEMA, "threshold": config.evaluate.threshold, "split": cfg.as_dict(config)["data"]["split"], **said}
    content = hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
    whole |= {"config": cfg.as_dict(config), "config_digest": job.digest, "content_digest": content}
    path = folder / "evaluation.json"
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as f:
        json.dump(whole, f, indent=1, allow_nan=False)
        f.flush()
        os.fsync(f.fileno())
    partial.replace(path)


def _words(said: dict[str, Any]) -> list[str]:
    """What a person wants to know first, a line per level."""
    tile, lesion, slide, patient = (said[level] for level in ("tile", "lesion", "slide", "patient"))
    return [
        f"  {tile['n']:,} labelled tiles, {tile['positives']:,} of them tumour: AUC {_figure(tile['roc_auc'])}, accuracy {_figure(tile['accuracy'])}",
        f"  {lesion['lesions']} lesions on {lesion['slides']} slides: FROC {_figure(lesion['froc'])}",
        f"  {slide['n']} slides of known class: AUC {_figure(slide['roc_auc'])}, right class {_figure(slide['accuracy'])}",
        f"  {patient['n']} patients of known stage: kappa {_figure(patient['kappa'])}, right stage {_figure(patient['accuracy'])}",
    ]


def _figure(measure: dict[str, Any]) -> str:
    if measure["value"] is None:
        return f"none ({measure['why']})"
    between = f" [{measure['low']:.3f}, {measure['high']:.3f}]" if measure["low"] is not None else ""
    return f"{measure['value']:.3f}{between}"
