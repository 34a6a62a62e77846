"""Who does what: contiguous pieces of a list of blocks, near-equal by weight. Pure functions: every rank computes the same answer."""
from __future__ import annotations

from collections import deque
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


class Dealer:
    """Deals blocks out from `start` on, round after round, so that `size` ranks end together: by the weight that each has had and, as far as `hear` tells
    it, by how long each has worked: one on a slow core, or with tiles that take longer, is given less.

    All ranks must come to the same, to the last bit, on whatever processor: sums are over whole numbers, since a sum of floats depends on how many a
    processor adds at a time.
    """

    def __init__(self, reach: npt.NDArray[np.int64], start: int, size: int, most: int):
        self._reach, self._start, self._at, self._size, self._most = reach, start, start, size, most
        self._late = np.zeros(size)  # by the weights of the rounds whose work was not told of
        self._behind = np.zeros(size)  # by the work that was
        self._busy = np.zeros(size, np.int64)
        # Where such a round ends, and what each rank had more than the mean. No more than two are under way, where they are told of at all.
        self._untold: deque[tuple[int, npt.NDArray[np.float64]]] = deque(maxlen=2)

    def __iter__(self) -> Iterator[list[Share]]:
        """The shares of all ranks in each round, to the last block."""
        while self._at < len(self._reach) - 1:
            shares = contiguous_shares(self._reach, self._at, self._late + _behind_others(self._behind), self._most)
            self._at = shares[-1].stop
            weights = np.array([self._reach[s.stop] - self._reach[s.start] for s in shares], np.int64)
            self._untold.append((self._at, weights - np.float64(int(weights.sum()) / self._size)))
            self._late = self._late + self._untold[-1][1]
            yield shares

    def hear(self, busy: npt.NDArray[np.int64]) -> None:
        """`busy` (ranks,): how long each has worked until the end of the first round that was not told of.

        A rank is never further behind or ahead than it can hold: the others have waited for what is more, once, and that cannot be made good.
        """
        end, above = self._untold.popleft()
        worked = busy - self._busy
        speed = int(self._reach[end] - self._reach[self._start]) / max(1, int(busy.sum()))
        self._behind = np.clip(self._behind + (worked - int(worked.sum()) / self._size) * speed, -self._most, self._most)
        self._late = self._late - above
        self._busy = busy


def _behind_others(behind: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """What each is behind the mean of the others, who can seldom hold more to make up for it; or ahead of the mean of all."""
    return np.where(behind > 0, behind * len(behind) / max(1, len(behind) - 1), behind)


def _nearest(reach: npt.NDArray[np.int64], weight: float) -> int:
    """The cut whose weight before it is nearest."""
    right = min(int(np.searchsorted(reach, weight)), len(reach) - 1)
    return right - 1 if right > 0 and weight - reach[right - 1] <= reach[right] - weight else right


def reach_of(weights: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The weight of all blocks before each, and of all: int64 (blocks + 1,)."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(weights, dtype=np.int64)))
