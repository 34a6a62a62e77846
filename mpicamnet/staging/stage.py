"""Slides to the nodes' own disks, before a stage reads them (`data.stage`), or by `mpicamnet stage`. Collective.

list the files (one rank) -> check what each node has (all its ranks) -> is there room? -> file by file: one node's leader reads it from the
shared file system and sends it to the leaders of all nodes that lack it, who write it.
"""
from __future__ import annotations

import dataclasses
import errno
import fcntl
import shutil
import socket
import time
from pathlib import Path
from typing import BinaryIO, TextIO

from ..errors import SlideError, UserError
from ..job import Job
from ..ranks import Comm, agree, among, fence, node_leaders, spread, wait_asleep
from ..ranks.fence import as_error
from ..ranks.signals import stopped
from ..slides import SlideRecord
from ..words import duration, size
from .copies import SUM, Bytes, Copy, Source, read_piece, sound_pieces, sources_of

PHASES = ["check", "spread", "staging"]
Outcome = tuple[int, int, dict[str, SlideError]]  # nodes; bytes read from the shared file system; by path, why a file could not be read


def run(job: Job) -> list[SlideRecord]:
    """The job's slides, each with its copy in `data.stage` on every node; those that cannot be copied without one. Raises on all ranks alike."""
    world, folder = job.comms.world, Path(job.config.data.stage or "")
    begun = time.monotonic()
    with job.clock.phase("staging"):
        found: list[list[Source]] = []
        with fence(world):
            if world.rank == 0:
                found = [sources_of(r) for r in job.records]
        by_slide: list[list[Source]] = world.bcast(found, root=0)
        files = [s for sources in by_slide for s in sources]
        leaders = node_leaders(world, job.comms.node)
        held: list[TextIO] = []
        with fence(world, folder):
            if leaders is not None:
                held.append(_locked(folder))
        with job.clock.phase("check"):
            sound = _sound(job, folder, files)
        with fence(world, folder):
            if leaders is not None:
                _room(folder, files, sound)
        outcome: Outcome | None = None
        error: Exception | None = None
        if leaders is not None:
            with job.clock.phase("spread"):
                try:
                    outcome = _spread(job, leaders, folder, files, sound)
                except Exception as e:
                    error = as_error(e, folder, world.rank)
        wait_asleep(world)
        agree(world, error)
        for lock in held:
            lock.close()
        nodes, sent, missed = world.bcast(outcome, root=0)  # rank 0 leads its node
    job.log.say(f"staging: {len(files):,} files, {size(sum(s.size for s in files))}, in {folder} on {nodes} node{'s' * (nodes > 1)}; "
                f"{size(sent)} read now, in {duration(time.monotonic() - begun)}")
    for slide, sources in zip(job.records, by_slide, strict=True):
        told = next((missed[s.path] for s in sources if s.path in missed), None)
        if told is not None or not sources:
            job.log.warn(f"slide read where it is: {told or SlideError('not copied', slide.path, 'its files are not known or not there')}")
    return [dataclasses.replace(slide, copy=str(folder / sources[0].place)) if sources and not any(s.path in missed for s in sources) else slide
            for slide, sources in zip(job.records, by_slide, strict=True)]


def _sound(job: Job, folder: Path, files: list[Source]) -> list[int]:
    """How many pieces of each file are sound on this node, checked by all its ranks; collective over the world."""
    node = job.comms.node
    mine: dict[int, int] = {}
    with fence(job.comms.world, folder):
        for i in range(node.rank, len(files), node.size):
            mine[i] = sound_pieces(folder, files[i])
    every = {i: n for part in node.allgather(mine) for i, n in part.items()}
    return [every[i] for i in range(len(files))]


def _room(folder: Path, files: list[Source], sound: list[int]) -> None:
    """Raise UserError where what is missing would not fit on this node's disk."""
    wanted = sum(sum(s.size_of(k) for k in range(n, s.pieces)) for s, n in zip(files, sound, strict=True))
    free = shutil.disk_usage(folder).free
    if wanted > free:
        raise UserError(f"the slides do not fit: {size(wanted)} are wanted, {size(free)} are free on {socket.gethostname()}", folder,
                        "choose a larger disk or fewer slides, or do without `data.stage`")


def _spread(job: Job, leaders: Comm, folder: Path, files: list[Source], sound: list[int]) -> Outcome:
    """Send each file to the nodes that lack it, which take turns at reading; collective over the leaders."""
    every = leaders.allgather(sound)
    lacking = [tuple(r for r in range(leaders.size) if every[r][i] <= s.pieces) for i, s in enumerate(files)]
    missed: dict[str, SlideError] = {}
    error: Exception | None = None
    for members in dict.fromkeys(m for m in lacking if m):
        comm = among(leaders, members)
        if comm is None:
            continue
        for turn, i in enumerate(i for i, m in enumerate(lacking) if m == members):
            first = min(every[r][i] for r in members)
            try:
                agree(comm, error or (stopped() if job.signals.caught else None))  # a member may have met it among other members
                _send(job, comm, turn % comm.size, folder, files[i], first, sound[i])
            except SlideError as e:
                missed[files[i].path] = e
            except Exception as e:
                error = as_error(e, folder, leaders.rank)
                break
        comm.Free()
    agree(leaders, error)
    said = leaders.allgather((job.clock.bytes["spread"], missed))
    return leaders.size, sum(n for n, _ in said), {path: e for _, part in said for path, e in part.items()}


def _send(job: Job, comm: Comm, root: int, folder: Path, source: Source, first: int, sound: int) -> None:
    """One file, from piece `first` on, from `root`; raises on all of `comm` alike. Collective over it."""
    original: BinaryIO | None = None
    with fence(comm, folder):
        copy = Copy(folder, source, sound)
    try:
        with fence(comm, source.path):
            if comm.rank == root:
                original = _opened(source)

        def read(k: int, out: Bytes) -> None:
            assert original is not None
            job.clock.count("spread", 1, read_piece(original, source, first + k, out))

        spread(comm, root, [source.size_of(k) + SUM for k in range(first, source.pieces)], read, lambda k, piece: copy.put(first + k, piece))
        with fence(comm, folder):
            copy.finish()
    finally:
        copy.close()
        if original is not None:
            original.close()


def _opened(source: Source) -> BinaryIO:
    try:
        return open(source.path, "rb", buffering=0)
    except OSError as e:
        raise SlideError("the slide cannot be read", source.path, (e.strerror or str(e)).lower()) from None


def _locked(folder: Path) -> TextIO:
    """A lock on the node's folder of copies; raises UserError where another run is copying into it."""
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / ".lock").open("a", encoding="utf-8")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        file.close()
        if e.errno in (errno.EACCES, errno.EAGAIN):
            raise UserError(f"another run is copying slides to this folder on {socket.gethostname()}", folder,
                            "wait for it, or choose a folder on the nodes' own disks, e.g. $TMPDIR") from None
        raise
    return file
