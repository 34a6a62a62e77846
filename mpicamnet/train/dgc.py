"""Deep gradient compression: a rank sends only its largest gradients and keeps the others until they have grown.

Lin et al. 2017, "Deep gradient compression: reducing the communication bandwidth for distributed training", algorithm 4: momentum is taken
before the choice (momentum correction), what is not chosen adds up (local accumulation), and what was sent leaves both sums (momentum factor
masking). The momentum is plain, as in the paper, not Nesterov's. The largest of each variable are found exactly, not from a sample.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Held = npt.NDArray[np.float32]


def sent_share(sparsity: float, warmup: int, epoch: int) -> float:
    """Share of the gradients that is sent in an epoch (from 0).

    It falls by the same factor in each epoch of the warm-up: 25, 6.3, 1.6, 0.4 and then 0.1 % for sparsity 0.999 and 4 epochs (section 3.3).
    """
    return float((1 - sparsity) ** (min(epoch + 1, warmup + 1) / (warmup + 1)))


class Residuals:
    """What a rank has not sent: momentum u and gradients v, a flat float32 tf.Variable each for each of `variables`.

    It belongs to its rank alone, so a checkpoint holds it for every rank.
    """

    def __init__(self, variables: Sequence[Any], momentum: float):
        import tensorflow as tf

        self._sizes = [int(np.prod(v.shape)) for v in variables]
        self._place = {id(v): i for i, v in enumerate(variables)}
        self._momentum = momentum
        self._u, self._v = ([tf.Variable(tf.zeros(n)) for n in self._sizes] for _ in range(2))

    def exchanged(self, hvd: Any, grads: list[Any], variables: Sequence[Any], share: Any) -> list[Any]:
        """The mean over the ranks of what each sends of `grads`, the gradients of `variables`; inside a tf.function, collective.

        `share`: scalar tensor, of each variable's gradients that are sent, at least one; the same on all ranks.
        """
        import tensorflow as tf

        chosen, start = [], 0
        for grad, variable in zip(grads, variables, strict=True):
            at = self._place[id(variable)]
            values, indices = self._take(at, tf.reshape(grad, [-1]), share)
            chosen.append(tf.stack([tf.bitcast(values, tf.int32), indices + start], 1))
            start += self._sizes[at]
        mine = tf.concat(chosen, 0)  # (k, 2) int32: one message for values and places
        every = hvd.allgather(mine, name="dgc") if hvd.size() > 1 else mine
        total = tf.scatter_nd(every[:, 1:], tf.bitcast(every[:, 0], tf.float32), [start]) / hvd.size()
        sizes = [self._sizes[self._place[id(v)]] for v in variables]
        return [tf.reshape(part, g.shape) for part, g in zip(tf.split(total, sizes), grads, strict=True)]

    def _take(self, at: int, grad: Any, share: Any) -> tuple[Any, Any]:
        """Values and places (k,) that variable `at` sends; the rest is kept."""
        import tensorflow as tf

        u = self._momentum * self._u[at] + grad
        v = self._v[at] + u
        size = self._sizes[at]
        many = tf.clip_by_value(tf.cast(tf.math.ceil(share * size), tf.int32), 1, size)
        _, places = tf.math.top_k(tf.abs(v), many)
        values = tf.gather(v, places)
        kept = tf.tensor_scatter_nd_update(tf.ones([size]), places[:, None], tf.zeros_like(values))
        self._u[at].assign(u * kept)
        self._v[at].assign(v * kept)
        return values, places

    def held(self) -> Held:
        """All that is kept, float32 (2, parameters): u and v."""
        return np.stack([np.concatenate([part.numpy() for part in parts]) for parts in (self._u, self._v)])

    def hold(self, held: Held) -> None:
        """Go on from what `held` gave."""
        ends = np.cumsum(self._sizes)[:-1]
        for parts, flat in zip((self._u, self._v), held, strict=True):
            for variable, value in zip(parts, np.split(flat, ends), strict=True):
                variable.assign(value)


def dealt(held: Sequence[Held], ranks: int) -> list[Held]:
    """What `ranks` ranks go on with where other ranks have left `held`: nothing that was not sent is lost.

    As many ranks get each their own. Else rank r gets what ranks r, r + ranks, ... left, times the new number of ranks over the old, since
    what is sent is divided by the number of ranks.
    """
    if len(held) == ranks:
        return list(held)
    scale, nothing = ranks / len(held), np.zeros_like(held[0])
    return [(scale * sum(held[r::ranks], nothing)).astype(np.float32) for r in range(ranks)]
