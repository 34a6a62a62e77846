"""The Numba filter against the same rule written in NumPy."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.patches.filter import compact, count, scatter, shares


def by_numpy(patches: npt.NDArray[np.uint8], white: int, black: int) -> npt.NDArray[np.int64]:
    return np.stack([(patches > white).all(-1).sum((1, 2)), (patches < black).all(-1).sum((1, 2))], axis=1)


@pytest.mark.parametrize("side", [1, 7, 96, 224, 300])
def test_counts_equal_numpys_on_noise_and_on_extremes(side: int) -> None:
    rng = np.random.default_rng(side)
    patches = rng.integers(0, 256, (5, side, side, 3), dtype=np.uint8)
    patches[1], patches[2] = 255, 0
    patches[3] = rng.choice(np.array([19, 20, 200, 201], np.uint8), (side, side, 3))  # on both sides of both limits
    assert np.array_equal(count(patches, np.uint8(200), np.uint8(20)), by_numpy(patches, 200, 20))


def test_patches_put_together_from_tiles_are_the_slides_pixels_and_counted_once() -> None:
    rng = np.random.default_rng(0)
    slide = rng.integers(0, 256, (300, 420, 3), dtype=np.uint8)
    x, y = rng.integers(0, 420 - 64, 40), rng.integers(0, 300 - 64, 40)
    out, counts = np.zeros((40, 64, 64, 3), np.uint8), np.zeros((40, 2), np.int64)
    for top in range(0, 300, 100):
        for left in range(0, 420, 70):
            tile = np.ascontiguousarray(slide[top:top + 100, left:left + 70])
            scatter(tile, left, top, x, y, np.arange(40), out, counts, np.uint8(150), np.uint8(90))
    expected = np.stack([slide[b:b + 64, a:a + 64] for a, b in zip(x, y, strict=True)])
    assert np.array_equal(out, expected)
    assert np.array_equal(counts, by_numpy(expected, 150, 90))


def test_shares_are_of_the_patch() -> None:
    assert shares(np.array([[25, 100]]), 10).tolist() == [[0.25, 1.0]]


def test_compact_keeps_order() -> None:
    rows = np.arange(20, dtype=np.uint8).reshape(5, 4)
    kept = rows[[1, 2, 4]].copy()
    assert compact(rows, np.array([False, True, True, False, True])) == 3
    assert np.array_equal(rows[:3], kept)
