"""Shares of an extraction, each made by a job of its own (`extract.shard`): what belongs to a share, where its file is, how shares fit together.

Shares are contiguous: of the slides with random sampling, whose candidates are visited slide by slide; of the units with dense sampling, so
that jobs share a large slide too. Put end to end in order they are what one job makes.
"""
from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from .. import config as cfg
from ..config import Config
from ..errors import UserError
from ..job import Job
from ..made import recorded
from ..ranks import reach_of
from .schema import STATUS_BYTES
from .units import Units

FOLDER = "shards"
_NAME = re.compile(r"(\d+)-of-(\d+)$")


def own_slides(job: Job) -> Job:
    """The job over the slides that are planned for its share: with random sampling its contiguous part of the catalogue, else all."""
    shard = cfg.shard_of(job.config)
    if shard is None or job.config.extract.sampling == "dense":
        return job
    k, n = shard
    every = len(job.records)
    return dataclasses.replace(job, records=job.records[every * (k - 1) // n:every * k // n])


def own_units(config: Config, units: Units) -> Units:
    """The contiguous part of all units of dense sampling that is this share: as near to 1/N of the windows as whole units allow."""
    shard = cfg.shard_of(config)
    if shard is None:
        return units
    k, n = shard
    reach = reach_of(units.weights)
    first, last = (int(np.searchsorted(reach, int(reach[-1]) * at // n)) for at in (k - 1, k))
    return Units(*(column[first:last] for column in (units.slide, units.block, units.first, units.last)))


def folder_of(work: Path, k: int, n: int) -> Path:
    """Where a share has its patches.h5, its log, its lock: jobs of one `work` cannot meet."""
    return work / FOLDER / f"{k}-of-{n}"


@dataclasses.dataclass(frozen=True)
class Part:
    """A finished share: its file, how many rows and JPEG bytes it holds, what its numbers of slides begin at, what it says of itself."""

    path: Path
    rows: int
    bytes: int
    first_slide: int
    content_digest: str
    blocks: int


def parts_of(work: Path, config: Config, config_digest: str, n: int | None = None) -> list[Part]:
    """The N shares under `work` [None: as many as the folders' names say], all there, finished, and made with this config.

    Raises UserError that names those that are not.
    """
    n = n or _how_many(work)
    unmade: list[int] = []
    unfinished: list[int] = []
    for k in range(1, n + 1):
        path = folder_of(work, k, n) / "patches.h5"
        if not path.exists():
            (unfinished if path.with_name("patches.h5.partial").exists() else unmade).append(k)
    if unmade or unfinished:
        what = " and ".join(f"{_numbers(ks)} {'is' if len(ks) == 1 else 'are'} {how}" for ks, how in ((unmade, "missing"), (unfinished, "not finished")) if ks)
        raise UserError(f"of {n} shares, {what}", work / FOLDER, f"run `mpicamnet extract` with `--set extract.shard={(unmade + unfinished)[0]}/{n}`"
                        + (", and so on" if len(unmade + unfinished) > 1 else ""))
    parts: list[Part] = []
    slides = 0
    for k in range(1, n + 1):
        path = folder_of(work, k, n) / "patches.h5"
        _check_made_alike(path, k, n, config, config_digest)
        with h5py.File(path, "r") as f:
            parts.append(Part(path, len(f["slide"]), len(f["jpeg/bytes"]) if "jpeg" in f else 0, slides, str(f.attrs["content_digest"]),
                              int(f.attrs["blocks_done"])))
            if config.extract.sampling == "random":
                slides += len(f["slides/name"])
    return parts


def _how_many(work: Path) -> int:
    folder = work / FOLDER
    found = sorted({int(m[2]) for p in (folder.iterdir() if folder.is_dir() else ()) if (m := _NAME.match(p.name))})
    if not found:
        raise UserError("there are no shares", folder, "make them by `mpicamnet extract` with `extract.shard: K/N`")
    if len(found) > 1:
        raise UserError("there are shares of " + " and of ".join(map(str, found)), folder,
                        f"remove the old ones, or say which: `--set extract.shard=1/{found[-1]}`")
    return found[0]


def _check_made_alike(path: Path, k: int, n: int, config: Config, config_digest: str) -> None:
    made = recorded(path)
    said = made.config.get("extract", {}).get("shard")
    if said != f"{k}/{n}":
        raise UserError(f"this is not share {k}/{n} but {said or 'a whole extraction'}", path, "put it where it belongs, or make the share anew")
    if made.config_digest != config_digest:
        free = ("work", "extract.shard")
        was, now = ({name: v for name, v in cfg.flat("", c).items() if name.removeprefix(".") not in free} for c in (made.config, cfg.as_dict(config)))
        differ = "; ".join(cfg.changes(was, now)).replace(" .", " ").removeprefix(".") or "the slides have changed"
        raise UserError(f"share {k}/{n} was made with another config ({differ})", path, "make it anew with this one, or merge with that one")


def _numbers(ks: list[int], most: int = 8) -> str:
    """`3`, `3 and 5`, `1, 2, 3 and 40 more`."""
    if len(ks) > most:
        return ", ".join(map(str, ks[:most])) + f" and {len(ks) - most} more"
    return ", ".join(map(str, ks[:-1])) + " and " * (len(ks) > 1) + str(ks[-1])


def joined_slides(parts: list[Part], sampling: str) -> dict[str, npt.NDArray[Any]]:
    """The columns of `slides` of the whole.

    Random: the shares' slides end to end. Dense: every share lists all slides, and a slide's status is that of the first share, in row order,
    that met a tile which could not be read.
    """
    columns: list[dict[str, npt.NDArray[Any]]] = []
    for part in parts:
        with h5py.File(part.path, "r") as f:
            columns.append({name: d[...] for name, d in f["slides"].items()})
    if sampling == "dense":
        whole = columns[0]
        for other in columns[1:]:
            fresh = whole["status"] == b"ok"
            whole["status"][fresh] = other["status"][fresh]
    else:
        whole = {name: np.concatenate([c[name] for c in columns]) for name in columns[0]}
    for name, values in whole.items():
        if values.dtype.kind == "S":  # as long as the longest of all, and UTF-8 by type, which NumPy forgets
            length = STATUS_BYTES if name == "status" else max([1, *(len(v) for v in values.tolist())])
            whole[name] = values.astype(h5py.string_dtype("utf-8", length))
    return whole
