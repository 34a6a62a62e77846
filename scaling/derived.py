"""What follows from times: speed-up, efficiency, serial fraction, imbalance, rate."""
from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from .table import Row

# The tables' words for phases, and the program's own clock's; `filter` is what reading is besides decoding.
PHASES = {"open": "plan", "decode": "decode", "exchange": "wait", "write": "write"}


def karp_flatt(speed_up: float, ranks: float) -> float:
    """The serial fraction that a speed-up on `ranks` > 1 ranks shows (Karp and Flatt 1990): (1/S - 1/p) / (1 - 1/p)."""
    return (1 / speed_up - 1 / ranks) / (1 - 1 / ranks)


@dataclass(frozen=True)
class Point:
    """What a number of ranks did: the median of the repeats, and all of them. Against the fewest ranks of the study; nan where it makes no sense."""

    ranks: int
    seconds: float
    repeats: tuple[float, ...]
    tiles: int
    bytes: int
    speed_up: float
    efficiency: float
    serial_fraction: float
    imbalance: float  # slowest rank over mean, of the phase that does the work
    work: float  # seconds of that phase on the slowest rank: without start, plan and end
    work_speed_up: float
    phases: dict[str, float]  # mean over ranks, median of the repeats

    @property
    def tiles_per_second(self) -> float:
        return self.tiles / self.seconds


WORK_PHASE = {"extract": "read", "train": "step", "infer": "predict"}


def points(rows: Sequence[Row], study: str, label: str, stage: str) -> list[Point]:
    """A point per number of ranks, fewest first. Speed-up is of tiles per second, so that it holds for weak scaling too.

    Of slides of the side that was measured last: medians over several would mean nothing.
    """
    mine = [r for r in rows if (r.study, r.label, r.stage) == (study, label, stage)]
    mine = [r for r in mine if r.side == mine[-1].side]
    found: list[Point] = []
    for n in sorted({r.ranks for r in mine}):
        of = [r for r in mine if r.ranks == n]
        whole = [r for r in of if r.phase == "stage"]
        if not whole:
            continue
        seconds = statistics.median(r.seconds_max for r in whole)
        phases = {p: statistics.median(r.seconds_mean for r in of if r.phase == p) for p in dict.fromkeys(r.phase for r in of)}
        work = [r for r in of if r.phase == WORK_PHASE.get(stage) and r.seconds_mean > 0]
        work_seconds = statistics.median(r.seconds_max for r in work) if work else float("nan")
        tiles, size = whole[0].tiles, max(r.bytes for r in of)
        first = found[0] if found else None
        gain = tiles / seconds / first.tiles_per_second if first is not None else 1.0
        work_gain = tiles / work_seconds / (first.tiles / first.work) if first is not None else 1.0
        ratio = n / first.ranks if first is not None else 1.0
        found.append(Point(n, seconds, tuple(r.seconds_max for r in whole), tiles, size, gain, gain / ratio,
                           karp_flatt(gain, ratio) if ratio > 1 else float("nan"),
                           statistics.median(r.seconds_max / r.seconds_mean for r in work) if work else float("nan"), work_seconds, work_gain, phases))
    return found


def named_phases(phases: dict[str, float]) -> dict[str, float]:
    """Seconds of extraction by open, decode, filter, exchange, write."""
    named = {ours: phases.get(theirs, 0.0) for ours, theirs in PHASES.items()}
    return {**named, "filter": max(0.0, phases.get("read", 0.0) - phases.get("decode", 0.0))}
