"""Who does what: contiguous pieces of a list of blocks, near-equal by weight. Pure functions: every rank computes the same answer."""
from __future__ import annotations

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


def contiguous_shares(weights: npt.NDArray[np.int64], start: int, done: npt.NDArray[np.int64], most: int) -> list[Share]:
    """The next round: one contiguous piece of blocks from `start` on for each rank, so that the weight each rank has had in all rounds evens out.

    Parameters
    ----------
    weights
        int64 (blocks,): what a block costs; none above `most`.
    start
        The first block that is not done; below len(weights).
    done
        int64 (ranks,): weight that each rank had in the rounds before.
    most
        Weight that a piece may have: what a rank can hold.

    Returns
    -------
    list of Share
        One per rank, end to end, some may be empty, not all. The round ends where the last piece does. Rounds come out about equally long.
    """
    size = len(done)
    reach = np.concatenate(([0], np.cumsum(weights[start:])))  # weight before each possible cut
    rounds = -(-int(reach[-1]) // max(1, most * size))
    total = reach[-1] / max(1, rounds)
    level = (done.sum() + total) / size
    cuts = [0]
    for rank in range(size):
        begun = reach[cuts[-1]]
        want = min(max(level - done[rank], 0), most) if rank < size - 1 else min(total - begun, most)
        cut = int(np.abs(reach - (begun + want)).argmin())
        if reach[cut] - begun > most:
            cut -= 1
        cuts.append(max(cut, cuts[-1]))
    if cuts[-1] == 0:  # what is left is less than half a block for each: one rank takes one
        taker = int(done.argmin())
        cuts = [0] * (taker + 1) + [1] * (size - taker)
    return [Share(start + a, start + b) for a, b in zip(cuts, cuts[1:], strict=False)]
