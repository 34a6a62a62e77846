"""Predictions: first of runs that were measured and not used, with the error; then of the paper's whole archive on large machines."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .calibration import calibrated, elsewhere, work_of
from .machine import Machine
from .simulation import Costs, Outcome, Work, simulate
from .table import Row

BAR = 0.15
PATCHES = 43_000_000  # of the paper's whole archive, all in all 7 TB
BYTES = 7e12
SLIDES = 1000
ROUNDS = 100  # as many of one kind show how long the others take


@dataclass(frozen=True)
class Check:
    """A run that was measured and not used for the calibration."""

    study: str
    ranks: int
    slides: int
    side: int
    measured: float
    predicted: float

    @property
    def error(self) -> float:
        return self.predicted / self.measured - 1


def checks(rows: Sequence[Row], here: Machine) -> list[Check]:
    """Dense extractions that the calibration has not seen (all but `strong` on 1 and 2 ranks): the stage's measured seconds, and predicted ones."""
    costs, measured_on = calibrated(rows, here)
    found = []
    held_out = [r for r in rows if (r.label, r.stage, r.phase) == ("extract", "extract", "stage") and not (r.study == "strong" and r.ranks <= 2)]
    for key in sorted({(r.study, r.ranks, r.slides, r.side) for r in held_out}):
        # The least disturbed repeat, as in the calibration.
        seconds = min(r.seconds_max for r in held_out if (r.study, r.ranks, r.slides, r.side) == key)
        study, ranks, slides, side = key
        found.append(Check(study, ranks, slides, side, seconds, simulate(work_of(slides, side), measured_on, costs, 1, ranks).seconds))
    return found


def archive(parts: int = 1) -> Work:
    """43 M patches, 7 TB, 1,000 slides, or a part of it: blocks of 324 windows, tissue all over; 163 kB per patch, as the paper's two numbers say."""
    patches = PATCHES // parts
    blocks = -(-patches // 324)
    windows = np.full(blocks, 324, np.int64)
    windows[-1] -= blocks * 324 - patches
    return Work(windows, max(1, SLIDES // parts), 13_200.0, BYTES / PATCHES)


def points(costs: Costs, machine: Machine, nodes: Sequence[int]) -> list[tuple[int, Outcome]]:
    """The archive on each number of nodes, each with a rank per core.

    Where rounds are so many that they are all alike, a part of the archive is simulated, and what its rounds took counted so many times.
    """
    return [(n, _whole(costs, machine, n)) for n in nodes]


def _whole(costs: Costs, machine: Machine, nodes: int) -> Outcome:
    parts = max(1, PATCHES // 324 // (nodes * machine.cores) // ROUNDS)
    part = simulate(archive(parts), machine, elsewhere(costs), nodes)
    causes = {name: seconds if name == "start and plan" else seconds * parts for name, seconds in part.causes.items()}
    return Outcome(sum(causes.values()), part.rounds * parts, part.ranks, causes)


def beyond(machine: Machine, nodes: int) -> bool:
    """Whether so many nodes are more than the machine has."""
    return nodes > machine.nodes
