"""How gradients are put into messages, and what deep gradient compression sends when."""
from __future__ import annotations

import numpy as np
import pytest

from mpicamnet.train.dgc import dealt, sent_share
from mpicamnet.train.reduction import messages


@pytest.mark.parametrize(("sizes", "most", "expected"), [
    ([10, 20, 30, 5], 35, [[3, 2], [1, 0]]),
    ([10, 20, 30, 5], 0, [[3], [2], [1], [0]]),
    ([10, 20, 30, 5], 1000, [[3, 2, 1, 0]]),
    ([5, 90, 5], 35, [[2], [1], [0]]),  # one that is larger than a message travels alone
    ([], 10, []),
])
def test_messages_hold_the_last_variables_first_and_no_more_than_fits(sizes: list[int], most: int, expected: list[list[int]]) -> None:
    assert messages(sizes, most) == expected


def test_the_share_that_is_sent_falls_as_in_the_paper() -> None:
    """Lin et al. 2017, section 3.3: sparsity 75 %, 93.75 %, 98.4375 %, 99.6 %, 99.9 % ("exponentially", to two digits)."""
    assert [1 - sent_share(0.999, 4, epoch) for epoch in range(6)] == pytest.approx([0.75, 0.9375, 0.984375, 0.996, 0.999, 0.999], abs=2e-3)
    assert sent_share(0.999, 0, 0) == pytest.approx(0.001)
    assert sent_share(0.0, 4, 2) == 1.0


def test_what_was_not_sent_is_dealt_to_other_numbers_of_ranks_and_keeps_its_mean() -> None:
    held = [np.full((2, 3), r + 1, np.float32) for r in range(4)]  # mean 2.5
    for ranks in (1, 2, 3, 4, 6):
        mine = dealt(held, ranks)
        assert len(mine) == ranks
        assert np.mean(mine) == pytest.approx(2.5)
    assert [int(h[0, 0]) for h in dealt(held, 4)] == [1, 2, 3, 4]
    assert [int(h[0, 0]) for h in dealt(held, 2)] == [2, 3]  # (1 + 3) and (2 + 4), halved
