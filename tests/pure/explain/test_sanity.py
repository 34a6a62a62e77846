"""The sanity check: maps of a network that forgets change, maps that do not look at the network stay."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpicamnet.explain.attributions import Sanity
from mpicamnet.explain.class_maps import ClassMaps
from mpicamnet.explain.sanity import Change, cascade, change, randomised
from mpicamnet.train import NETWORKS
from mpicamnet.train.engine import start_tensorflow


@pytest.fixture(scope="module")
def model() -> Any:
    start_tensorflow(1)[1].utils.set_random_seed(4)
    return NETWORKS["camnet_small"].build(64)


def test_a_map_is_like_itself_and_unlike_noise() -> None:
    rng = np.random.default_rng(0)
    a = rng.random((12, 12)).astype(np.float32)
    assert change(a, 2 * a) == Change(pytest.approx(1), pytest.approx(1))  # type: ignore[arg-type]
    noise = change(a, rng.random((12, 12)).astype(np.float32))
    assert abs(noise.spearman) < 0.3 and noise.ssim < 0.3
    assert np.isnan(change(a, np.zeros_like(a)).spearman)
    assert change(-a, a).spearman == pytest.approx(-1)
    assert np.isfinite(change(a[:4, :4], a[4:8, 4:8]).ssim)  # smaller than SSIM's window of 7


def test_layers_forget_from_the_output_down(model: Any) -> None:
    cuts = cascade(model, 4)
    names = [[layer.name for layer in cut] for cut in cuts]
    assert names[0] == ["logit", "conv4"] and [len(n) for n in names] == [2, 4, 6, 8]
    assert all(b[:len(a)] == a for a, b in zip(names, names[1:], strict=False))
    assert len(cascade(model, 100)) == 8


def test_weights_are_put_in_another_order_by_seed_and_come_back(model: Any) -> None:
    kernel = model.get_layer("conv2").kernel
    before = kernel.numpy()
    drawn = []
    for seed in (1, 1, 2):
        with randomised(cascade(model, 1)[0], seed):
            drawn.append(kernel.numpy())
    assert np.array_equal(kernel.numpy(), before)
    assert np.array_equal(drawn[0], drawn[1]) and not np.array_equal(drawn[0], drawn[2]) and not np.array_equal(drawn[0], before)
    assert np.array_equal(np.sort(drawn[0].ravel()), np.sort(before.ravel()))


def test_the_maps_of_a_network_that_forgets_change_and_come_back(model: Any) -> None:
    px = np.random.default_rng(2).integers(0, 256, (4, 64, 64, 3)).astype(np.uint8)
    maps = ClassMaps(model, ("cam", "gradcam++"), None)
    before = maps.of(px).maps
    with randomised(cascade(model, 1)[0], 3):
        forgot = maps.of(px).maps
    after = maps.of(px).maps
    for method in ("cam", "gradcam++"):
        assert np.array_equal(before[method], after[method])
        assert np.mean([change(a, b).spearman for a, b in zip(before[method], forgot[method], strict=True)]) < 0.5


def test_means_are_over_the_patches_where_a_figure_exists() -> None:
    nan = float("nan")
    sanity = Sanity([2, 4], ("cam",), [[[Change(0.5, 0.1), Change(nan, nan), Change(0.1, 0.3)]], [[Change(nan, nan)] * 3]])
    assert sanity.mean("spearman")[0, 0] == pytest.approx(0.3) and sanity.mean("ssim")[0, 0] == pytest.approx(0.2)
    assert np.isnan(sanity.mean("ssim")[1, 0])
