"""Units: what work is dealt out in, blocks or parts of large ones. They follow from config and slides alone, and the journal counts by them."""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..slides import SlideRecord
from .plan import Candidates, SlidePlan

LEAST_ROUNDS = 48
UNIT_BYTES = 48 << 20  # px of the candidates that are worked on at a time; no setting: a rerun must count the same units


@dataclass(frozen=True)
class Units:
    """What work is dealt out in, in row order: candidates `first` to `last` (not included) of a block of a slide; int64 (units,) each."""

    slide: npt.NDArray[np.int64]
    block: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    last: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.slide)

    @property
    def weights(self) -> npt.NDArray[np.int64]:
        return self.last - self.first

    def at(self, unit: int, records: list[SlideRecord]) -> str:
        """In words, the slide of the catalogue that `unit` lies on; after the end, the last one."""
        i = int(self.slide[min(unit, len(self) - 1)])
        return f"slide {i + 1:,} of {len(records):,} ({records[i].name})"


def unit_rows(patch: int) -> int:
    """The most candidates of a unit."""
    return max(1, UNIT_BYTES // (patch * patch * 3))


def held_rows(buffer: int, patch: int) -> int:
    """The most candidates whose px a rank holds: `buffer` MiB of them, and any unit."""
    return max((buffer << 20) // (patch * patch * 3), unit_rows(patch))


def round_rows(weights: npt.NDArray[np.int64], held: int, ranks: int) -> int:
    """The most candidates of a rank's share of a round: at most `held`.

    Small work goes in many rounds too: a kill costs a round, and many small shares even out better than a few large ones. Room for a quarter more than
    the largest unit: small ones, at a slide's edge, go with another, else a rank that has one of them alone waits for the others.
    """
    return min(held, max(int(weights.max(initial=1)) * 5 // 4, int(weights.sum()) // (LEAST_ROUNDS * ranks)))


def units_of(counts: list[npt.NDArray[np.int32]], slides: list[int], patch: int, most: int | None = None) -> Units:
    """Cut blocks with `counts` candidates (one array per slide, row-major) into units; blocks without candidates have none.

    `most`: candidates of a unit, where fewer are wanted than memory allows.
    """
    most = min(most or unit_rows(patch), unit_rows(patch))
    slide, block, first, last = [], [], [], []
    for index, per_block in zip(slides, counts, strict=True):
        for b in np.nonzero(per_block)[0].tolist():
            n = int(per_block[b])
            for begin in range(0, n, most):
                slide.append(index)
                block.append(b)
                first.append(begin)
                last.append(min(n, begin + most))
    return Units(*(np.array(v, np.int64) for v in (slide, block, first, last)))


def units_at(plans: dict[int, SlidePlan], placed: dict[int, Candidates], patch: int) -> tuple[Units, Callable[[int, int], Candidates]]:
    """Units of given candidates (by slide, in row order), and the candidates of a block of a slide."""
    blocks = {i: plans[i].grid.block_of(c.x, c.y) for i, c in placed.items()}
    counts = [np.bincount(b, minlength=plans[i].grid.blocks).astype(np.int32) for i, b in blocks.items()]

    def candidates(slide: int, block: int) -> Candidates:
        first, last = np.searchsorted(blocks[slide], [block, block + 1])
        return placed[slide].take(slice(first, last))

    return units_of(counts, list(placed), patch), candidates
