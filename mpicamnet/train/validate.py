"""How the network judges the validation rows, shared out over the ranks."""
from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ..errors import UserError
from ..ranks import Comm, Signals, fence, gather_rows
from ..ranks.signals import stopped
from .ahead import ahead
from .feed import Feed
from .judge import Verdict, judge

JUDGED_AT_ONCE = 128  # validation rows per forward pass, whatever the number of ranks


def validate(comm: Comm, signals: Signals, forward: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]], feed: Feed,
             rows: npt.NDArray[np.int64]) -> Verdict | None:
    """How the network judges `rows`, on rank 0; collective. Batches are cut before they are shared out: the ranks change no logit.

    The ranks go through their batches in step, so that all can stop after any; raises `stopped()` on all then.
    """
    batches = -(-len(rows) // JUDGED_AT_ONCE)
    first, last = (batches * r // comm.size * JUDGED_AT_ONCE for r in (comm.rank, comm.rank + 1))
    logits = [np.zeros(0, np.float32)]
    with ahead(feed.in_order(rows[first:last], JUDGED_AT_ONCE)) as mine:
        for _ in range(-(-batches // comm.size)):
            with fence(comm, feed.table.path):
                if signals.caught:
                    raise stopped()
                logits += [forward(batch.px)[batch.weight > 0] for batch in [next(mine, None)] if batch is not None]
    every = gather_rows(comm, np.concatenate(logits))
    verdict: Verdict | None = None
    with fence(comm):
        if every is not None:
            if not np.isfinite(every).all():
                raise UserError("the network says nothing finite of the validation rows", "", "lower `train.learning_rate`")
            label = feed.table.label[rows]
            verdict = judge(every, label, feed.weights[label])
    return verdict
