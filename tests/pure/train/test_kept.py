"""Which epoch's weights are kept."""
from __future__ import annotations

from mpicamnet.train.checkpoint import Row, kept


def row(epoch: int, loss: float, auc: float) -> Row:
    return Row(epoch, 0.5, loss, auc, 0.9, 1.0)


def test_the_highest_auc_is_kept_and_among_equals_to_three_digits_the_lowest_loss() -> None:
    assert kept([row(1, 0.2, 0.90), row(2, 0.4, 0.95), row(3, 0.1, 0.94)]).epoch == 2
    # 0.99996 is no better than 0.99991, but its loss is far worse: it calls too much tumour
    assert kept([row(1, 0.10, 0.99991), row(2, 0.38, 0.99996), row(3, 0.05, 0.99993)]).epoch == 3
    assert kept([row(1, 0.2, 0.9), row(2, 0.2, 0.9)]).epoch == 1
