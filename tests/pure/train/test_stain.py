"""Colours brought to a reference: against scikit-image, planted stains, and the authors' algorithm written out in NumPy."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from skimage.color import lab2rgb, rgb2lab

from mpicamnet.train.stain import AS_THEY_ARE, MACENKO, REINHARD, normalised, stain_vectors
from tests.shared_data import DATA, needs_data

PAIRS = [((0.65, 0.70, 0.29), (0.07, 0.95, 0.30)), ((0.56, 0.72, 0.41), (0.15, 0.86, 0.48)), ((0.69, 0.64, 0.34), (0.05, 0.90, 0.43))]


def unit(v: tuple[float, ...]) -> npt.NDArray[np.float64]:
    return np.array(v) / np.linalg.norm(v)


def stained(pair: tuple[tuple[float, ...], tuple[float, ...]], strength: float = 1, side: int = 96, seed: int = 0) -> npt.NDArray[np.uint8]:
    """A patch (side, side, 3) of px with drawn amounts of two stains; a tenth has the first alone, a tenth the second alone, a twentieth none."""
    rng = np.random.default_rng(seed)
    h, e = strength * rng.gamma(3, 0.3, (side, side)), strength * rng.gamma(3, 0.25, (side, side))
    kind = rng.random((side, side))
    e[kind < 0.1], h[(kind >= 0.1) & (kind < 0.2)] = 0, 0
    h[kind > 0.95], e[kind > 0.95] = 0, 0
    light = 240 * np.exp(-(h[..., None] * unit(pair[0]) + e[..., None] * unit(pair[1])))
    return np.clip(np.round(light) - 1, 0, 255).astype(np.uint8)


def angle(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b / np.linalg.norm(a) / np.linalg.norm(b), -1, 1))))


@pytest.mark.parametrize("pair", [((0.56, 0.72, 0.41), (0.22, 0.80, 0.56)), ((0.65, 0.70, 0.29), (0.25, 0.90, 0.35)), ((0.69, 0.64, 0.34), (0.30, 0.85, 0.43))])
def test_planted_stains_are_found_whatever_their_strength(pair: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    """Eosin that takes some red: px whose optical density is below 0.15 in a channel are not looked at, so that others would not be seen pure."""
    for strength in (1, 1.5, 2):
        found = stain_vectors(stained(pair, strength))
        assert found is not None
        assert angle(found[0], unit(pair[0])) < 3 and angle(found[1], unit(pair[1])) < 3  # the 1st and 99th percentiles lie a little inside


def macenko(px: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """The authors' program (normalizeStaining.m), line by line, with its numbers."""
    he_ref, max_ref = np.array([[0.5626, 0.2159], [0.7201, 0.8012], [0.4062, 0.5581]]), np.array([1.9705, 1.0308])
    od = -np.log((px.reshape(-1, 3).astype(float) + 1) / 240)
    clear = od[~(od < 0.15).any(1)]
    _, v = np.linalg.eigh(np.cov(clear.T))
    v = v[:, [1, 2]] * np.where(v[0, [1, 2]] < 0, -1, 1)
    phi = np.arctan2(*(clear @ v)[:, [0, 1]].T)
    low, high = np.percentile(phi, [1, 99])
    ends = [v @ np.array([np.sin(p), np.cos(p)]) for p in (low, high)]
    he = np.array(ends if ends[0][0] > ends[1][0] else ends[::-1]).T
    c = np.linalg.lstsq(he, od.T, rcond=None)[0]
    c *= (max_ref / np.percentile(c, 99, axis=1))[:, None]
    return np.minimum(240 * np.exp(-he_ref @ c), 255).T.reshape(px.shape)


@pytest.mark.parametrize("pair", PAIRS)
def test_macenko_equals_the_authors_program(pair: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    px = stained(pair, 1.2)
    assert np.abs(normalised(px[None], MACENKO)[0] - macenko(px)).max() <= 1


def test_macenko_makes_two_laboratories_alike() -> None:
    one, two = stained(PAIRS[0], 0.8), stained(PAIRS[1], 1.4)
    before = np.abs(one.reshape(-1, 3).mean(0) - two.reshape(-1, 3).mean(0)).max()
    a, b = normalised(np.stack([one, two]), MACENKO)
    assert before > 40 and np.abs(a.astype(int) - b).mean() < 0.1 * before


def test_reinhard_equals_scikit_images_lab() -> None:
    """Stained px (darkest channel at most 205) get the reference's mean and standard deviation in L*a*b*; others stay."""
    px = np.stack([stained(pair, seed=i) for i, pair in enumerate(PAIRS)])
    out = normalised(px, REINHARD)
    mean, spread = map(np.array, REINHARD.reference)
    for p, o in zip(px, out, strict=True):
        mask = p.min(-1) <= 205
        lab = rgb2lab(p)[mask]
        expected = p.astype(float)
        expected[mask] = np.round(255 * lab2rgb(((lab - lab.mean(0)) * np.clip(spread / lab.std(0), 1 / 3, 3) + mean)[None])[0])
        assert 0.5 < mask.mean() < 1 and np.abs(o - expected).max() <= 1


@needs_data
def test_the_reinhard_reference_is_that_of_the_original_programs_patch() -> None:
    px = np.load(DATA / "process_l1" / "normalizing_patch.npy")[..., ::-1]
    lab = rgb2lab(px)[px.min(-1) <= 205]
    assert np.abs(np.array(REINHARD.reference) - [lab.mean(0), lab.std(0)]).max() < 0.001
    assert np.abs(normalised(px[None].copy(), REINHARD)[0].astype(int) - px).max() <= 1  # itself


@pytest.mark.parametrize("stain", [REINHARD, MACENKO])
def test_a_patch_with_too_little_stain_stays_as_it_is(stain: object) -> None:
    glass = np.full((96, 96, 3), 240, np.uint8)
    speck = glass.copy()
    speck[:10, :10] = stained(PAIRS[0])[:10, :10]  # 1 %
    black = np.zeros((96, 96, 3), np.uint8)
    px = np.stack([glass, speck] + ([black] if stain is MACENKO else []))
    assert (normalised(px, stain) == px).all()  # type: ignore[arg-type]


@pytest.mark.parametrize("stain", [REINHARD, MACENKO])
def test_an_even_patch_is_not_made_of_noise(stain: object) -> None:
    """Noise of one grey level may come out three times as large and no more: here 3 levels and rounding."""
    rng = np.random.default_rng(0)
    even = (np.array([180, 120, 170]) + rng.integers(-1, 2, (1, 96, 96, 3))).astype(np.uint8)
    out = normalised(even, stain)  # type: ignore[arg-type]
    assert out.reshape(-1, 3).std(0).max() < 3 * even.reshape(-1, 3).std(0).max() + 1.5


def test_a_patch_does_not_depend_on_its_company() -> None:
    px = np.stack([stained(p, seed=i) for i, p in enumerate(PAIRS)])
    for stain in (REINHARD, MACENKO):
        assert (normalised(px, stain)[1] == normalised(px[1:2], stain)[0]).all()
    assert normalised(px, AS_THEY_ARE) is px
