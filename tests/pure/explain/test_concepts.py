"""Measures of a patch, from nuclei given as masks: worked by hand, in um and in px."""
from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.explain.concepts import CONCEPTS, cavities, center_concepts, concept_names, patch_concepts
from mpicamnet.explain.stain import optical_density
from tests.pure.explain.drawn import picture, tissue

MPP = 0.5


def patch() -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """100 x 100 px with two rectangles as nuclei: 10 x 20 px, and 20 x 20 px with a hole of 4 x 4."""
    labels = np.zeros((100, 100), np.int32)
    labels[10:20, 10:30] = 3  # labels need not run from 1
    labels[50:70, 50:70] = 7
    labels[58:62, 58:62] = 0
    return np.random.default_rng(0).integers(100, 200, (100, 100, 3)).astype(np.uint8), labels


def measured(mpp: float | None) -> dict[str, float]:
    rgb, labels = patch()
    return dict(zip(concept_names(), patch_concepts(rgb, mpp, labels).tolist(), strict=True))


def test_shapes_of_given_masks_are_in_um() -> None:
    """Areas 200 and 384 px; a px is 0.25 um2; the patch 50 x 50 um = 0.0025 mm2. A hole takes 1 from the Euler number: 2 - 1."""
    m = measured(MPP)
    assert m["nuclei_count"] == 2
    assert m["nuclei_density"] == pytest.approx(800)
    assert m["nuclei_area_sum"] == pytest.approx(146)
    assert m["nuclei_area_mean"] == pytest.approx(73)
    assert m["nuclei_area_variance"] == pytest.approx((96 - 73) ** 2)
    assert m["nuclei_euler"] == 1


def test_ellipses_and_outlines_are_scikit_images() -> None:
    from skimage.measure import regionprops

    theirs, m = regionprops(patch()[1]), measured(MPP)
    assert m["nuclei_eccentricity"] == pytest.approx(np.mean([r.eccentricity for r in theirs]))
    assert m["nuclei_major_axis"] == pytest.approx(np.mean([r.axis_major_length for r in theirs]) * MPP)
    assert m["nuclei_perimeter"] == pytest.approx(np.mean([r.perimeter for r in theirs]) * MPP)


def test_where_um_per_px_is_not_known_lengths_are_px() -> None:
    m = measured(None)
    assert m["nuclei_area_mean"] == pytest.approx(292) and m["nuclei_density"] == pytest.approx(200)  # 2 in 0.01 Mpx
    assert {c.name: c.px_unit for c in CONCEPTS}["nuclei_area_mean"] == "px2"


def test_staining_is_the_amount_of_stain_drawn() -> None:
    """Half of the patch 0.4 of haematoxylin and 0.1 of eosin, half 0.0 and 0.3; rounding of px to whole numbers costs a thousandth."""
    h, e = np.zeros((64, 64)), np.full((64, 64), 0.3)
    h[:32], e[:32] = 0.4, 0.1
    m = dict(zip(concept_names(), patch_concepts(picture(h, e), 0.25).tolist(), strict=True))
    assert m["haematoxylin"] == pytest.approx(0.2, abs=2e-3) and m["eosin"] == pytest.approx(0.2, abs=2e-3)


def test_without_nuclei_means_have_no_value_and_sums_are_0() -> None:
    rgb, labels = patch()
    m = dict(zip(concept_names(), patch_concepts(rgb, MPP, labels * 0).tolist(), strict=True))
    assert m["nuclei_count"] == m["nuclei_area_sum"] == m["nuclei_euler"] == 0
    assert all(math.isnan(m[f"nuclei_{n}"]) for n in ("area_mean", "area_variance", "eccentricity", "major_axis", "perimeter", "contrast"))


def test_without_masks_nuclei_are_segmented() -> None:
    m = dict(zip(concept_names(), patch_concepts(tissue(160, 160, [(40, 40, 16), (110, 100, 16)]), 0.25).tolist(), strict=True))
    assert m["nuclei_count"] == 2 and m["nuclei_area_mean"] == pytest.approx(np.pi * 16, rel=0.12)


def test_cavities_are_clear_spaces_of_some_size_inside_the_patch() -> None:
    """At 0.5 um per px: discs of 10 and 8 um radius (314 and 201 um2) count; one of 3 um (28 um2) does not, nor glass over more than half."""
    y, x = np.mgrid[:200, :200]
    e = np.full((200, 200), 0.3)
    for cy, cx, r in ((50, 50, 20), (140, 60, 16), (60, 150, 6)):
        e[(y - cy) ** 2 + (x - cx) ** 2 <= r ** 2] = 0
    assert cavities(optical_density(picture(0 * e, e)), 0.5) == 2
    e[:, 90:] = 0
    assert cavities(optical_density(picture(0 * e, e)), 0.5) == 2


def test_each_centre_is_a_concept_of_its_own() -> None:
    described, values = center_concepts(np.array([2, 0, 2, 4]))
    assert [c.name for c in described] == ["center_0", "center_2", "center_4"] and all(c.kind == "discrete" for c in described)
    assert values.tolist() == [[0, 1, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]


def test_counts_are_discrete_and_measures_continuous() -> None:
    assert {c.name for c in CONCEPTS if c.kind == "discrete"} == {"nuclei_count", "nuclei_euler", "cavities"}
