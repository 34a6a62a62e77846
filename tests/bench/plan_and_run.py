"""Plan against run: rows, bytes, seconds and memory by stage, as planned, as they became, and the ratio.

    python -m tests.bench.plan_and_run CONFIG [--ranks N] [--set KEY=VALUE ...]     in a `work` that is empty, or holds a timing.jsonl to plan by
"""
from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import h5py

from mpicamnet import config as cfg
from mpicamnet.plan.command import Plan, make_plan
from mpicamnet.timings import StageTime, read_timings

# What a stage leaves, relative to `work`.
LEFT = {"extract": ("patches.h5",), "train": ("train",), "infer": ("infer",), "evaluate": ("evaluate",), "explain": ("explain",), "report": ("report.html",)}


def bytes_of(work: Path, stage: str) -> int:
    paths = [p for name in LEFT[stage] for p in ([work / name] if (work / name).is_file() else (work / name).rglob("*"))]
    return sum(p.stat().st_size for p in paths if p.is_file())


def compare(plan: Plan, work: Path, wall: float | None = None) -> list[tuple[str, str, float, float]]:
    """(stage, what, planned, became) of all stages that were planned; seconds of `all` are `wall`, where it is known, else those of the stages."""
    times: dict[str, StageTime] = {t.stage: t for t in read_timings(work / "timing.jsonl")[0]}
    with h5py.File(work / "patches.h5", "r") as f:
        found = [("extract", "rows", float(plan.work.rows), float(len(f["slide"])))]
    with h5py.File(work / "infer" / "predictions.h5", "r") as f:
        found.append(("infer", "tiles", float(plan.work.tiles), float(len(f["slide"]))))
    for e in plan.todo:
        found += [(e.stage, "bytes", e.size, float(bytes_of(work, e.stage))), (e.stage, "seconds", e.seconds, times[e.stage].seconds)]
    stages = [e.stage for e in plan.todo]
    found += [("all", "bytes", sum(e.size for e in plan.todo), float(sum(bytes_of(work, s) for s in stages))),
              ("all", "seconds", sum(e.seconds for e in plan.todo), wall or sum(times[s].seconds for s in stages)),
              ("all", "memory", max(e.memory for e in plan.todo), float(max(times[s].memory for s in stages)))]
    return found


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("config", type=Path)
    p.add_argument("--ranks", type=int, default=2)
    p.add_argument("--set", action="append", default=[])
    p.add_argument("--done", action="store_true", help="the run has been made: only plan, as into an empty folder, and compare")
    a = p.parse_args()
    config = cfg.load(a.config, a.set)
    work, wall = Path(config.work), None
    if a.done:
        elsewhere = work.with_name(work.name + ".planned")
        plan = make_plan(cfg.load(a.config, [*a.set, f"work={elsewhere}"]), a.ranks)
    else:
        plan = make_plan(config, a.ranks)
        begun = time.perf_counter()
        words = ["mpirun", "--oversubscribe", "-n", str(a.ranks), sys.executable, "-m", "mpicamnet", "run", str(a.config)]
        subprocess.run([*words, *(w for s in a.set for w in ("--set", s))], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
        wall = time.perf_counter() - begun
    for stage, what, planned, became in compare(plan, work, wall):
        print(f"{stage:>9} {what:>8}  planned {planned:>16,.1f}  became {became:>16,.1f}  ratio {planned / max(became, 1e-9):.2f}")


if __name__ == "__main__":
    main()
