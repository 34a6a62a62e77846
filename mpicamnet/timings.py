"""timing.jsonl read again: how long each stage took the last time, and what it was then that decides its speed."""
from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .config import Config


@dataclass(frozen=True)
class StageTime:
    """The last time that a stage was finished: its phases as lines of timing.jsonl. `seconds`: of the whole stage on the slowest rank; `like`: see
    `likeness`; `memory`: the most that a rank had held by then, bytes (0: not known)."""

    stage: str
    ranks: int
    seconds: float
    commit: str
    time: str
    phases: list[dict[str, Any]]
    like: str = ""
    memory: int = 0

    def items(self, phase: str) -> int:
        """What the phase says that it worked on; 0 where it does not say."""
        return next((int(p["items"]) for p in self.phases if p["phase"] == phase), 0)


def read_timings(path: Path) -> tuple[list[StageTime], int]:
    """The last times of each stage, in the order in which they ended, and how many lines of timing.jsonl cannot be read (a kill cuts the last)."""
    last: dict[str, list[dict[str, Any]]] = {}
    unread = 0
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else []:
        try:
            row = json.loads(line)
            stage, when = str(row["stage"]), str(row["time"])
        except (ValueError, KeyError, TypeError):
            unread += 1
            continue
        if stage in last and last[stage][0]["time"] == when:
            last[stage].append(row)
        else:
            last.pop(stage, None)
            last[stage] = [row]
    return [_stage_time(stage, rows) for stage, rows in last.items()], unread


def _stage_time(stage: str, rows: list[dict[str, Any]]) -> StageTime:
    whole = [r for r in rows if r["phase"] == "stage"]
    seconds = max(r["seconds"]["max"] for r in whole or rows)
    first = rows[0]
    return StageTime(stage, int(first["ranks"]), seconds, str(first.get("commit", "")), str(first["time"]), [r for r in rows if r["phase"] != "stage"],
                     str(first.get("like", "")), int(first.get("memory", 0)))


def likeness(stage: str, config: Config) -> str:
    """What the speed of a stage depends on besides the amount of work and the number of ranks; times of runs that differ in it say nothing of each other."""
    data, extract, train, infer, explain = config.data, config.extract, config.train, config.infer, config.explain
    side = f"{data.patch} px"
    reading = side + (f" at {data.mpp:g} um" if data.mpp is not None else f" of level {data.level}") + f", {data.reader}"
    network = infer.model or train.model
    if stage == "extract":
        return f"{extract.sampling}, {reading}, {extract.storage}, {extract.buffer} + {extract.cache} MiB"
    if stage == "train":
        frozen = min(train.freeze, train.epochs) / train.epochs
        return f"{train.model}, {side}, batches of {train.batch}, {train.precision}, {train.threads} threads, {extract.storage}" + \
            ", SyncBN" * train.sync_batchnorm + (f", {frozen:.0%} of epochs head only" if frozen else "")
    if stage == "infer":
        return f"{network}, {reading}, batches of {infer.batch}, {infer.tta}, {infer.threads or train.threads} threads"
    if stage == "explain":
        return f"{network}, {side}, {' '.join(explain.methods)}, lime {explain.lime.samples} x {len(explain.lime.seeds)}"
    if stage == "evaluate":
        return f"bootstrap {config.evaluate.bootstrap}, forest {config.evaluate.forest}"
    return "cards of slides" if stage == "report" else stage
