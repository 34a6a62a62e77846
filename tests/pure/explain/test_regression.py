"""Ridge in the space of rows: equal to scikit-learn's in the space of activations; folds that keep slides together."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.explain.regression import (
    basis,
    chosen_strengths,
    folds_by_group,
    held_out_errors,
    inner_products,
    r_squared,
    weights,
)


def data(n: int, d: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    rng = np.random.default_rng(d)
    x = rng.normal(size=(n, d)) + 3
    return x, x[:, :2] @ rng.normal(size=(2, 3)) + rng.normal(size=(n, 3))


@pytest.mark.parametrize("d", [10, 300], ids=["fewer activations than rows", "more"])
def test_strength_and_vector_are_those_of_ridgecv(d: int) -> None:
    from sklearn.linear_model import RidgeCV

    x, y = data(60, d)
    rows = basis(inner_products(x))
    theirs = RidgeCV(alphas=rows.strengths, alpha_per_target=True).fit(x, y)
    mine = chosen_strengths(rows, y, rows.strengths)
    assert mine == pytest.approx(theirs.alpha_)
    assert (x - x.mean(axis=0)).T @ weights(rows, y, mine) == pytest.approx(theirs.coef_.T, abs=1e-9)


@pytest.mark.parametrize("d", [10, 300])
def test_r2_is_that_of_predictions_for_rows_held_out(d: int) -> None:
    from sklearn.linear_model import RidgeCV
    from sklearn.metrics import r2_score

    x, y = data(60, d)
    products, folds, predicted = inner_products(x), folds_by_group(np.arange(60) // 9, 4, 0), np.empty_like(y)
    for out in folds:
        fit = np.setdiff1d(np.arange(60), out)
        strengths = basis(products[np.ix_(fit, fit)]).strengths
        predicted[out] = RidgeCV(alphas=strengths, alpha_per_target=True).fit(x[fit], y[fit]).predict(x[out])
    errors = held_out_errors(products, y, folds)
    assert errors == pytest.approx(y - predicted, abs=1e-8)
    assert r_squared(errors, y) == pytest.approx(r2_score(y, predicted, multioutput="raw_values"))


def test_activations_are_widened_a_few_columns_at_a_time_to_the_same_result() -> None:
    x = np.random.default_rng(0).normal(size=(20, 50)).astype(np.float32)
    centred = x.astype(np.float64) - x.astype(np.float64).mean(axis=0)
    assert inner_products(x, columns=7) == pytest.approx(centred @ centred.T)


def test_a_slide_is_never_on_both_sides() -> None:
    groups = np.array([3, 3, 8, 8, 8, 1, 1, 5, 9, 9])
    folds = folds_by_group(groups, 3, 0)
    assert sorted(np.concatenate(folds).tolist()) == list(range(10))
    for out in folds:
        assert not set(groups[out]) & set(groups[np.setdiff1d(np.arange(10), out)])


def test_fewer_slides_than_folds_give_a_fold_each_and_one_slide_is_dealt_by_rows() -> None:
    assert sorted(len(f) for f in folds_by_group(np.array([0, 0, 0, 1]), 5, 0)) == [1, 3]
    alone = folds_by_group(np.zeros(10, np.int64), 5, 7)
    assert [len(f) for f in alone] == [2] * 5 and sorted(np.concatenate(alone).tolist()) == list(range(10))


def test_slides_told_by_their_stain_alone_do_not_count_as_learnt() -> None:
    """Activations say which slide it is and nothing else; the concept differs between slides at random: dealt by rows R2 would be near 1."""
    rng = np.random.default_rng(0)
    slide = np.repeat(np.arange(10), 12)
    x = np.eye(10)[slide] + 0.01 * rng.normal(size=(120, 10))
    y = rng.normal(size=10)[slide][:, None] + 0.1 * rng.normal(size=(120, 1))
    products = inner_products(x)
    assert r_squared(held_out_errors(products, y, folds_by_group(np.zeros(120, np.int64), 5, 0)), y)[0] > 0.9
    assert r_squared(held_out_errors(products, y, folds_by_group(slide, 5, 0)), y)[0] < 0.1
