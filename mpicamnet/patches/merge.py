"""Shares of an extraction (`extract.shard`) -> one patches.h5, byte for byte what a single job makes. Collective.

find the shares (one rank) -> lay the file out -> in rounds: read rows of shares, write them -> cut the file to size, name it.
"""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from .. import config as cfg
from ..errors import SlideError, UserError
from ..job import Job, software
from ..ranks import Progress, Rounds, Share, Standing, agree, fence, reach_of, slowest, wait_asleep
from ..ranks.fence import RankFault
from ..words import size as in_bytes
from .schema import COLUMNS, SCHEMA, Rows
from .shard import Part, joined_slides, parts_of
from .stage import NO_TISSUE
from .store import Mark, Store, finish, left_behind, room_for_metadata, write_error

PHASES = ["read", "wait", "write", "finish", "merge"]
PIECE = 8 << 20  # bytes of rows that are dealt out at a time; no setting: a rerun must count the same pieces


def run(job: Job, shares: int | None = None) -> None:
    """Put the `shares` shares under `work` [None: as many as lie there] together; a kill costs a round. Raises on all ranks alike."""
    world, path = job.comms.world, job.work / "patches.h5"
    with job.clock.phase("merge"):
        found: tuple[list[Part], dict[str, Any]] | None = None
        with fence(world, job.work):
            if world.rank == 0:
                parts = parts_of(job.work, job.config, job.digest, shares)
                found = parts, joined_slides(parts, job.config.extract.sampling)
        parts, slides = world.bcast(found, root=0)
        job.log.say(f"merge: {len(parts)} shares, {sum(p.rows for p in parts):,} rows, on {world.size} rank{'s' * (world.size > 1)}")
        mark, store = _open_store(job, parts, slides)
        blocks = sum(p.blocks for p in parts)
        task = Copying(job, store, parts)
        try:
            mark = task.run(mark)
        except (UserError, RankFault):  # all ranks have it
            store.abandon()
            raise
        finally:
            task.close()
        error: Exception | None = None
        try:
            store.close()
        except OSError as e:
            error = write_error(e, path, 1 << 20)
        agree(world, error)
        wait_asleep(world)
        with job.clock.phase("finish"), fence(world):
            if world.rank == 0:
                finish(path, mark, {"blocks_done": blocks, "blocks_reused": 0})
                job.log.say(f"  {mark.rows:,} rows, {in_bytes(path.stat().st_size)}; the shares may go: rm -r {parts[0].path.parents[1]}")
    names, said = ([text.decode("utf-8", "replace") for text in slides[column].tolist()] for column in ("name", "status"))
    job.leave_out([SlideError(text, name) for name, text in zip(names, said, strict=True) if text not in ("ok", NO_TISSUE)])
    job.write_timing("merge", PHASES, "read")


def _open_store(job: Job, parts: list[Part], slides: dict[str, npt.NDArray[Any]]) -> tuple[Mark, Store]:
    """The file that an earlier merge of the same shares left, or a new one; collective."""
    world, config, path = job.comms.world, job.config, job.work / "patches.h5"
    rows, patch = sum(p.rows for p in parts), config.data.patch
    sources = hashlib.sha256(" ".join(["merge", *(p.content_digest for p in parts)]).encode()).hexdigest()
    found: tuple[Mark | None, dict[str, str]] = None, {}
    with fence(world, path):
        if world.rank == 0:
            mark, _ = left_behind(path, job.digest, sources)
            found = mark, {"schema": SCHEMA, "config": cfg.as_yaml(config), "config_digest": job.digest, "plan_digest": sources, "software": software()}
            if mark is None:
                room_for_metadata(path, config.extract, patch, rows)
    mark, attributes = world.bcast(found, root=0)
    store: Store | None = None
    error: Exception | None = None
    try:
        store = Store.reopen(path, world, config.extract) if mark is not None else \
            Store.create(path, world, config.extract, patch, rows, attributes, slides)
    except OSError as e:
        error = write_error(e, path, 1 << 20)
    agree(world, error)
    assert store is not None
    if mark is not None:
        job.log.say(f"  going on after {mark.rows:,} rows of an earlier merge")
        return mark, store
    with fence(world, path):
        if world.rank == 0:
            store.begin(slides)
    return Mark(), store


class Copying:
    """The work of the rounds (ranks.rounds.Task): pieces of shares in, rows out."""

    def __init__(self, job: Job, store: Store, parts: list[Part]):
        self._job, self._store, self._parts = job, store, parts
        patch = job.config.data.patch
        row = {"pixels": patch * patch * 3, "jpeg": patch * patch * 3 // 4, "coords": 64}[job.config.extract.storage]
        self._piece = max(1, PIECE // row)
        self._most = max(self._piece, (job.config.extract.buffer << 20) // row)
        self._pieces = [(k, first, min(part.rows, first + self._piece)) for k, part in enumerate(parts) for first in range(0, part.rows, self._piece)]
        self._open: tuple[Path, h5py.File] | None = None
        self._nothing = _no_rows(patch, job.config.extract.storage)

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
        self._open = None

    def run(self, mark: Mark) -> Mark:
        """Copy all pieces from where `mark` stands; collective."""
        weights = np.array([last - first for _, first, last in self._pieces], np.int64)
        reach = reach_of(weights)
        progress = Progress(self._job.log, "rows", int(reach[-1]), done=mark.rows)
        rounds: Rounds[Rows] = Rounds(self._job.comms.world, weights, self._most, self._job.clock, self._job.signals)

        def tell(now: Standing) -> None:
            k = self._pieces[min(now.blocks, len(self._pieces) - 1)][0]
            progress.update(int(reach[now.blocks]), f"share {k + 1:,} of {len(self._parts):,}", slowest(now))

        rows, size = rounds.run(self, mark.blocks, np.array([mark.rows, mark.bytes]), tell).tolist()
        return Mark(0, len(self._pieces), len(self._pieces), rows, size)

    def work(self, share: Share) -> Rows:
        with self._job.clock.phase("read"):
            return _joined([self._rows(*self._pieces[i]) for i in range(share.start, share.stop)], self._nothing)

    def sizes(self, outcome: Rows | None) -> tuple[int, int]:
        return (len(outcome), outcome.jpeg_size) if outcome is not None else (0, 0)

    def put(self, outcome: Rows, before: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> None:
        try:
            written = self._store.write_rows(outcome, int(before[0]), int(before[1]))
        except OSError as e:
            raise write_error(e, self._job.work / "patches.h5", outcome.nbytes) from None
        self._job.clock.count("write", len(outcome), written)

    def finished(self, blocks: int, before: npt.NDArray[np.int64]) -> None:
        self._store.mark(Mark(0, blocks, blocks, int(before[0]), int(before[1])))

    def _rows(self, k: int, first: int, last: int) -> Rows:
        """Rows `first` to `last` of share k, with slides numbered as in the whole."""
        part = self._parts[k]
        if self._open is None or self._open[0] != part.path:
            self.close()
            self._open = part.path, h5py.File(part.path, "r")
        f = self._open[1]
        columns = {name: f[name][first:last] for name in COLUMNS}
        columns["slide"] += part.first_slide
        jpeg: list[bytes] | None = None
        if "jpeg" in f:
            offsets = f["jpeg/offset"][first:last + 1].astype(np.int64)
            blob = f["jpeg/bytes"][offsets[0]:offsets[-1]].tobytes()
            at = offsets - offsets[0]
            jpeg = [blob[a:b] for a, b in zip(at[:-1].tolist(), at[1:].tolist(), strict=True)]
        return Rows(columns, f["pixels"][first:last] if "pixels" in f else None, jpeg)


def _joined(parts: list[Rows], like: Rows) -> Rows:
    """Rows end to end; `like`, which is empty, where there are none: in a collective write a rank without rows must name the same datasets."""
    if len(parts) <= 1:
        return parts[0] if parts else like
    return Rows({name: np.concatenate([p.columns[name] for p in parts]) for name in COLUMNS},
                None if like.pixels is None else np.concatenate([p.pixels for p in parts if p.pixels is not None]),
                None if like.jpeg is None else [j for p in parts for j in p.jpeg or []])


def _no_rows(patch: int, storage: str) -> Rows:
    return Rows({name: np.zeros((0, *shape), kind) for name, (kind, shape) in COLUMNS.items()},
                np.zeros((0, patch, patch, 3), np.uint8) if storage == "pixels" else None, [] if storage == "jpeg" else None)
