"""The step size over time."""
from __future__ import annotations

import pytest

from mpicamnet.config import Train
from mpicamnet.train.schedule import learning_rate


def test_the_step_size_grows_with_the_ranks_after_a_warm_up_and_falls_along_a_cosine() -> None:
    train = Train(learning_rate=0.1, warmup=1.0, epochs=3, schedule="cosine", decay=0)
    rates = [learning_rate(train, 4, step, 10) for step in range(30)]
    assert rates[9] == pytest.approx(0.4)  # 4 ranks: 4 x 0.1 at the end of the first epoch
    assert all(a < b for a, b in zip(rates[:9], rates[1:10], strict=True))
    assert rates[20] == pytest.approx(0.4 * (0.01 + 0.99 / 2))  # half way down the cosine
    assert rates[29] < 0.01
    assert learning_rate(Train(learning_rate=0.1, warmup=0, decay=0), 2, 500, 10) == pytest.approx(0.2)


def test_it_does_not_grow_where_the_config_says_so_nor_with_adasum() -> None:
    for train in (Train(learning_rate=0.1, warmup=0, decay=0, scale_lr=False), Train(learning_rate=0.1, warmup=0, decay=0, reduce="adasum")):
        assert learning_rate(train, 8, 500, 10) == pytest.approx(0.1)


def test_it_falls_by_a_factor_every_few_epochs() -> None:
    train = Train(learning_rate=1.0, warmup=0, schedule="step", step_epochs=3, step_factor=0.5, decay=0)
    assert [learning_rate(train, 1, 10 * epoch, 10) for epoch in range(8)] == pytest.approx([1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25])


def test_decay_is_that_of_keras_2_and_of_sgd_alone() -> None:
    """Keras 2.3, SGD.get_updates: lr * (1 / (1 + decay * iterations)); after 1,000 steps of decay 1e-3 half is left."""
    assert learning_rate(Train(learning_rate=0.1, warmup=0, decay=1e-3), 1, 1000, 10) == pytest.approx(0.05)
    assert learning_rate(Train(learning_rate=0.1, warmup=0, decay=1e-3, optimizer="adam"), 1, 1000, 10) == pytest.approx(0.1)


def test_defaults_are_those_of_the_original() -> None:
    t = Train()
    assert (t.optimizer, t.learning_rate, t.momentum, t.decay, t.batch) == ("sgd", 1e-4, 0.9, 1e-6, 32)
