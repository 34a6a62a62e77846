"""Tiles: places on slides with the probability that the network gives them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

COLUMNS: dict[str, tuple[str, tuple[int, ...]]] = {"slide": ("<i4", ()), "xy": ("<i8", (2,)), "label": ("i1", ()), "prob": ("<f4", ())}


@dataclass(frozen=True)
class Tiles:
    """`slide` int32 (n,), place in the catalogue; `xy` int64 (n, 2) level-0 px; `label` int8, `prob` float32 (n,)."""

    slide: npt.NDArray[np.int32]
    xy: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    prob: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.slide)

    def take(self, picks: Any) -> Tiles:
        """The picked tiles (a slice, indices or flags)."""
        return Tiles(self.slide[picks], self.xy[picks], self.label[picks], self.prob[picks])

    def in_order(self) -> Tiles:
        """By slide, then grid row, then column."""
        return self.take(np.lexsort((self.xy[:, 0], self.xy[:, 1], self.slide)))

    @staticmethod
    def join(parts: list[Tiles]) -> Tiles:
        """All tiles of all parts; none where there are no parts."""
        return Tiles(*(np.concatenate([np.zeros((0, *shape), kind), *(getattr(p, name) for p in parts)]) for name, (kind, shape) in COLUMNS.items()))
