"""From what `strong` measured on few ranks to the costs of the simulation."""
from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Sequence

import numpy as np

from mpicamnet.config import Extract
from mpicamnet.errors import UserError
from mpicamnet.patches.grid import block_side
from mpicamnet.ranks.shares import contiguous_shares, reach_of

from .machine import Machine
from .simulation import Costs, Work
from .table import Row

WINDOW_PX = 224


def work_of(slides: int, side: int, bytes_in: float = 13_200.0) -> Work:
    """Dense extraction of slides that are tissue all over: 224 px windows in blocks as the program cuts them.

    `bytes_in`: a window's share of the slide's file; 2.11 bit per px is what real tissue takes at quality 85 (224 x 224 x 2.11 / 8).
    """
    along = side // WINDOW_PX if side >= WINDOW_PX else 0
    per_block = block_side(Extract().block, WINDOW_PX) // WINDOW_PX
    runs = np.diff(np.append(np.arange(0, along, per_block), along))
    return Work(np.tile(np.outer(runs, runs).ravel(), slides).astype(np.int64), slides, bytes_in, 3.0 * WINDOW_PX**2)


def calibrated(rows: Sequence[Row], here: Machine) -> tuple[Costs, Machine]:
    """Costs of the program and the machine it was measured on, from dense extraction by `strong` on 1 rank and on 2, of the slide measured last; raises
    UserError without 1."""
    extract = [r for r in rows if r.study == "strong" and r.label == "extract" and r.stage == "extract"]
    extract = [r for r in extract if r.side == extract[-1].side]
    one = [r for r in extract if r.ranks == 1]
    if not one:
        raise UserError("dense extraction was not measured on one rank", "", "run `python -m scaling strong` first")

    def least(phase: str, of: Sequence[Row] = one) -> float:
        """Of the repeat in which least came between: other work on the machine only ever adds."""
        quick = min((r for r in of if r.phase == "stage"), key=lambda r: r.seconds_max)
        return next(r.seconds_mean for r in of if r.phase == phase and (r.repeat, r.date) == (quick.repeat, quick.date))

    windows = next(r.items for r in one if r.phase == "read")
    written = next(r.bytes for r in one if r.phase == "write")
    two = [r for r in extract if r.ranks == 2 and here.cores > 1]

    def slower(phase: str) -> float:
        """How much longer it takes beside a second rank."""
        return max(0.0, 2 * least(phase, two) / least(phase) - 1) if two else 0.0

    marks = max(1, next(r.items for r in one if r.phase == "mark"))
    once = least("lay") + least("finish")
    rest = least("stage") - once - sum(least(p) for p in ("plan", "read", "wait", "write", "mark", "sync"))  # has no phase, and grows with the work
    costs = Costs(window=(least("read") + max(0.0, rest)) / windows, written_byte=least("write") / written, plan=least("plan"), mark=least("mark") / marks,
                  share=share_seconds(), start=0.0, finish=once, contention=slower("read"), write_contention=slower("write"),
                  synced_byte=least("sync") / written)
    # These seconds have all in them that moving bytes takes here.
    return costs, dataclasses.replace(here, read_gb_s=math.inf, write_gb_s=math.inf, link_gb_s=math.inf, operation_ms=0.0)


def elsewhere(costs: Costs) -> Costs:
    """The same costs on a machine whose file system is another: there the bytes are queued for, and a core copies them at memory's speed; ranks of a
    node do not wait for an inode's lock."""
    # 5 GB/s: one core copying; 10 s: Python's imports, from a shared file system.
    return dataclasses.replace(costs, written_byte=1 / 5e9, write_contention=0.0, synced_byte=0.0, start=10.0)


def share_seconds(ranks: int = 2000) -> float:
    """Measured now: seconds that working out one round's shares takes, per rank that there is."""
    reach = reach_of(np.full(4 * ranks, 324, np.int64))
    begun = time.perf_counter()
    contiguous_shares(reach, 0, np.zeros(ranks), 334)
    return (time.perf_counter() - begun) / ranks
