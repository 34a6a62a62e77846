"""Who does what: contiguous pieces of a list of blocks, near-equal by weight. Pure functions: every rank computes the same answer."""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Share:
    """Blocks `start` to `stop` (not included) of the list."""

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start


def contiguous_shares(reach: npt.NDArray[np.int64], start: int, late: npt.NDArray[np.float64], most: int) -> list[Share]:
    """The next round: one contiguous piece of blocks from `start` on for each rank, near-equal but for what a rank is late.

    Parameters
    ----------
    reach
        int64 (blocks + 1,): the weight of all blocks before each; no block weighs more than `most`.
    start
        The first block that is not done, not the end.
    late
        float64 (ranks,): weight that each rank is to have less of than its even part of the round; negative: more.
    most
        Weight that a piece may have: what a rank can hold.

    Returns
    -------
    list of Share
        One per rank, end to end, some may be empty, not all. The round ends where the last piece does. Rounds come out about equally long.
    """
    size, base = len(late), int(reach[start])
    left = int(reach[-1]) - base
    total = left / max(1, -(-left // max(1, most * size)))
    cuts, wanted = [start], float(base)
    for rank in range(size):
        begun = int(reach[cuts[-1]])
        due = max(total / size - late[rank], 0)
        # Counted from the round's beginning: counted from the last cut, ranks that want less than half a block each would all get none.
        wanted = wanted + min(due, most)
        cut = _nearest(reach, min(max(wanted, begun), begun + most))
        if reach[cut] - begun > most:
            cut -= 1
        cuts.append(max(cut, cuts[-1]))
        if due >= most:  # what it cannot hold is not for the next one, who may be ahead
            wanted = float(reach[cuts[-1]])
    if cuts[-1] == start:  # what is left is less than half a block for each: one rank takes one
        taker = int(late.argmin())
        cuts = [start] * (taker + 1) + [start + 1] * (size - taker)
    return [Share(a, b) for a, b in zip(cuts, cuts[1:], strict=False)]


def rounds_of(reach: npt.NDArray[np.int64], start: int, size: int, most: int) -> Iterator[list[Share]]:
    """The shares of `size` ranks in each round from block `start` to the end, so that the weight each has in all rounds evens out."""
    had = np.zeros(size)
    while start < len(reach) - 1:
        shares = contiguous_shares(reach, start, had, most)
        yield shares
        had += above_even(reach, shares)
        start = shares[-1].stop


def above_even(reach: npt.NDArray[np.int64], shares: list[Share]) -> npt.NDArray[np.float64]:
    """What each rank has more of than an even part of the round, float64 (ranks,)."""
    weights = np.array([reach[s.stop] - reach[s.start] for s in shares], np.int64)
    return weights.astype(np.float64) - int(weights.sum()) / len(shares)


class Evening:
    """What each rank is late, round after round, by how long it has worked: one on a slow core, or with tiles that take longer, is given less.

    Counted are rounds that ranks have told of. All ranks must come to the same, to the last bit, on whatever processor: sums are over whole numbers, since
    a sum of floats depends on how many a processor adds at a time.
    """

    def __init__(self, size: int, most: int):
        self._most = most
        self._busy = np.zeros(size, np.int64)
        self._behind = np.zeros(size)  # weight that each is behind the mean, at the speed of all

    def hear(self, busy: npt.NDArray[np.int64], weight: int) -> None:
        """`busy` (ranks,): how long each has worked until all had done `weight` together.

        A rank is never further behind or ahead than it can hold: the others have waited for what is more, once, and that cannot be made good.
        """
        worked = busy - self._busy
        longer = (worked - int(worked.sum()) / len(worked)) * (weight / max(1, int(busy.sum())))
        self._behind = np.clip(self._behind + longer, -self._most, self._most)
        self._busy = busy

    def late(self) -> npt.NDArray[np.float64]:
        """As `contiguous_shares` wants it: behind the mean of the others, who can seldom hold more to make up for it; or ahead of the mean of all."""
        size = len(self._behind)
        return np.where(self._behind > 0, self._behind * size / max(1, size - 1), self._behind)


def _nearest(reach: npt.NDArray[np.int64], weight: float) -> int:
    """The cut whose weight before it is nearest."""
    right = min(int(np.searchsorted(reach, weight)), len(reach) - 1)
    return right - 1 if right > 0 and weight - reach[right - 1] <= reach[right] - weight else right


def reach_of(weights: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The weight of all blocks before each, and of all: int64 (blocks + 1,)."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(weights, dtype=np.int64)))
