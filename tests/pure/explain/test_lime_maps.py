"""LIME: number for number the package's own, right on planted truth, and its unsteadiness measured."""
from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from lime.lime_image import LimeImageExplainer
from skimage.segmentation import slic

from mpicamnet.explain.lime_maps import Fit, Superpixels, agreement, fitted, perturbations, perturbed, strongest, superpixels
from mpicamnet.synth import draw_slide


@pytest.fixture(scope="module")
def px(tmp_path_factory: pytest.TempPathFactory) -> np.ndarray:
    import tifffile

    path = tmp_path_factory.mktemp("slide") / "s.tif"
    draw_slide(path, 512, 512, 1, tissue="full")
    return np.asarray(tifffile.imread(path)[200:264, 200:264])


def redness(pictures: np.ndarray) -> np.ndarray:
    """A network that anybody can follow: probability from the mean red of the left half, (n,)."""
    return 1 / (1 + np.exp(-(pictures[:, :, :32, 0].mean(axis=(1, 2)) - 150) / 5))


def fit_of(px: np.ndarray, network: object, seed: int, samples: int = 300) -> tuple[Superpixels, Fit]:
    parts = superpixels(px, 20, 10.0)
    shown = perturbations(seed, samples, parts.count)
    prob = np.concatenate([network(perturbed(parts, shown[at:at + 64])) for at in range(0, samples, 64)])  # type: ignore[operator]
    return parts, fitted(shown, prob, seed)


@pytest.mark.parametrize("seed", [0, 7])
def test_weights_and_scores_equal_those_of_limes_own_explain_instance(px: np.ndarray, seed: int) -> None:
    def cut(image: np.ndarray) -> np.ndarray:
        return slic(image, n_segments=20, compactness=10.0, sigma=1, start_label=0, channel_axis=-1)

    with contextlib.redirect_stderr(io.StringIO()):
        theirs = LimeImageExplainer(random_state=seed).explain_instance(px, lambda p: redness(np.asarray(p))[:, None], labels=(0,), top_labels=None,
                                                                        num_samples=300, segmentation_fn=cut, random_seed=1)
    parts, ours = fit_of(px, redness, seed)
    assert np.array_equal(parts.segments, theirs.segments)
    expected = dict(theirs.local_exp[0])
    np.testing.assert_allclose(ours.weights, [expected[k] for k in range(parts.count)], rtol=1e-9, atol=1e-12)
    assert ours.score == pytest.approx(theirs.score)


@pytest.mark.parametrize("planted", [3, 11])
def test_a_network_that_looks_at_one_superpixel_gives_it_the_largest_weight(px: np.ndarray, planted: int) -> None:
    """Probability 0.9 where the superpixel stands as it was, 0.1 where it is hidden: its weight is near 0.8, all others near 0."""
    parts = superpixels(px, 20, 10.0)
    inside = parts.segments == planted

    def network(pictures: np.ndarray) -> np.ndarray:
        return np.where((pictures[:, inside] == px[inside]).all(axis=(1, 2)), 0.9, 0.1)

    fits = [fit_of(px, network, seed)[1] for seed in (0, 1)]
    for fit in fits:
        assert int(fit.weights.argmax()) == planted
        assert fit.weights[planted] == pytest.approx(0.8, abs=0.05)
        assert np.abs(np.delete(fit.weights, planted)).max() < 0.05 and fit.score > 0.95
    assert np.array_equal(strongest(parts, fits[0].weights, 1), inside)


def test_seeds_agree_more_the_more_pictures_are_drawn(px: np.ndarray) -> None:
    few, many = ([fit_of(px, redness, seed, samples)[1] for seed in (0, 1, 2)] for samples in (30, 2000))
    assert agreement(few).mean < agreement(many).mean
    assert agreement(many).least > 0.8


def test_agreement_is_the_mean_and_least_spearman_over_pairs() -> None:
    """Ranks 123, 132, 321: rho = 1 - 6 sum d^2 / (n (n^2 - 1)): 0.5 for the first two, -1 and -0.5 with the third."""
    fits = [Fit(np.array(w, float), 1.0) for w in ([1, 2, 3], [10, 30, 20], [3, 2, 1])]
    found = agreement(fits)
    assert found.mean == pytest.approx((0.5 - 1 - 0.5) / 3) and found.least == pytest.approx(-1)
    assert np.isnan(agreement(fits[:1]).mean)
    assert agreement([fits[0], Fit(np.zeros(3), 0.0)]).mean == 0  # one that ranks nothing agrees with nobody


def test_hidden_superpixels_have_their_mean_colour_and_shown_ones_their_px(px: np.ndarray) -> None:
    parts = superpixels(px, 20, 10.0)
    shown = np.ones((1, parts.count), np.int64)
    shown[0, 4] = 0
    picture = perturbed(parts, shown)[0]
    inside = parts.segments == 4
    assert np.array_equal(picture[~inside], px[~inside])
    assert np.array_equal(picture[inside], np.broadcast_to(np.floor(px[inside].mean(axis=0)).astype(np.uint8), (inside.sum(), 3)))
    assert (perturbations(5, 50, parts.count)[0] == 1).all()
