"""The loss of a network with auxiliary heads (Szegedy et al. 2015, Section 5): its own, and 0.3 of each head's. Inference has none of them."""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

SHARE = 0.3


def whole_loss(loss_of: Callable[[Any], Any], logits: Any) -> Any:
    """Loss of `logits` (n, k): `loss_of(logits[:, 0])`, and SHARE of that of each further column; a network without such heads has none."""
    loss = loss_of(logits[:, 0])
    for k in range(1, logits.shape[1]):
        loss += SHARE * loss_of(logits[:, k])
    return loss
