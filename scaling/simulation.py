"""Extraction on a machine that is not here: a discrete-event simulation of the program's rounds.

The shares are the program's own (`Dealer`). Each rank is a process of events: it reads its piece of the slides, decodes, hears what the others
said of the round before, writes that round's rows, says what came of its piece, goes on. What ranks share are queues, served first come, first
served: a node's link, the file system, the output file. All ranks' events of a round are worked out together, as arrays.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mpicamnet.patches.units import held_rows, round_rows
from mpicamnet.ranks import reach_of
from mpicamnet.ranks.shares import Dealer

from .machine import Machine

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Work:
    """Windows of each block in order, int64 (blocks,); slides; bytes read and written per window; the share of windows that pass the filter."""

    windows: npt.NDArray[np.int64]
    slides: int
    bytes_in: float
    bytes_out: float
    patch: int = 224
    kept: float = 1.0
    buffer: int = 32  # `extract.buffer`, MiB


@dataclass(frozen=True)
class Costs:
    """Seconds on a core of speed 1: of a window (read, decode, filter), of a written byte, of a slide's plan, of marking a round, of working out
    one rank's share, of the start (imports), of laying out and finishing the file; of a byte that is brought from memory to the disk at the end, by
    all ranks together (`synced_byte`). `contention`, `write_contention`: how much longer a window and a written byte take per further core at work on
    the node."""

    window: float
    written_byte: float
    plan: float
    mark: float
    share: float
    start: float
    finish: float
    contention: float = 0.0
    write_contention: float = 0.0
    synced_byte: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """Seconds of the whole, rounds, and where the mean rank's time went, seconds by cause; `limit` is the largest of them in words."""

    seconds: float
    rounds: int
    ranks: int
    causes: dict[str, float]

    @property
    def limit(self) -> str:
        return max(self.causes, key=lambda c: self.causes[c])


def simulate(work: Work, machine: Machine, costs: Costs, nodes: int, ranks_per_node: int | None = None) -> Outcome:
    """Extract `work` on `nodes` nodes, a rank per core unless said otherwise; seconds from the start of the processes to the file's name."""
    per_node = ranks_per_node or machine.cores
    size = nodes * per_node
    at_work = min(per_node, machine.cores)
    crowded = max(1.0, per_node / machine.cores) / machine.core_speed
    slower = (1 + costs.contention * (at_work - 1)) * crowded
    copying = costs.written_byte * (1 + costs.write_contention * (at_work - 1)) * crowded
    hop = machine.link_us * 1e-6 * max(1, np.ceil(np.log2(size)))  # a collective of a few numbers: a tree of messages
    reach = reach_of(work.windows)
    most = round_rows(work.windows, held_rows(work.buffer, work.patch), size)

    start = costs.start + machine.operation_ms * 1e-3 * np.log2(size + 1)
    plan = -(-work.slides // size) * costs.plan * slower + hop
    clock = np.full(size, start + plan)
    spent = {"file system, reading": 0.0, "cores: decoding and filter": 0.0, "waiting for slower ranks (too few blocks, uneven shares)": 0.0,
             "file system, writing": 0.0, "working out shares": 0.0, "start and plan": start + plan, "marking rounds and the end": costs.finish * slower}

    def timed(name: str, act: Callable[[], Floats]) -> None:
        nonlocal clock
        before = float(clock.mean())
        clock = act()
        spent[name] += float(clock.mean()) - before

    said: Floats | None = None
    pending = np.zeros(size)
    rounds = 0

    def settle() -> None:
        assert said is not None
        heard = float(said.max()) + hop
        timed("waiting for slower ranks (too few blocks, uneven shares)", lambda: np.maximum(clock, heard))
        before = float(clock[0])
        clock[0] += costs.mark * slower + machine.operation_ms * 1e-3
        spent["marking rounds and the end"] += (float(clock[0]) - before) / size
        size_out = pending * work.bytes_out * work.kept
        timed("file system, writing", lambda: _stored(clock + size_out * copying, size_out, machine, machine.file_write, per_node))

    for shares in Dealer(reach, 0, size, most):  # as ranks here are equally fast, how long they work changes nothing
        edges = np.array([shares[0].start, *(s.stop for s in shares)])
        windows = np.diff(reach[edges]).astype(np.float64)
        rounds += 1
        timed("working out shares", lambda: clock + costs.share * size * slower)
        timed("file system, reading", lambda w=windows: _stored(clock, w * work.bytes_in, machine, machine.read_gb_s * 1e9, per_node))  # type: ignore[misc]
        timed("cores: decoding and filter", lambda w=windows: clock + w * costs.window * slower)  # type: ignore[misc]
        if said is not None and size > 1:
            settle()
        said, pending = clock.copy(), windows
        if size == 1:
            settle()
    if said is not None and size > 1:
        settle()
    end = float(clock.max()) + hop
    synced = float(work.windows.sum()) * work.bytes_out * work.kept * costs.synced_byte
    spent["file system, writing"] += synced
    spent["waiting for slower ranks (too few blocks, uneven shares)"] += end - float(clock.mean())
    return Outcome(end + synced + costs.finish * slower, rounds, size, spent)


def _stored(arrivals: Floats, sizes: Floats, machine: Machine, bandwidth: float, per_node: int) -> Floats:
    """When each rank's transfer is through: its node's link, then the file system; nothing to move takes no time."""
    through = queued(arrivals.reshape(-1, per_node), sizes.reshape(-1, per_node) / (machine.link_gb_s * 1e9)).reshape(-1)
    done: Floats = queued(through[None], sizes[None] / bandwidth)[0] + machine.operation_ms * 1e-3
    return np.where(sizes > 0, done, arrivals)


def queued(arrivals: Floats, service: Floats) -> Floats:
    """When each customer of a queue leaves, first come first served; (queues, customers) each, seconds.

    Leaving in order of coming: leave(k) = max(leave(k - 1), arrival(k)) + service(k), which in sums is a running maximum.
    """
    order = np.argsort(arrivals, axis=1, kind="stable")
    a, s = np.take_along_axis(arrivals, order, 1), np.take_along_axis(service, order, 1)
    total = np.cumsum(s, axis=1)
    left = np.maximum.accumulate(a - (total - s), axis=1) + total
    out = np.empty_like(left)
    np.put_along_axis(out, order, left, 1)
    return out


def ring_allreduce(size: int, count: int, bandwidth: float, latency: float) -> float:
    """Seconds of summing `size` bytes over `count` processes in a ring: 2 (p - 1) messages of size / p (Patarasu and Yuan 2009)."""
    return 2 * (count - 1) * (size / count / bandwidth + latency)


def epoch_seconds(images: int, batch: int, parameters: int, machine: Machine, devices: int) -> tuple[float, float]:
    """An epoch on `devices` devices of a cluster: seconds, and how many of them go to summing gradients (float32, not overlapped: an upper bound).

    Devices of a node share its link; the ring passes each link once in and once out.
    """
    steps = -(-images // (batch * devices))
    bandwidth = machine.link_gb_s * 1e9
    reduce = ring_allreduce(4 * parameters, devices, bandwidth, machine.link_us * 1e-6) if devices > 1 else 0.0
    return steps * (batch / machine.device_images_s + reduce), steps * reduce
