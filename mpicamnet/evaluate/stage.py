"""The evaluate stage: infer/predictions.h5 -> evaluate/evaluation.json. Collective.

read (one rank) -> measures -> resamplings, in turn by the ranks -> gather -> write (one rank).
"""
from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from .. import config as cfg
from ..errors import UserError
from ..job import Job
from ..ranks import allgather_list, fence
from .tiles import TileMeasures, Tiles, Values

SCHEMA = "mpicamnet.evaluation/1"
PREDICTIONS = "mpicamnet.predictions/1"
PHASES = ["bootstrap", "stage"]


@dataclass(frozen=True)
class Judged:
    """Tiles whose label is known, and the centre of each slide, int32 (slides,), -1 where unknown."""

    tiles: Tiles
    center: npt.NDArray[np.int32]


def run(job: Job) -> None:
    world, config = job.comms.world, job.config
    path = job.work / "infer" / "predictions.h5"
    with job.clock.phase("stage"):
        judged: Judged | None = None
        with fence(world, path):
            if world.rank == 0:
                judged = read_predictions(path)
        told: Judged = world.bcast(judged, root=0)
        sets = _sets(told, config.evaluate.threshold, config.seed)
        with job.clock.phase("bootstrap"):
            mine: dict[int, dict[str, Values]] = {}
            with fence(world):
                for i in range(world.rank, config.evaluate.bootstrap, world.size):
                    mine[i] = {name: measures.replicate(i) for name, measures in sets.items()}
            replicates = allgather_list(world, mine)
        with fence(world, job.work / "evaluate"):
            if world.rank == 0:
                summaries = {name: m.summary([r[name] for r in replicates]) for name, m in sets.items()}
                tile = summaries.pop("")
                write(job, {**tile, "by_center": summaries})
                job.log.say(_words(tile))
    job.write_timing("evaluate", PHASES)


def read_predictions(path: Path) -> Judged:
    """The tiles of a predictions.h5 whose label is known; raises UserError where it is none."""
    with h5py.File(path, "r") as f:
        if str(f.attrs.get("schema")) != PREDICTIONS:
            raise UserError(f"this file is not of schema {PREDICTIONS}", path, "run `mpicamnet infer`")
        label = f["label"][...]
        known = label >= 0
        return Judged(Tiles(f["slide"][...][known], label[known], f["prob"][...][known]), f["slides/center"][...].astype(np.int32))


def _sets(judged: Judged, threshold: float, seed: int) -> dict[str, TileMeasures]:
    """What is measured, by name: "" is all tiles, the others are centres."""
    tiles = judged.tiles
    centers = np.unique(judged.center[np.unique(tiles.slide)])
    sets = {"": TileMeasures(tiles, threshold, seed, "")}
    for c in centers[centers >= 0]:
        of = np.flatnonzero(judged.center == c).astype(np.int32)
        sets[str(c)] = TileMeasures(tiles.of(of), threshold, seed, f"center {c}")
    return sets


def write(job: Job, tile: dict[str, Any]) -> None:
    """evaluation.json, whole under its name; by one rank."""
    config = job.config
    said = {"schema": SCHEMA, "threshold": config.evaluate.threshold, "split": cfg.as_dict(config)["data"]["split"], "tile": tile}
    content = hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()
    said |= {"config": cfg.as_dict(config), "config_digest": job.digest, "content_digest": content}
    path = job.work / "evaluate" / "evaluation.json"
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    with partial.open("w", encoding="utf-8") as f:
        json.dump(said, f, indent=1, allow_nan=False)
        f.flush()
        os.fsync(f.fileno())
    partial.replace(path)


def _words(tile: dict[str, Any]) -> str:
    auc, accuracy = tile["roc_auc"], tile["accuracy"]
    tiles = f"  {tile['n']:,} labelled tiles, {tile['positives']:,} of them tumour"
    if auc["value"] is None:
        return f"{tiles}: no AUC, {auc['why']}"
    between = f" [{auc['low']:.3f}, {auc['high']:.3f}]" if auc["low"] is not None else ""
    return f"{tiles}: AUC {auc['value']:.3f}{between}, accuracy {accuracy['value']:.3f}"
