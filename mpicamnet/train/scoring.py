"""What the network says of rows, shared out over the ranks."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..ranks import Comm, Signals, fence, gather_rows
from ..ranks.signals import stopped
from .ahead import ahead
from .feed import Feed

Forward = Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
SCORED_AT_ONCE = 64  # rows per forward pass, whatever the number of ranks: few, so that they fall evenly on these


def logits_of(comm: Comm, signals: Signals, forward: Forward, feed: Feed, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float32] | None:
    """Logits float32 (n,) of `rows` (n,), as they are, on rank 0; None elsewhere. Collective over `comm`.

    Batches are cut before they are shared out: the ranks change no logit. The ranks go through theirs in step, so that all can stop after any:
    raises `stopped()` on all after a signal to one.
    """
    batches = -(-len(rows) // SCORED_AT_ONCE)
    first, last = (batches * r // comm.size * SCORED_AT_ONCE for r in (comm.rank, comm.rank + 1))
    logits = [np.zeros(0, np.float32)]
    with ahead(feed.in_order(rows[first:last], SCORED_AT_ONCE)) as mine:
        for _ in range(-(-batches // comm.size)):
            with fence(comm, feed.table.path):
                if signals.caught:
                    raise stopped()
                logits += [forward(batch.px)[batch.weight > 0] for batch in [next(mine, None)] if batch is not None]
    return gather_rows(comm, np.concatenate(logits))
