"""The extract stage: slides -> patches.h5. Collective.

plan every slide -> lay the file out -> in rounds: read and filter blocks, agree on places, write rows -> cut the file to size, name it.
"""
from __future__ import annotations

import functools
import time
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import config as cfg
from ..errors import SlideError, UserError
from ..job import Job, software
from ..ranks import Progress, Rounds, Share, Standing, Turn, agree, contiguous_shares, fence, reach_of, slowest, wait_asleep
from ..ranks.fence import RankFault
from ..words import size as in_bytes
from .fill import Filler, load_kernels
from .plan import Candidates, SlidePlan, digest_of, plan_slide, window_candidates
from .rows import Reader, Verdicts
from .sampling import Chosen, Draw, arrange
from .schema import SCHEMA, Rows, statuses, texts
from .shard import own_slides, own_units
from .store import Content, Mark, Store, content_of, finish, left_behind, room_for_metadata, write_error
from .units import Units, held_rows, round_rows, unit_rows, units_at, units_of

PHASES = ["plan", "lay", "select", "read", "decode", "wait", "write", "mark", "sync", "finish", "stage"]
NO_TISSUE = "no tissue"


def run(job: Job) -> None:
    """Make patches.h5, or go on with what an earlier run left; raises on all ranks alike."""
    job = own_slides(job)
    with job.clock.phase("stage"):
        plans, problems = make_plans(job, job.config.extract.stride or job.config.data.patch)
        job.signals.stop_here(job.comms.world)
        with job.clock.phase("lay"):
            mark, store = _open_store(job, plans, problems)
        _say_most(job, plans)
        task = Extraction(job, store)
        reused = mark.total
        try:
            mark = _dense(task, plans, mark) if job.config.extract.sampling == "dense" else _random(task, plans, mark)
        except (UserError, RankFault):  # all ranks have it; anything else is one rank's, and closing with the others would wait for ever
            task.abandon()
            raise
        with job.clock.phase("sync"):
            task.close()
        wait_asleep(job.comms.world)
        with job.clock.phase("finish"), fence(job.comms.world):
            if job.comms.world.rank == 0:
                finish(job.work / "patches.h5", mark, {"blocks_done": mark.total, "blocks_reused": reused})
    _tell(job, plans, problems)
    job.write_timing("extract", PHASES, "read")


def make_plans(job: Job, stride: int) -> tuple[dict[int, SlidePlan], dict[int, SlideError]]:
    """Plan all slides, each by one rank, and tell all; by place in the catalogue: plans, and why a slide has none. Collective.

    Raises UserError where not one slide can be used.
    """
    world = job.comms.world
    mine: dict[int, SlidePlan | SlideError] = {}
    with job.clock.phase("plan"):
        with fence(world):
            for i in range(world.rank, len(job.records), world.size):
                try:
                    mine[i] = plan_slide(job.records[i], i, job.config, stride)
                except SlideError as e:
                    mine[i] = e
            load_kernels()
        job.clock.count("plan", sum(int(p.windows.sum()) for p in mine.values() if isinstance(p, SlidePlan)))
        every = sorted((i, p) for part in world.allgather(mine) for i, p in part.items())
    plans = {i: p for i, p in every if isinstance(p, SlidePlan)}
    problems = {i: p for i, p in every if isinstance(p, SlideError)}
    if not plans and job.config.extract.shard is None:  # a share may be of unlucky slides only; `merge` needs its file all the same
        first = next(iter(problems.values()))
        more = f" (and {len(problems) - 1} more slides)" if len(problems) > 1 else ""
        raise UserError(first.what, first.where + more, first.mend)
    return plans, problems


def _open_store(job: Job, plans: dict[int, SlidePlan], problems: dict[int, SlideError]) -> tuple[Mark, Store]:
    """The file that an earlier run left with how far it came, or a new one; collective."""
    world, config, path = job.comms.world, job.config, job.work / "patches.h5"
    found: tuple[Mark | None, str, dict[str, str]] = None, "", {}
    with fence(world, path):
        if world.rank == 0:
            planned = digest_of(plans)
            found = *left_behind(path, job.digest, planned), {"schema": SCHEMA, "config": cfg.as_yaml(config), "config_digest": job.digest,
                                                              "plan_digest": planned, "software": software()}
            if found[0] is None:
                room_for_metadata(path, config.extract, config.data.patch, _most_rows(job, plans))
    mark, why, attributes = world.bcast(found, root=0)
    store: Store | None = None
    error: Exception | None = None
    try:
        if mark is not None:
            store = Store.reopen(path, world, config.extract)
        else:
            store = Store.create(path, world, config.extract, config.data.patch, _most_rows(job, plans), attributes, slide_columns(job, plans, problems))
    except OSError as e:
        error = write_error(e, path, 1 << 20)
    agree(world, error)
    assert store is not None
    if mark is not None:
        if mark.rows:
            job.log.say(f"  going on after {mark.total:,} blocks and {mark.rows:,} rows of an earlier run")
        return mark, store
    if why:
        job.log.say(f"  {why}")
    with fence(world, path):
        if world.rank == 0:
            store.begin(slide_columns(job, plans, problems))
    return Mark(), store


def _most_rows(job: Job, plans: dict[int, SlidePlan]) -> int:
    if job.config.extract.sampling == "dense":
        return int(_dense_units(job, plans).weights.sum())
    return sum(min(job.config.extract.per_class, p.places) * (2 if p.annotated else 1) for p in plans.values())


def _say_most(job: Job, plans: dict[int, SlidePlan]) -> None:
    """Before the first block: how many rows there can be, and where px are kept as they are, how large the file."""
    extract, rows = job.config.extract, _most_rows(job, plans)
    most = f", {in_bytes(rows * job.config.data.patch**2 * 3)}" if extract.storage == "pixels" else ""
    job.log.say(f"  {sum(int(p.windows.sum()) for p in plans.values()):,} windows on tissue; at most {rows:,} rows{most}")


def slide_columns(job: Job, plans: dict[int, SlidePlan], problems: dict[int, SlideError]) -> dict[str, npt.NDArray[Any]]:
    """The columns of `slides`, one row per slide of the catalogue."""
    records = job.records

    def of_plan(get: Any, missing: Any, kind: str) -> npt.NDArray[Any]:
        return np.array([get(plans[i]) if i in plans else missing for i in range(len(records))], kind)

    return {
        "name": texts([r.name for r in records]), "path": texts([r.path for r in records]), "stage": texts([r.stage for r in records]),
        "center": np.array([r.center for r in records], "<i4"), "patient": np.array([r.patient for r in records], "<i4"),
        "node": np.array([r.node for r in records], "<i4"), "annotated": np.array([r.annotation is not None for r in records], "u1"),
        "vendor": texts([plans[i].vendor if i in plans else "" for i in range(len(records))]),
        "width": of_plan(lambda p: p.width, 0, "<i8"), "height": of_plan(lambda p: p.height, 0, "<i8"),
        "mpp": of_plan(lambda p: np.nan if p.mpp is None else p.mpp, np.nan, "<f8"), "level": of_plan(lambda p: p.resolution.level, -1, "<i4"),
        "downsample": of_plan(lambda p: p.grid.downsample, np.nan, "<f8"),
        "status": statuses([str(problems[i]) if i in problems else "ok" if plans[i].places else NO_TISSUE for i in range(len(records))]),
    }


class Extraction:
    """The work of the rounds (ranks.rounds.Task): blocks in, rows out."""

    def __init__(self, job: Job, store: Store):
        self.job = job
        extract, patch = job.config.extract, job.config.data.patch
        self.most = held_rows(extract.buffer, patch)
        self.filler = Filler(extract, job.config.data.reader)
        self._store = store
        self._turn = Turn(job.comms.node)
        held = extract.storage == "pixels"
        self._buffers = [np.empty((self.most if held else unit_rows(patch), patch, patch, 3), np.uint8)
                         for _ in range(min(2, job.comms.world.size) if held else 1)]  # a rank alone writes each round before it begins the next
        self._reader: Reader | None = None
        self._units: Units | None = None
        self._mark = Mark()
        self._by_slide = extract.sampling == "random"
        self._told: dict[int, SlideError] = {}  # of the outcome that is about to be told

    @property
    def scratch(self) -> npt.NDArray[np.uint8]:
        return self._buffers[0]

    def extract(self, units: Units, reader: Reader, mark: Mark, progress: Progress) -> Mark:
        """Write the rows of all units, from where `mark` stands; collective."""
        self._units, self._reader, self._mark = units, reader, mark
        reach = reach_of(units.weights)
        if mark.blocks > len(units):
            raise UserError("patches.h5.partial is further than the work there is", self.job.work, "remove it and run again")
        world = self.job.comms.world
        most = round_rows(units.weights, self.most, world.size)
        rounds: Rounds[Rows] = Rounds(world, units.weights, most, self.job.clock, self.job.signals)
        self.filler.between_tiles = lambda: self._nudge(rounds)

        def tell(now: Standing) -> None:
            progress.update(int(reach[now.blocks]), f"{now.sums[0]:,} rows kept", units.at(now.blocks, self.job.records), slowest(now))

        rows, size, _ = rounds.run(self, mark.blocks, np.array([mark.rows, mark.bytes, 0]), tell).tolist()
        self.filler.between_tiles = lambda: None
        self.job.clock.seconds["decode"] = self.filler.decode_seconds
        return self._at(len(units), rows, size)

    def work(self, share: Share) -> Rows:
        assert self._units is not None and self._reader is not None
        self._buffers.reverse()  # the other one holds rows that are still to be written
        with self.job.clock.phase("read"):
            rows = self._reader.rows(self._units, share.start, share.stop, self._buffers[0])
        self.job.clock.count("read", len(rows), sum(c.nbytes for c in rows.columns.values()))
        rows.errors = {i: e for i, e in self._reader.errors.items() if i not in self._told}
        self._told.update(rows.errors)
        return rows

    def _nudge(self, rounds: Rounds[Rows]) -> None:
        begun = time.perf_counter()
        rounds.nudge(self._may_put)
        self.job.clock.seconds["read"] -= time.perf_counter() - begun

    def _may_put(self, total: npt.NDArray[np.int64]) -> bool:
        """Whether this rank may write in the midst of reading: it needs no other, and none of the node is writing."""
        return total[2] == 0 and self.job.config.extract.io == "independent" and self._turn.take()

    def sizes(self, outcome: Rows | None) -> tuple[int, int, int]:
        return (len(outcome), outcome.jpeg_size, len(outcome.errors)) if outcome is not None else (0, 0, 0)

    def put(self, outcome: Rows, before: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> None:
        if total[2]:
            self.note_errors(outcome.errors)
        try:
            with self._turn:
                written = self._store.write_rows(outcome, int(before[0]), int(before[1]))
        except OSError as e:
            raise write_error(e, self.job.work / "patches.h5", outcome.nbytes) from None
        self.job.clock.count("write", len(outcome), written)

    def finished(self, blocks: int, before: npt.NDArray[np.int64]) -> None:
        self._store.mark(self._at(blocks, int(before[0]), int(before[1])))

    def _at(self, blocks: int, rows: int, size: int) -> Mark:
        """The mark after `blocks` units: counted from the slide they lie in, so that a rerun may begin at any slide (random sampling does)."""
        assert self._units is not None
        slides = self._units.slide
        slide = int(slides[blocks]) if blocks < len(slides) else int(slides[-1]) + 1 if len(slides) else self._mark.slides
        if not self._by_slide:
            return Mark(0, blocks, blocks, rows, size)
        return Mark(slide, blocks - int(np.searchsorted(slides, slide)), self._mark.total - self._mark.blocks + blocks, rows, size)

    def note_errors(self, errors: dict[int, SlideError]) -> None:
        """Write into the file which slides had tiles that could not be read, the first one in row order; collective, before the blocks are marked."""
        world = self.job.comms.world
        every: dict[int, SlideError] = {}
        for part in world.allgather(errors):  # ranks have their blocks in row order
            every.update({i: e for i, e in part.items() if i not in every})
        if world.rank == 0:
            for i, e in every.items():
                self._store.note(i, str(e))

    def mark(self, mark: Mark) -> Mark:
        """Collective."""
        with fence(self.job.comms.world):
            if self.job.comms.world.rank == 0:
                self._store.mark(mark)
        return mark

    def abandon(self) -> None:
        """Close after a failure that all ranks know of; collective."""
        self._turn.close()
        self.filler.close()
        self._store.abandon()

    def close(self) -> None:
        """Bring everything to the disk; collective, raises on all ranks alike."""
        self._turn.close()
        self.filler.close()
        error: Exception | None = None
        try:
            self._store.close()
        except OSError as e:
            error = write_error(e, self.job.work / "patches.h5", 1 << 20)
        agree(self.job.comms.world, error)


def _dense(task: Extraction, plans: dict[int, SlidePlan], mark: Mark) -> Mark:
    """Every window on tissue, block after block; collective."""
    config = task.job.config
    units = _dense_units(task.job, plans)

    @functools.lru_cache(maxsize=2)  # the parts of a large block come one after the other
    def candidates(slide: int, block: int) -> Candidates:
        return window_candidates(plans[slide], config, block)

    reader = Reader(config, plans, candidates, task.filler)
    progress = Progress(task.job.log, "windows", int(units.weights.sum()), done=int(units.weights[:mark.blocks].sum()))
    return task.extract(units, reader, mark, progress)


def _dense_units(job: Job, plans: dict[int, SlidePlan]) -> Units:
    return own_units(job.config, units_of([p.windows for p in plans.values()], list(plans), job.config.data.patch))


def _random(task: Extraction, plans: dict[int, SlidePlan], mark: Mark) -> Mark:
    """N per class and slide, group of slides after group of slides: choose, then write what was chosen; collective."""
    config, world = task.job.config, task.job.comms.world
    progress = Progress(task.job.log, "slides", len(task.job.records), done=mark.slides)
    while mark.slides < len(task.job.records):
        task.job.signals.stop_here(world)
        group = _next_group(mark.slides, len(task.job.records), 2 * config.extract.per_class, task.most * world.size)
        progress.update(mark.slides, f"{mark.rows:,} rows kept", f"choosing patches of slides {group.start + 1:,} to {group.stop:,}")
        with task.job.clock.phase("select"):
            chosen = _choose(task, {i: plans[i] for i in group if i in plans})
        units, candidates = units_at(plans, chosen, config.data.patch)
        reader = Reader(config, plans, candidates, task.filler, chosen=True)
        progress.update(mark.slides)  # the patches say the rest
        mark = task.extract(units, reader, mark, Progress(task.job.log, "patches", int(units.weights.sum())))
        mark = task.mark(Mark(group.stop, 0, mark.total, mark.rows, mark.bytes))
        progress.update(mark.slides)
    return mark


def _next_group(start: int, stop: int, rows: int, enough: int) -> range:
    """Slides from `start` on whose rows, `rows` each, keep all ranks busy for a round: at least one slide."""
    return range(start, min(stop, start + max(1, enough // rows)))


def _choose(task: Extraction, plans: dict[int, SlidePlan]) -> dict[int, Candidates]:
    """The rows of random sampling for some slides, in row order; collective.

    A slide's owner draws candidates; all ranks look at them, each at its share; the owner judges; again, until no class is short of patches.
    """
    world, config = task.job.comms.world, task.job.config
    mine = [i for k, i in enumerate(plans) if k % world.size == world.rank]
    with fence(world):
        classes = {(i, label): Chosen(Draw(plans[i], config, label), config) for i in mine if plans[i].places for label in (0, 1)}
    while True:
        with fence(world):
            asked = {key: some for key, c in classes.items() if c.missing and len(some := c.ask())}
        every = dict(sorted(item for part in world.allgather(asked) for item in part.items()))
        if not every:
            break
        placed, seen_at = arrange(plans, every)
        units, candidates = units_at(plans, placed, config.data.patch)
        reader = Reader(config, plans, candidates, task.filler)
        share = contiguous_shares(reach_of(units.weights), 0, np.zeros(world.size), int(units.weights.sum()))[world.rank]
        with fence(world):
            seen = reader.verdicts(units, share.start, share.stop, task.scratch)
        seen = Verdicts.join(world.allgather(seen))
        task.note_errors(reader.errors)
        with fence(world):
            for key, some in asked.items():
                classes[key].judge(some, seen.take(seen_at[key]))
    with fence(world):
        kept, _ = arrange(plans, {key: c.kept() for key, c in classes.items()})
    return dict(sorted(item for part in world.allgather(kept) for item in part.items()))


def _tell(job: Job, plans: dict[int, SlidePlan], problems: dict[int, SlideError]) -> None:
    """Say what was made, and name the slides that gave nothing or less; collective."""
    told: tuple[list[str], list[SlideError]] = [], []
    with fence(job.comms.world):
        if job.comms.world.rank == 0:
            content = content_of(job.work / "patches.h5")
            bad = [SlideError(text, job.records[i].name) for i, text in enumerate(content.statuses) if text not in ("ok", NO_TISSUE) and i not in problems]
            told = _words(job, plans, content), bad
    lines, bad = job.comms.world.bcast(told, root=0)
    job.leave_out([*problems.values(), *bad])
    for line in lines:
        job.log.say(line)


def _words(job: Job, plans: dict[int, SlidePlan], content: Content) -> list[str]:
    counts = content.counts  # (slides, 3): label -1, 0, 1
    total = counts.sum(axis=0)
    lines = [f"  {total.sum():,} patches of {job.config.data.patch} px from {int((counts.sum(axis=1) > 0).sum())} slides: "
             f"{total[2]:,} tumour, {total[1]:,} normal, {total[0]:,} unknown; {in_bytes(content.size)}"]
    empty = [plans[i].record.name for i in plans if not plans[i].places]
    if empty:
        lines.append(f"  no tissue found on {_some(empty)}")
    if job.config.extract.sampling == "random":
        wanted = job.config.extract.per_class
        for label, word, able in ((0, "normal", [i for i in plans if plans[i].record.background == 0]),
                                  (1, "tumour", [i for i in plans if plans[i].annotated])):
            fewer = [f"{plans[i].record.name} ({counts[i, label + 1]})" for i in able if counts[i, label + 1] < wanted]
            if fewer:
                lines.append(f"  fewer than {wanted:,} {word} patches on {_some(fewer)}")
    return lines


def _some(names: list[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
