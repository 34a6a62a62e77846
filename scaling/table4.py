"""The paper's Table 4, row by row: what was measured here, what larger machines would take by the model, what the paper gives."""
from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from .calibration import elsewhere
from .machine import Machine
from .simulation import Costs, Work, simulate
from .table import Row

PAPER = Path(__file__).with_name("paper.yaml")
NODES = (10, 1000)
LABELS = tuple(f"{how}, {count} WSI" for how in ("random", "dense") for count in (1, 5))


@dataclass(frozen=True)
class Entry:
    """Seconds of a whole process of extraction, from its start to its end. `side`: px of the slides; `paper`: the paper's seconds, None: not at hand."""

    label: str
    side: int
    where: str
    seconds: float
    measured: bool
    patches: int
    paper: float | None
    cpu: float | None = None  # seconds of all ranks on cores; predicted entries have none
    load: float | None = None  # processes that wanted a core when it was measured


def paper_numbers(path: Path = PAPER) -> dict[str, Any]:
    """What the paper gives, as far as it is known."""
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def entries(rows: Sequence[Row], costs: Costs, machine: Machine) -> list[Entry]:
    """All rows that were measured, largest slides of each label only; each followed by the same work on `NODES` nodes of `machine`."""
    known, found = paper_numbers()["table4"], []
    for label in LABELS:
        mine = [r for r in rows if (r.study, r.label) == ("table4", label)]
        side = max((r.side for r in mine), default=0)
        mine = [r for r in mine if r.side == side]
        for ranks in sorted({r.ranks for r in mine}):
            of = [r for r in mine if r.ranks == ranks]

            def median(stage: str, phase: str, of: Sequence[Row] = of) -> float:
                return statistics.median(r.seconds_max for r in of if (r.stage, r.phase) == (stage, phase))

            where = f"{ranks} core{'s' * (ranks > 1)}"
            tiles = next(r.tiles for r in of if r.stage == "extract")
            found.append(Entry(label, side, where, median("process", "wall"), True, tiles, known[label].get(where), median("process", "cpu"),
                               statistics.median(r.load for r in of)))
        one = [r for r in mine if r.ranks == 1 and r.stage == "extract"]
        if one:
            found += [Entry(label, side, f"{n:,} nodes", _elsewhere(one, costs, machine, n), False, one[0].tiles,
                            known[label].get(f"{n} nodes")) for n in NODES]
    return found


def _elsewhere(one: Sequence[Row], costs: Costs, machine: Machine, nodes: int) -> float:
    """Seconds of the work of these rows, of one rank, on so many nodes."""
    windows = max(1, next(r.items for r in one if r.phase == "read"))
    reading = sum(statistics.median(r.seconds_mean for r in one if r.phase == phase) for phase in ("select", "read"))
    blocks = np.full(-(-windows // 324), 324, np.int64)
    blocks[-1] -= len(blocks) * 324 - windows
    return simulate(Work(blocks, one[0].slides, 13_200.0, 3.0 * 224**2), machine, dataclasses.replace(elsewhere(costs), window=reading / windows),
                    nodes).seconds
