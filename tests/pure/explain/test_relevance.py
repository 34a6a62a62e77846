"""TCAV, Br, p-values and their correction: worked by hand, and against SciPy."""
from __future__ import annotations

import numpy as np
import pytest

from mpicamnet.explain.relevance import band, benjamini_hochberg, p_value, permutations, scores


def test_tcav_and_br_by_hand_and_signs_are_kept() -> None:
    """Gradient times vector 2, 4, -2, 8 of a vector of length 2: S = 1, 2, -1, 4; mean 1.5, std sqrt(3.25), 3 of 4 above 0; Br = 0.5 mean / std."""
    s = scores(np.array([[2.0, -2], [4, -4], [-2, 2], [8, -8]]), np.array([2.0, 2]), np.array([0.5, 0.5]))
    assert s.mean == pytest.approx([1.5, -1.5]) and s.std == pytest.approx([3.25 ** 0.5] * 2)
    assert s.tcav.tolist() == [0.75, 0.25]
    assert s.br == pytest.approx([0.5 * 1.5 / 3.25 ** 0.5, -0.5 * 1.5 / 3.25 ** 0.5])


def test_a_concept_that_is_not_learnt_has_br_0_and_not_one_of_the_other_sign() -> None:
    assert scores(np.array([[1.0], [3.0]]), np.ones(1), np.array([-0.4])).br[0] == 0


def test_where_all_sensitivities_are_the_same_br_has_no_value() -> None:
    s = scores(np.full((5, 1), 0.3), np.ones(1), np.ones(1))
    assert np.isnan(s.br[0]) and s.tcav[0] == 1
    assert scores(np.zeros((5, 1)), np.ones(1), np.ones(1)).br[0] == 0  # nothing goes along it at all


def test_p_counts_the_observed_value_among_chance() -> None:
    assert p_value(3.0, np.array([1.0, 2, 3, 4])) == pytest.approx(3 / 5)
    assert p_value(9.0, np.arange(9.0)) == pytest.approx(1 / 10)
    assert p_value(float("nan"), np.ones(3)) == 1


def test_the_band_leaves_out_chance_without_a_value() -> None:
    assert band(np.array([np.nan, *np.arange(1001.0)])) == (25.0, 975.0)
    assert band(np.full(3, np.nan)) is None


def test_correction_is_scipys() -> None:
    from scipy.stats import false_discovery_control

    p = np.random.default_rng(0).random(40) ** 3
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p))
    assert benjamini_hochberg(np.zeros(0)).shape == (0,)


def test_orders_are_of_the_seed_alone() -> None:
    a = permutations(12, 5, 3)
    assert np.array_equal(a, permutations(12, 5, 3)) and not np.array_equal(a, permutations(12, 5, 4))
    assert (np.sort(a, axis=0) == np.arange(12)[:, None]).all()
