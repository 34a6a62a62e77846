"""When training ends early."""
from __future__ import annotations

import pytest

from mpicamnet.train.checkpoint import Row, out_of_patience


@pytest.mark.parametrize(("aucs", "patience", "over"), [
    ([], 1, False), ([0.9], 1, False), ([0.9, 0.8], 1, True), ([0.9, 0.8], 2, False), ([0.9, 0.8, 0.7], 2, True), ([0.9, 0.8, 0.95], 2, False),
    ([0.9, 0.8, 0.7, 0.6], None, False),
])
def test_patience_counts_epochs_since_the_one_that_is_kept(aucs: list[float], patience: int | None, over: bool) -> None:
    history = [Row(i + 1, 0.5, 0.5, auc, 0.9, 1.0) for i, auc in enumerate(aucs)]
    assert out_of_patience(history, patience) is over
