"""Units of a slide's grid -> probabilities: the next units are read while the network looks at the last ones.

A unit's patches go through the network in batches of one fixed shape, the last filled up: so no probability depends on which rank made it,
nor on what else that rank had to do.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..patches.rows import Reader
from ..patches.schema import Rows
from ..patches.units import Units
from ..ranks import Clock, Share
from ..train.ahead import ahead

Forward = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
COLUMNS = {"slide": ("<i4", ()), "xy": ("<i8", (2,)), "label": ("i1", ()), "prob": ("<f4", ())}


@dataclass(frozen=True)
class Predicted:
    """Tiles: `slide` int32 (n,), place in the list of plans; `xy` int64 (n, 2) level-0 px; `label` int8, `prob` float32 (n,)."""

    slide: npt.NDArray[np.int32]
    xy: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    prob: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.slide)

    def take(self, picks: Any) -> Predicted:
        return Predicted(self.slide[picks], self.xy[picks], self.label[picks], self.prob[picks])

    def in_order(self) -> Predicted:
        """By slide, then grid row, then column."""
        return self.take(np.lexsort((self.xy[:, 0], self.xy[:, 1], self.slide)))

    @staticmethod
    def join(parts: list[Predicted]) -> Predicted:
        """All tiles of all parts; none where there are no parts."""
        return Predicted(*(np.concatenate([np.zeros((0, *shape), kind), *(getattr(p, name) for p in parts)])
                           for name, (kind, shape) in COLUMNS.items()))


class Prediction:
    """The work of the rounds (ranks.rounds.Task): blocks in, probabilities out, kept on the rank that made them until all are there."""

    def __init__(self, units: Units, reader: Reader, forward: Forward, batch: int, patch: int, clock: Clock):
        self._units, self._reader, self._forward = units, reader, forward
        self._batch, self._patch, self._clock = batch, patch, clock
        self.parts: list[Predicted] = []

    def work(self, share: Share) -> Predicted:
        parts = []
        with ahead(self._read(share), 1) as units:
            for rows, px in units:
                with self._clock.phase("predict"):
                    prob = probabilities(self._forward, px, self._batch)
                self._clock.count("predict", len(rows), px.nbytes)
                parts.append(Predicted(rows.columns["slide"], rows.columns["xy"], rows.columns["label"], prob))
        return Predicted.join(parts)

    def _read(self, share: Share) -> Iterator[tuple[Rows, npt.NDArray[np.uint8]]]:
        for i in range(share.start, share.stop):
            with self._clock.phase("read"):
                buffer = np.empty((int(self._units.weights[i]), self._patch, self._patch, 3), np.uint8)
                rows = self._reader.rows(self._units, i, i + 1, buffer)
            assert rows.pixels is not None
            yield rows, rows.pixels

    def sizes(self, outcome: Predicted | None) -> tuple[int]:
        return (len(outcome) if outcome is not None else 0,)

    def put(self, outcome: Predicted, before: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> None:
        self.parts.append(outcome)

    def finished(self, blocks: int, before: npt.NDArray[np.int64]) -> None:
        """Nothing is on disk yet that could be marked."""


def probabilities(forward: Forward, px: npt.NDArray[np.uint8], batch: int) -> npt.NDArray[np.float32]:
    """Probability of tumour, float32 (n,), of px uint8 (n, p, p, 3): the logistic of the network's logits."""
    logits = [np.zeros(0, np.float32)]
    for first in range(0, len(px), batch):
        part = px[first:first + batch]
        if len(part) < batch:
            part = np.concatenate([part, np.zeros((batch - len(part), *px.shape[1:]), np.uint8)])
        logits.append(forward(part)[:len(px) - first])
    z = np.concatenate(logits).astype(np.float64)
    return np.asarray(0.5 * (1 + np.tanh(z / 2)), np.float32)
