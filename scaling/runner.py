"""Run a case: one process of the program under mpirun, or srun inside a SLURM job; read what it says of its time."""
from __future__ import annotations

import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from mpicamnet.errors import UserError
from mpicamnet.job import commit
from mpicamnet.made import recorded
from mpicamnet.stages import BY_NAME

from .cases import Case, Slides
from .frames import held
from .table import Row


def command_of(ranks: int, words: list[str], environment: Mapping[str, str], cores: int) -> list[str]:
    """`words` on so many ranks: by srun inside a SLURM job, else by mpirun, with each rank on a core of its own while there are enough, and as many on
    each core where that comes out even: left to themselves, three may share one for a while, and all wait for these."""
    if "SLURM_JOB_ID" in environment:
        return ["srun", "--mpi=pmix", "-n", str(ranks), *words]
    if ranks <= cores:
        bound = ["core"]
    elif ranks % cores == 0:
        bound = ["core:overload-allowed", "--map-by", "core", "--oversubscribe"]
    else:
        bound = ["none", "--oversubscribe"]
    return ["mpirun", "--bind-to", *bound, "-n", str(ranks), *words]


def environment_of(environment: Mapping[str, str]) -> dict[str, str]:
    """What a run needs besides. How ranks wait is the program's to say: it is measured as it is used."""
    return {"OMPI_MCA_btl_vader_single_copy_mechanism": "none", **environment,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *filter(None, [environment.get("PYTHONPATH", "")])])}


def cohort(slides: Slides, folder: Path) -> Path:
    """The folder of a drawn cohort; drawn once."""
    root = folder / slides.name
    words = [sys.executable, "-m", "mpicamnet", "synth", str(root), "--slides", str(slides.count), "--size", str(slides.side), "--tissue", slides.tissue]
    done = subprocess.run(words, env=environment_of(os.environ), capture_output=True, text=True)
    if done.returncode:
        raise UserError(f"slides cannot be drawn ({done.stderr.strip()})", root, "look at the disk")
    return root


def run(case: Case, repeat: int, folder: Path, timeout: float) -> list[Row]:
    """Run a case in a folder of its own below `folder`, which is removed afterwards; its rows. Raises UserError where the program fails."""
    folder = folder.resolve()  # in a config, paths are from where the config is
    root, work = cohort(case.slides, folder / "slides"), folder / f"work-{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    config = work / "config.yaml"
    data = {"layout": "camelyon17", "root": str(root), **case.config.get("data", {})}
    config.write_text(yaml.safe_dump({**case.config, "work": str(work / "made"), "data": data}))
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    only = [word for stage in case.stages for word in ("--only", stage)]
    words = command_of(case.ranks, [sys.executable, "-m", "mpicamnet", "run", str(config), *only], os.environ, cores)
    here = 0 if "SLURM_JOB_ID" in os.environ else case.output_bytes  # elsewhere other nodes write
    with held(here, work / "made" / "patches.h5.partial", case.ranks):
        begun, cpu = time.perf_counter(), _cpu_of_children()
        try:
            done = subprocess.run(words, env=environment_of(os.environ), capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise UserError(f"{case.study}, {case.label}, {case.ranks} ranks did not end in {timeout:.0f} s", work, "see `--timeout`") from None
        wall, cpu = time.perf_counter() - begun, _cpu_of_children() - cpu
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("mpicamnet:")] or done.stderr.strip().splitlines() or ["no word"]
        raise UserError(f"{case.study}, {case.label}, {case.ranks} ranks failed ({said[0]})", work, "run it by hand: its config is there")
    made = work / "made"
    digests = {stage: recorded(made / BY_NAME[stage].output).config_digest for stage in case.stages}
    lines = [json.loads(line) for line in (made / "timing.jsonl").read_text().splitlines()]
    lines += [{"stage": "process", "phase": name, "seconds": dict.fromkeys(("min", "mean", "max"), s), "items": 0, "bytes": 0}
              for name, s in (("wall", wall), ("cpu", cpu))]
    rows = rows_of(lines, case, repeat, digests, (commit(), socket.gethostname(), cores, round(load, 1), time.strftime("%Y-%m-%dT%H:%M:%S%z")))
    shutil.rmtree(work)
    return rows


def rows_of(lines: list[dict[str, Any]], case: Case, repeat: int, digests: dict[str, str], where: tuple[str, str, int, float, str]) -> list[Row]:
    """The lines of timing.jsonl as rows of the table; `where` is commit, host, cores, load, date."""
    tiles = {stage: max((int(line["items"]) for line in lines if line["stage"] == stage), default=0) for stage in {line["stage"] for line in lines}}
    commit_, host, cores, load, date = where
    return [Row(commit_, digests.get(line["stage"], ""), host, cores, load, date, case.study, case.label, case.ranks, case.slides.count, case.slides.side,
                tiles[line["stage"]], repeat, line["stage"], line["phase"], float(line["seconds"]["min"]), float(line["seconds"]["mean"]),
                float(line["seconds"]["max"]), int(line["bytes"]), int(line["items"])) for line in lines]


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
