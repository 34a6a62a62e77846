"""The program under MPI: start, walk the stages, end every rank with one code."""
from __future__ import annotations

import dataclasses
import errno
import fcntl
import importlib
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from . import config as cfg
from . import staging
from .errors import DONE, FAULT, SLIDES_FAILED, UserError, file_system_error
from .job import Job
from .patches.shard import folder_of
from .plan.brief import brief
from .ranks import Clock, Communicators, Log, Signals, fence, finish, start
from .ranks.fence import RankFault, exit_code
from .ranks.log import Volume
from .slides import SlideRecord, catalogue, catalogue_digest
from .stages import BY_NAME, SLIDES, STAGES, Stage, State, outputs, state
from .words import duration, size


def run(stages: list[str], config_path: Path, overrides: list[str], volume: Volume = "normal", forced: str | None = None) -> int:
    """Run the named stages in order on all ranks, and return the exit code, the same on all; collective, from the start of MPI to its end."""
    return _on_all_ranks(lambda comms: _stages(comms, stages, config_path, overrides, volume, forced), volume)


def merge(config_path: Path, overrides: list[str], volume: Volume = "normal") -> int:
    """Put the shares of an extraction together; collective, as `run`."""
    return _on_all_ranks(lambda comms: _merge(comms, config_path, overrides, volume), volume)


def stage_slides(config_path: Path, overrides: list[str], volume: Volume = "normal") -> int:
    """Copy the slides to the nodes' own disks, `data.stage`; collective, as `run`."""
    return _on_all_ranks(lambda comms: _stage(comms, config_path, overrides, volume), volume)


def verify(config_path: Path, overrides: list[str], volume: Volume = "normal") -> int:
    """Look whether the files in `work` hold what was written; collective, as `run`."""
    return _on_all_ranks(lambda comms: _verify(comms, config_path, overrides, volume), volume)


def _on_all_ranks(act: Callable[[Communicators], int], volume: Volume) -> int:
    comms = start()
    code = FAULT
    try:
        code = act(comms)
    except (UserError, RankFault) as e:
        code = exit_code(e)
        if comms.world.rank == 0:
            _report(e, volume)
    finish()
    return code


def _report(error: UserError | RankFault, volume: Volume) -> None:
    if isinstance(error, UserError):
        if volume == "verbose":
            traceback.print_exception(error)
        print(f"mpicamnet: error: {error}", file=sys.stderr, flush=True)
    else:
        print(f"mpicamnet: fault of the program on {error}", file=sys.stderr, flush=True)


def _stages(comms: Communicators, stages: list[str], config_path: Path, overrides: list[str], volume: Volume, forced: str | None) -> int:
    world = comms.world
    signals = Signals()
    config, records, slides_digest = _prepare(comms, config_path, overrides)
    shard = cfg.shard_of(config)
    if shard is not None and stages != ["extract"]:
        raise UserError(f"`extract.shard` is {config.extract.shard}, and only `mpicamnet extract` works on a share", config_path,
                        "make all shares so, then `mpicamnet merge`; then take the key out and go on")
    if shard is not None:
        config = dataclasses.replace(config, work=str(folder_of(Path(config.work), *shard)))
    comms = comms.with_members(config.train.ranks, config.infer.ranks_per_device)
    work = Path(config.work)
    with fence(world, work):
        if world.rank == 0:
            _refuse_two_numbers_of_threads(stages, config)
    _held, log = _enter(comms, work, volume, config.log_every)
    failed, staged, begun_one = 0, False, False
    for stage in (s for s in STAGES if s.name in stages):
        now = _state(comms, stage, config, slides_digest)
        if now.done and stage.name != forced:
            log.say(f"{stage.name}: done before, {now.why}")
            continue
        if not begun_one and len(stages) > 1:
            _say_plan(comms, log, config, records, stages[stages.index(stage.name):])
        begun_one = True
        log.say(f"{stage.name}: {stage.does}, on {world.size} rank{'s' * (world.size > 1)}" + (f" ({now.why})" if now.why else ""))
        signals.stop_here(world)
        job = Job(config, comms, log, Clock(), signals, records, now.digest, work)
        if config.data.stage is not None and not staged and _reads_slides(stage, config):
            with log.showing("staging", lambda: signals.caught != 0):
                staged, records = True, staging.run(job)
                job.write_timing("staging", staging.PHASES)
            job = dataclasses.replace(job, clock=Clock(), records=records)
        begun = time.monotonic()
        with log.showing(stage.name, lambda: signals.caught != 0):
            importlib.import_module(stage.module).run(job)
        failed += len(job.failed)
        log.say(f"{stage.name}: {stage.output} in {duration(time.monotonic() - begun)}")
    if len(stages) > 1:
        with fence(world, work):
            if world.rank == 0:
                _say_outputs(log, work)
    return SLIDES_FAILED if failed else DONE


def _say_plan(comms: Communicators, log: Log, config: cfg.Config, records: list[SlideRecord], stages: list[str]) -> None:
    """What lies ahead from the first stage that is not done; collective."""
    with fence(comms.world, config.work):
        if comms.world.rank == 0:
            for line in brief(config, records, stages, comms.world.size):
                log.say(line)


def _say_outputs(log: Log, work: Path) -> None:
    log.say(f"made, in {work}:")
    for name, files, n in outputs(work):
        log.say(f"  {name:<25} {size(n):>8}" + (f"  {files:,} files" if name.endswith("/") else ""))


def _reads_slides(stage: Stage, config: cfg.Config) -> bool:
    return SLIDES in stage.inputs or ("extract" in stage.inputs and config.extract.storage == "coords")


def _stage(comms: Communicators, config_path: Path, overrides: list[str], volume: Volume) -> int:
    signals = Signals()
    config, records, _ = _prepare(comms, config_path, overrides)
    if config.data.stage is None:
        raise UserError("there is no folder to copy the slides to", config_path, "say `--to DIR`, or set `data.stage`")
    staging.run(Job(config, comms, Log(comms.world.rank, volume), Clock(), signals, records, "", Path(config.work)))
    return DONE


def _verify(comms: Communicators, config_path: Path, overrides: list[str], volume: Volume) -> int:
    from .verify import verify as verified

    work: Path | None = None
    with fence(comms.world):
        if comms.world.rank == 0:
            work = Path(cfg.load(config_path, overrides).work)  # no catalogue: the slides may be elsewhere by now
    verified(comms.world, comms.world.bcast(work, root=0), Log(comms.world.rank, volume))
    return DONE


def _merge(comms: Communicators, config_path: Path, overrides: list[str], volume: Volume) -> int:
    from .patches import merge as merging

    signals = Signals()
    config, records, slides_digest = _prepare(comms, config_path, overrides)
    shard, work, extract = cfg.shard_of(config), Path(config.work), BY_NAME["extract"]
    config = dataclasses.replace(config, extract=dataclasses.replace(config.extract, shard=None))  # what is made is the whole
    _held, log = _enter(comms, work, volume, config.log_every)
    now = _state(comms, extract, config, slides_digest)
    if now.done:
        log.say(f"merge: done before, {now.why}")
        return DONE
    begun = time.monotonic()
    job = Job(config, comms, log, Clock(), signals, records, now.digest, work)
    with log.showing("merge", lambda: signals.caught != 0):
        merging.run(job, shard[1] if shard is not None else None)
    log.say(f"merge: {extract.output} in {duration(time.monotonic() - begun)}")
    return SLIDES_FAILED if job.failed else DONE


def _enter(comms: Communicators, work: Path, volume: Volume, every: float) -> tuple[TextIO | None, Log]:
    """The lock on `work`, which holds as long as the file is kept (on rank 0), and the log; collective."""
    held: TextIO | None = None
    with fence(comms.world, work):
        if comms.world.rank == 0:
            work.mkdir(parents=True, exist_ok=True)
            held = _locked(work)
        log = Log(comms.world.rank, volume, work / "run.log", every)
    return held, log


def _prepare(comms: Communicators, config_path: Path, overrides: list[str]) -> tuple[cfg.Config, list[SlideRecord], str]:
    """Config and catalogue, read by rank 0 and told to all; makes `work`. Collective."""
    world = comms.world
    found: tuple[cfg.Config, list[SlideRecord], str] | None = None
    with fence(world):
        _refuse_serial_hdf5()
        if world.rank == 0:
            config = cfg.load(config_path, overrides)
            records = catalogue(config.data)
            found = config, records, catalogue_digest(records)
            try:
                Path(config.work).mkdir(parents=True, exist_ok=True)
            except OSError as e:
                raise file_system_error(e, config.work) from None
    told: tuple[cfg.Config, list[SlideRecord], str] = world.bcast(found, root=0)
    return told


def _refuse_serial_hdf5() -> None:
    import h5py

    if not h5py.get_config().mpi:
        raise UserError("this h5py is serial, built without MPI", h5py.__file__, "say `make setup`, which builds it on parallel HDF5")


def _refuse_two_numbers_of_threads(stages: list[str], config: cfg.Config) -> None:
    """TensorFlow takes one number of threads in a process: better said before training than after it."""
    train, infer = config.train.threads, config.infer.threads
    if {"train", "infer"} <= set(stages) and infer not in (None, train) and not (Path(config.work) / BY_NAME["train"].output).exists():
        raise UserError(f"`train.threads` is {train} and `infer.threads` is {infer}", "", "make them equal, or run the stages apart: `mpicamnet train`, "
                        "then `mpicamnet infer`")


def _locked(work: Path) -> TextIO:
    """A lock on `work` that ends with the process; raises UserError where another run holds it: two would spoil each other's files."""
    file = (work / ".lock").open("a+", encoding="utf-8")
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as e:
        if e.errno in (errno.EACCES, errno.EAGAIN):
            file.seek(0)
            raise UserError(f"another run is at work here ({file.read().strip() or 'just begun'})", work,
                            "wait for it, stop it, or choose another `work`") from None
        raise  # a file system without locks says so here
    file.truncate(0)
    file.write(f"{socket.gethostname()}, process {os.getpid()}, job {os.environ.get('SLURM_JOB_ID', 'none')}")
    file.flush()
    return file


def _state(comms: Communicators, stage: Stage, config: cfg.Config, slides_digest: str) -> State:
    found: State | None = None
    with fence(comms.world, config.work):
        if comms.world.rank == 0:
            found = state(stage, config, slides_digest)
    told: State = comms.world.bcast(found, root=0)
    return told


def names_of(first: str | None, only: list[str] | None, forced: str | None) -> list[str]:
    """The stages that `run` walks, given --from, --only and --force."""
    names = [s.name for s in STAGES]
    for name in [first, forced, *(only or [])]:
        if name is not None and name not in BY_NAME:
            raise UserError(f"there is no stage `{name}`", "", "the stages are " + ", ".join(names))
    if first is not None:
        names = names[names.index(first):]
    walked = [n for n in names if not only or n in only]
    if forced is not None and forced not in walked:
        raise UserError(f"`--force {forced}`, but that stage is not among those to run", "", "they are " + ", ".join(walked))
    return walked
