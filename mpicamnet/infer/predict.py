"""Units of a slide's grid -> probabilities: a thread reads the next units while the network looks at the last ones."""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SlideError
from ..patches.journal import Mark
from ..patches.rows import Reader
from ..patches.schema import Rows
from ..patches.units import Units
from ..ranks import Clock, Comm, Share
from .network import Forward, probabilities
from .store import Store
from .tiles import Tiles

AHEAD = 1  # units that are read and wait: three are in memory, one being read, one waiting, one in the network


@dataclass(frozen=True)
class Outcome:
    """What a rank made of its share. `errors`: by slide, the first tile that could not be read, where not told before."""

    tiles: Tiles
    errors: dict[int, SlideError]


@dataclass(frozen=True)
class Network:
    """`forward`: px to logits, `batch` patches at a time, as the `turns` show them."""

    forward: Forward
    batch: int
    turns: tuple[int, ...]


class Prediction:
    """The work of the rounds (ranks.rounds.Task): units in, tiles out. `units` come from `read`, one after the other, as the rounds ask for them."""

    def __init__(self, comm: Comm, store: Store, network: Network, units: Iterator[Rows], clock: Clock, nudge: Callable[[], None]):
        self._comm, self._store, self._network, self._units, self._clock, self._nudge = comm, store, network, units, clock, nudge

    def work(self, share: Share) -> Outcome:
        tiles: list[Tiles] = []
        errors: dict[int, SlideError] = {}
        for _ in range(len(share)):
            self._nudge()
            with self._clock.phase("feed"):
                rows = next(self._units)
            assert rows.pixels is not None
            with self._clock.phase("predict"):
                prob = probabilities(self._network.forward, rows.pixels, self._network.batch, self._network.turns)
            self._clock.count("predict", len(rows), rows.pixels.nbytes)
            tiles.append(Tiles(rows.columns["slide"], rows.columns["xy"], rows.columns["label"], prob))
            errors.update(rows.errors)
        return Outcome(Tiles.join(tiles), errors)

    def sizes(self, outcome: Outcome | None) -> tuple[int, int]:
        return (len(outcome.tiles), len(outcome.errors)) if outcome is not None else (0, 0)

    def put(self, outcome: Outcome, before: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> None:
        if total[1]:
            note_errors(self._comm, self._store, outcome.errors)
        self._store.write(outcome.tiles, int(before[0]))

    def finished(self, blocks: int, before: npt.NDArray[np.int64]) -> None:
        self._store.mark(Mark(0, blocks, blocks, int(before[0]), 0))


def read(reader: Reader, units: Units, shares: Iterator[Share], patch: int, clock: Clock) -> Iterator[Rows]:
    """The rows of the units of `shares`, unit by unit, for a thread that is at most AHEAD of who takes them.

    Their px lie in buffers that are used in turn: an item is good until AHEAD + 1 more have been taken.
    """
    most = int(units.weights.max(initial=0))
    buffers: list[Any] = [np.empty((most, patch, patch, 3), np.uint8) for _ in range(AHEAD + 2)]
    told: set[int] = set()
    for share in shares:
        for i in range(share.start, share.stop):
            with clock.phase("read"):
                rows = reader.rows(units, i, i + 1, buffers[0])
            rows.errors = {k: e for k, e in reader.errors.items() if k not in told}
            told.update(rows.errors)
            buffers.append(buffers.pop(0))
            yield rows


def note_errors(comm: Comm, store: Store, errors: dict[int, SlideError]) -> None:
    """Write into the file which slides had tiles that could not be read, the first one in the order of the plan; collective."""
    every: dict[int, SlideError] = {}
    for part in comm.allgather(errors):  # ranks have their blocks in that order
        every.update({i: e for i, e in part.items() if i not in every})
    if comm.rank == 0:
        for i, e in every.items():
            store.note(i, str(e))
