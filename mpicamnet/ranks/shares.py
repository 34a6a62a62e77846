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


def contiguous_shares(reach: npt.NDArray[np.int64], start: int, done: npt.NDArray[np.int64], most: int) -> list[Share]:
    """The next round: one contiguous piece of blocks from `start` on for each rank, so that the weight each rank has had in all rounds evens out.

    Parameters
    ----------
    reach
        int64 (blocks + 1,): the weight of all blocks before each; no block weighs more than `most`.
    start
        The first block that is not done, not the end.
    done
        int64 (ranks,): weight that each rank had in the rounds before.
    most
        Weight that a piece may have: what a rank can hold.

    Returns
    -------
    list of Share
        One per rank, end to end, some may be empty, not all. The round ends where the last piece does. Rounds come out about equally long.
    """
    size, base = len(done), int(reach[start])
    left = int(reach[-1]) - base
    total = left / max(1, -(-left // max(1, most * size)))
    level = (done.sum() + total) / size
    cuts, wanted = [start], float(base)
    for rank in range(size):
        begun = int(reach[cuts[-1]])
        due = max(level - done[rank], 0)
        # Counted from the round's beginning: counted from the last cut, ranks that want less than half a block each would all get none.
        wanted = wanted + min(due, most)
        cut = _nearest(reach, min(max(wanted, begun), begun + most))
        if reach[cut] - begun > most:
            cut -= 1
        cuts.append(max(cut, cuts[-1]))
        if due >= most:  # what it cannot hold is not for the next one, who may be ahead
            wanted = float(reach[cuts[-1]])
    if cuts[-1] == start:  # what is left is less than half a block for each: one rank takes one
        taker = int(done.argmin())
        cuts = [start] * (taker + 1) + [start + 1] * (size - taker)
    return [Share(a, b) for a, b in zip(cuts, cuts[1:], strict=False)]


def rounds_of(reach: npt.NDArray[np.int64], start: int, size: int, most: int) -> Iterator[list[Share]]:
    """The shares of `size` ranks in each round from block `start` to the end; as in `contiguous_shares`."""
    done = np.zeros(size, np.int64)
    while start < len(reach) - 1:
        shares = contiguous_shares(reach, start, done, most)
        yield shares
        done += [int(reach[s.stop] - reach[s.start]) for s in shares]
        start = shares[-1].stop


def _nearest(reach: npt.NDArray[np.int64], weight: float) -> int:
    """The cut whose weight before it is nearest."""
    right = min(int(np.searchsorted(reach, weight)), len(reach) - 1)
    return right - 1 if right > 0 and weight - reach[right - 1] <= reach[right] - weight else right


def reach_of(weights: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The weight of all blocks before each, and of all: int64 (blocks + 1,)."""
    return np.concatenate((np.zeros(1, np.int64), np.cumsum(weights, dtype=np.int64)))
