"""Texture: equal to scikit-image's where all px count, and worked by hand where a mask leaves some out."""
from __future__ import annotations

import math

import numpy as np
import pytest

from mpicamnet.explain.texture import ANGLES, NAMES, cooccurrence, nuclear_texture, texture


@pytest.mark.parametrize("angle", ANGLES)
@pytest.mark.parametrize("distance", [1, 5])
def test_with_all_px_inside_it_is_scikit_images(angle: float, distance: int) -> None:
    from skimage.feature import graycomatrix, graycoprops

    grey = np.random.default_rng(1).integers(0, 16, (40, 33)).astype(np.uint8)
    theirs = graycomatrix(grey, [distance], [angle], levels=16, symmetric=True)
    mine = cooccurrence(grey, np.ones(grey.shape, bool), distance, angle, 16)
    assert np.array_equal(mine, theirs[:, :, 0, 0])
    theirs = graycomatrix(grey, [distance], [angle], levels=16, symmetric=True, normed=True)
    for name in NAMES:
        assert getattr(texture(mine), name) == pytest.approx(graycoprops(theirs, "ASM" if name == "asm" else name)[0, 0], abs=1e-12)


def test_only_pairs_within_one_nucleus_count() -> None:
    """One row of greys 0 1 1 3 3 in nuclei 1 1 1 2 . : pairs (0, 1) and (1, 1); 1-3 lies over two nuclei, 3-3 runs out of one.

    Both ways round: p(0,1) = p(1,0) = 1/4, p(1,1) = 1/2. ASM 3/8, contrast 1/2, homogeneity 1/4 + 1/2 = 3/4; means 3/4, variance 3/16,
    covariance p(1,1) - 9/16 = -1/16: correlation -1/3.
    """
    counts = cooccurrence(np.array([[0, 1, 1, 3, 3]], np.uint8), np.array([[1, 1, 1, 2, 0]]), 1, 0.0, 4)
    assert counts.tolist() == [[0, 1, 0, 0], [1, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    found = texture(counts)
    assert (found.asm, found.contrast, found.homogeneity) == (0.375, 0.5, 0.75)
    assert found.correlation == pytest.approx(-1 / 3)


def test_without_a_pair_there_is_no_texture() -> None:
    found = nuclear_texture(np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.int32), 1, 32)
    assert all(math.isnan(getattr(found, name)) for name in NAMES)


def test_px_outside_the_nuclei_change_nothing() -> None:
    rng = np.random.default_rng(0)
    inside = np.zeros((30, 30), np.int32)
    inside[5:15, 5:20], inside[18:28, 3:12] = 1, 2
    grey = rng.integers(0, 256, (30, 30)).astype(np.uint8)
    other = np.where(inside > 0, grey, rng.integers(0, 256, (30, 30))).astype(np.uint8)
    assert nuclear_texture(grey, inside, 2, 32) == nuclear_texture(other, inside, 2, 32)


def test_turning_a_patch_by_a_quarter_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    grey, inside = rng.integers(0, 256, (30, 30)).astype(np.uint8), (rng.random((30, 30)) < 0.7).astype(np.int32)
    a, b = nuclear_texture(grey, inside, 3, 32), nuclear_texture(np.rot90(grey), np.rot90(inside), 3, 32)
    assert [getattr(a, n) for n in NAMES] == pytest.approx([getattr(b, n) for n in NAMES])
