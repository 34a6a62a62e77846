"""From blocks to rows: read the candidates, filter them, digest what is kept."""
from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..config import Config, Extract
from ..errors import SlideError
from .fill import Filler
from .filter import compact, passes, shares
from .jpeg import encoded
from .plan import Candidates, SlidePlan
from .schema import COLUMNS, Rows, row_digests
from .units import Units


@dataclass(frozen=True)
class Verdicts:
    """What the filter sees of candidates: white and black share float32 (n,), and whether they could not be read."""

    white: npt.NDArray[np.float32]
    black: npt.NDArray[np.float32]
    bad: npt.NDArray[np.bool_]

    def passes(self, extract: Extract) -> npt.NDArray[np.bool_]:
        """bool (n,): readable, and neither too white nor too black."""
        return passes(self.white, self.black, extract) & ~self.bad

    def take(self, picks: Any) -> Verdicts:
        return Verdicts(self.white[picks], self.black[picks], self.bad[picks])

    @staticmethod
    def join(parts: list[Verdicts]) -> Verdicts:
        return Verdicts(np.concatenate([np.zeros(0, np.float32), *(p.white for p in parts)]),
                        np.concatenate([np.zeros(0, np.float32), *(p.black for p in parts)]),
                        np.concatenate([np.zeros(0, bool), *(p.bad for p in parts)]))


class Reader:
    """Reads units on one rank.

    `candidates(slide, block)` gives a block's candidates in row order. `chosen`: they have passed the filter before, and all are kept.
    `errors`: by slide, why tiles could not be read.
    """

    def __init__(self, config: Config, plans: dict[int, SlidePlan], candidates: Callable[[int, int], Candidates], filler: Filler, chosen: bool = False):
        self._config, self._plans, self._candidates, self._filler, self._chosen = config, plans, candidates, filler, chosen
        self.errors: dict[int, SlideError] = {}

    def verdicts(self, units: Units, start: int, stop: int, buffer: npt.NDArray[np.uint8]) -> Verdicts:
        """The filter's view of all candidates of units `start` to `stop`, in their order; px pass through `buffer` and are not kept."""
        return Verdicts.join([self._read(*self._unit(units, i), buffer)[0] for i in range(start, stop)])

    def rows(self, units: Units, start: int, stop: int, buffer: npt.NDArray[np.uint8]) -> Rows:
        """The rows of units `start` to `stop`. `buffer` uint8 (most, p, p, 3) holds their px where these are stored as they are."""
        storage, quality = self._config.extract.storage, self._config.extract.jpeg_quality
        columns: list[dict[str, npt.NDArray[Any]]] = []
        jpegs: list[bytes] = []
        used = 0
        for i in range(start, stop):
            plan, unit, end = self._unit(units, i)
            verdicts, px = self._read(plan, unit, end, buffer[used:])
            keep = ~verdicts.bad if self._chosen else verdicts.passes(self._config.extract)
            flat = px.reshape(len(px), -1)
            n = compact(flat, keep)
            payloads: Iterable[Any] = [None] * n
            if storage == "pixels":
                payloads = flat[:n]
                used += n
            elif storage == "jpeg":
                payloads = [encoded(p, quality) for p in px[:n]]
                jpegs.extend(payloads)
            columns.append(_columns(plan, unit.take(keep), verdicts.white[keep], verdicts.black[keep], payloads))
        joined = {name: np.concatenate([c[name] for c in columns]) for name in COLUMNS} if columns else \
            {name: np.zeros((0, *shape), kind) for name, (kind, shape) in COLUMNS.items()}
        return Rows(joined, buffer[:used] if storage == "pixels" else None, jpegs if storage == "jpeg" else None)

    def _unit(self, units: Units, i: int) -> tuple[SlidePlan, Candidates, tuple[int, int]]:
        """A unit's slide, its candidates, and where it ends (x, y)."""
        slide, block, first, last = int(units.slide[i]), int(units.block[i]), int(units.first[i]), int(units.last[i])
        plan, every = self._plans[slide], self._candidates(slide, block)
        unit = every.take(slice(first, last))
        grid = plan.grid
        right = (block % grid.columns + 1) * grid.block
        # The rest of a block goes on at the row where this part of it ends.
        below = (block // grid.columns + 1) * grid.block if last == len(every) else int(unit.y[-1])
        return plan, unit, (right, below)

    def _read(self, plan: SlidePlan, unit: Candidates, end: tuple[int, int], buffer: npt.NDArray[np.uint8]) -> tuple[Verdicts, npt.NDArray[np.uint8]]:
        px = buffer[:len(unit)]
        side = self._config.data.patch
        filled = self._filler.fill(plan.record, plan.resolution, unit.x, unit.y, px, end)
        if filled.error is not None:
            self.errors.setdefault(plan.index, filled.error)
        s = shares(filled.counts, side)
        return Verdicts(s[:, 0], s[:, 1], filled.bad), px


def _columns(plan: SlidePlan, kept: Candidates, white: npt.NDArray[np.float32], black: npt.NDArray[np.float32], payloads: Iterable[Any]) \
        -> dict[str, npt.NDArray[Any]]:
    n = len(kept)
    x, y = plan.grid.level0(kept.x), plan.grid.level0(kept.y)
    xy = np.stack([x, y], axis=1)
    return {
        "slide": np.full(n, plan.index, np.int32), "xy": xy, "label": kept.label, "tumor_fraction": kept.tumor_fraction,
        "tissue_fraction": kept.tissue_fraction, "white_share": white, "black_share": black,
        "row_digest": row_digests(plan.record.name.encode("utf-8", "surrogateescape"), xy, kept.label, payloads),
    }
