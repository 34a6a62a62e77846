"""train/last/checkpoint.npz: all that training needs to go on as if nothing had happened. One file, so that it is whole or not there."""
from __future__ import annotations

import json
import os
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Arrays = list[npt.NDArray[Any]]
FILE = "last/checkpoint.npz"


@dataclass(frozen=True)
class Row:
    """A line of history.csv: losses weighted by class; AUC and accuracy over the whole validation set; seconds of wall clock."""

    epoch: int
    loss: float
    val_loss: float
    val_auc: float
    val_accuracy: float
    seconds: float


def kept(history: list[Row]) -> Row:
    """The epoch whose weights are kept: the highest validation AUC to three digits; among equals the lowest loss, as AUC does not see calibration."""
    return max(history, key=lambda r: (round(r.val_auc, 3), -r.val_loss, -r.epoch))


def out_of_patience(history: list[Row], patience: int | None) -> bool:
    """Whether so many epochs have passed since the one that is kept."""
    return patience is not None and bool(history) and history[-1].epoch - kept(history).epoch >= patience


@dataclass
class Progress:
    """How far training has come: `rows` of epoch `epoch` (from 0) have been seen by all ranks together, in `seconds`, with a sum of losses."""

    epoch: int = 0
    rows: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    history: list[Row] = field(default_factory=list)


@dataclass
class Checkpoint:
    """`model` and `optimizer`: their variables; `best`: the model's where it judged best, empty before the first epoch has ended.

    `held`: of each rank what it had not sent, with deep gradient compression.
    """

    progress: Progress
    model: Arrays
    optimizer: Arrays
    best: Arrays
    held: Arrays = field(default_factory=list)


PARTS = ("model", "optimizer", "best", "held")


def save(folder: Path, digest: str, state: Checkpoint) -> None:
    """Replace the checkpoint under `folder` (work/train); by one rank."""
    path = folder / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    said = json.dumps({"digest": digest, "progress": asdict(state.progress)})
    arrays = {f"{name}.{i}": a for name in PARTS for i, a in enumerate(getattr(state, name))}
    with partial.open("wb") as f:
        np.savez(f, said=np.frombuffer(said.encode(), np.uint8), **arrays)
        f.flush()
        os.fsync(f.fileno())
    partial.replace(path)


def load(folder: Path, digest: str) -> tuple[Checkpoint | None, str]:
    """The checkpoint that was made with `digest`; or None and, where there is one that cannot be used, why, in words. By one rank."""
    path = folder / FILE
    if not path.exists():
        return None, ""
    try:
        with np.load(path) as z:
            said = json.loads(bytes(z["said"]))
            if said["digest"] != digest:
                return None, "train/last was made with another config or other patches: training begins anew"
            names = {name: [k for k in z.files if k.startswith(name + ".")] for name in PARTS}
            progress = said["progress"]
            history = [Row(**row) for row in progress.pop("history")]
            return Checkpoint(Progress(**progress, history=history), *([z[f"{n}.{i}"] for i in range(len(names[n]))] for n in names)), ""
    except (OSError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        return None, "train/last cannot be read: training begins anew"
