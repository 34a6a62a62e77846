"""From px to probabilities: batches, and the mean over views of a patch."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.errors import UserError
from mpicamnet.infer.network import TURNS, probabilities, turned

Px = npt.NDArray[np.uint8]
Logits = npt.NDArray[np.float32]


def test_batches_have_few_shapes_and_filling_up_leaves_no_trace() -> None:
    shapes = []

    def forward(px: Px) -> Logits:
        shapes.append(len(px))
        return px[:, 0, 0, 0].astype(np.float32) - 3

    px = np.broadcast_to(np.arange(83, dtype=np.uint8)[:, None, None, None] % 7, (83, 2, 2, 3))
    prob = probabilities(forward, px, 32)
    assert shapes == [32, 32, 20]  # 83 = 32 + 32 + 19, and 19 is filled up to a multiple of 32 / 8
    assert prob == pytest.approx(1 / (1 + np.exp(3.0 - np.arange(83) % 7)), rel=1e-6)  # the logistic function
    assert probabilities(forward, px[:0], 32).shape == (0,)
    shapes.clear()
    probabilities(forward, px[:3], 2)  # batches smaller than eight are not filled up
    assert shapes == [2, 1]


def test_flips_are_two_mirrors_their_product_and_nothing_and_d4_adds_the_quarter_turns() -> None:
    px = np.arange(2 * 3 * 3 * 1, dtype=np.uint8).reshape(2, 3, 3, 1)
    flips = {turned(px, k).tobytes() for k in TURNS["flips"]}
    assert flips == {v.tobytes() for v in (px, px[:, :, ::-1], px[:, ::-1], px[:, ::-1, ::-1])}
    every = {turned(px, k).tobytes() for k in TURNS["d4"]}
    transposed = px.transpose(0, 2, 1, 3)
    assert every == flips | {v.tobytes() for v in (transposed, transposed[:, :, ::-1], transposed[:, ::-1], transposed[:, ::-1, ::-1])}


@pytest.mark.parametrize(("tta", "corners"), [("none", 1), ("flips", 4), ("d4", 4)])
def test_test_time_augmentation_is_the_mean_of_the_probabilities(tta: str, corners: int) -> None:
    """A network that looks at the top left px alone sees each of the four corners: once each by the flips, twice each by all eight."""

    def forward(px: Px) -> Logits:
        return px[:, 0, 0, 0].astype(np.float32)

    px = np.zeros((1, 5, 5, 3), np.uint8)
    px[0, 0, 0], px[0, 0, 4], px[0, 4, 0], px[0, 4, 4] = 1, 2, 3, 4
    expected = np.mean([1 / (1 + np.exp(-v)) for v in (1, 2, 3, 4)[:corners]])
    assert probabilities(forward, px, 8, TURNS[tta]) == pytest.approx([expected], rel=1e-6)


def test_a_network_that_says_nothing_finite_is_an_error() -> None:
    with pytest.raises(UserError, match="nothing finite"):
        probabilities(lambda px: np.full(len(px), np.nan, np.float32), np.zeros((3, 2, 2, 3), np.uint8), 4)
