"""How the network judges the validation rows, shared out over the ranks."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..errors import UserError
from ..ranks import Comm, Signals, fence
from .feed import Feed
from .judge import Verdict, judge
from .scoring import Forward, logits_of


def validate(comm: Comm, signals: Signals, forward: Forward, feed: Feed, rows: npt.NDArray[np.int64]) -> Verdict | None:
    """How the network judges `rows`, on rank 0; collective. Raises `stopped()` on all ranks after a signal to one."""
    every = logits_of(comm, signals, forward, feed, rows)
    verdict: Verdict | None = None
    with fence(comm):
        if every is not None:
            if not np.isfinite(every).all():
                raise UserError("the network says nothing finite of the validation rows", "", "lower `train.learning_rate`")
            label = feed.table.label[rows]
            verdict = judge(every, label, feed.weights[label])
    return verdict
