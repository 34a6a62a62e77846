"""Which tiles are explained."""
from __future__ import annotations

import numpy as np
import pytest

from mpicamnet.errors import UserError
from mpicamnet.explain.chosen import Tiles, most_and_least_certain, named, outcomes

#  row      0     1     2     3     4     5     6     7     8     9
PROB = [0.90, 0.60, 0.99, 0.20, 0.55, 0.01, 0.30, 0.99, 0.95, 0.90]
LABEL = [1,    1,    1,    1,    0,    0,    0,    -1,   1,    1]
SLIDE = [0,    0,    0,    0,    0,    0,    0,    0,    1,    1]


@pytest.fixture
def tiles() -> Tiles:
    n = len(PROB)
    xy = np.stack([96 * np.arange(n), 10 * np.arange(n)], axis=1).astype(np.int64)
    unknown = np.full(2, -1, np.int32)
    return Tiles(("a", "b"), np.array(SLIDE, np.int32), xy, np.array(LABEL, np.int8), np.array(PROB, np.float32), 96, np.ones(2), np.ones(2), unknown,
                 unknown)


def test_outcomes_are_named_as_in_a_confusion_table() -> None:
    found = outcomes(np.array([1, 1, 0, 0, -1], np.int8), np.array([0.5, 0.4, 0.6, 0.1, 0.9], np.float32), 0.5)
    assert found.tolist() == ["TP", "FN", "FP", "TN", "unknown"]


def test_the_most_and_least_certain_of_each_outcome_and_slide_are_chosen(tiles: Tiles) -> None:
    """By hand at threshold 0.5. Slide a: TP 2 (.99), 1 (.60); FN 3; FP 4; TN 5 (.01), 6 (.30). Slide b: TP 8, 9. Row 7 has no label."""
    found = most_and_least_certain(tiles, 0.5, 1)
    assert [(c.row, c.outcome, c.why) for c in found] == [
        (1, "TP", "least certain"), (2, "TP", "most certain"), (3, "FN", "most certain"), (4, "FP", "most certain"), (5, "TN", "most certain"),
        (6, "TN", "least certain"), (8, "TP", "most certain"), (9, "TP", "least certain")]
    assert found[0].name == "a" and (found[0].x, found[0].y) == (96, 10) and found[0].file == "a_x96_y10_TP"


def test_more_of_each_are_never_the_same_twice_and_ties_fall_to_the_earlier_row(tiles: Tiles) -> None:
    rows = [c.row for c in most_and_least_certain(tiles, 0.5, 5)]
    assert rows == [0, 1, 2, 3, 4, 5, 6, 8, 9]
    level = Tiles(("a",), np.zeros(4, np.int32), np.zeros((4, 2), np.int64), np.ones(4, np.int8), np.full(4, 0.8, np.float32), 96, np.ones(1), np.ones(1),
                  np.zeros(1, np.int32), np.zeros(1, np.int32))
    assert [c.row for c in most_and_least_certain(level, 0.5, 1)] == [0]


def test_tiles_can_be_named_by_row_and_by_place(tiles: Tiles) -> None:
    found = named(tiles, ["b:768:80", 7, "5"], 0.5)
    assert [(c.row, c.outcome, c.why) for c in found] == [(5, "TN", "named"), (7, "unknown", "named"), (8, "TP", "named")]


@pytest.mark.parametrize("patch, words", [
    (10, "no row 10.*it has 10"), ("c:0:0", "no slide `c`"), ("a:1", "names no tile"), ("b:760:80", "nearest is b:768:80"),
])
def test_a_tile_that_is_not_there_is_said(tiles: Tiles, patch: int | str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        named(tiles, [patch], 0.5)
