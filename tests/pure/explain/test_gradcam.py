"""CAM, Grad-CAM and Grad-CAM++ against their definitions, on networks small enough to be differentiated by hand."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from skimage.transform import resize

from mpicamnet.errors import UserError
from mpicamnet.explain import cam, gradcam, gradcam_plus_plus
from mpicamnet.explain.cam import class_maps, linear_head
from mpicamnet.explain.gradcam import Evidence, gradcam_plus_plus_weights, gradcam_weights, looker, weighted
from mpicamnet.explain.graph import last_maps, maps_step
from mpicamnet.explain.maps import scaled, upsampled
from mpicamnet.train import NETWORKS
from mpicamnet.train.engine import start_tensorflow

RNG = np.random.default_rng(3)
PX = RNG.integers(0, 256, (3, 12, 12, 3)).astype(np.uint8)


@pytest.fixture(scope="module")
def keras() -> Any:
    return start_tensorflow(1)[1]


def curved(keras: Any) -> Any:
    """A head that is not linear, so that every place of every map has a gradient of its own."""
    keras.utils.set_random_seed(3)  # one whose maps speak for tumour, in about half of the places
    layers = keras.layers
    x = inputs = keras.Input((12, 12, 3))
    x = layers.Rescaling(1 / 127.5, -1.0)(x)
    x = layers.Conv2D(4, 3, activation="relu", name="first")(x)
    x = layers.Conv2D(3, 3, strides=2, activation="relu", name="second")(x)  # 4 x 4 x 3
    x = layers.Dense(5, activation="tanh", name="bent")(layers.Flatten()(x))
    return keras.Model(inputs, layers.Dense(1, name="logit")(x))


def by_definition(keras: Any, model: Any) -> tuple[np.ndarray, np.ndarray]:
    """Maps A of `second` by Keras, and dS/dA by central differences in float64 of S = W2 tanh(W1 A + b1) + b2."""
    maps = np.asarray(keras.Model(model.input, model.get_layer("second").output)(PX.astype(np.float32)), np.float64)
    w1, b1 = (np.float64(w.numpy()) for w in model.get_layer("bent").weights)
    w2, b2 = (np.float64(w.numpy()) for w in model.get_layer("logit").weights)
    gradient = np.zeros_like(maps)
    for place in np.ndindex(maps.shape):
        moved = []
        for step in (1e-5, -1e-5):
            a = maps[place[0]].copy()
            a[place[1:]] += step
            moved.append((np.tanh(a.ravel() @ w1 + b1) @ w2 + b2).item())
        gradient[place] = (moved[0] - moved[1]) / 2e-5
    return maps, gradient


def drawn(coarse: np.ndarray) -> np.ndarray:
    """Maps (n, 4, 4) at (n, 12, 12) by scikit-image, each over its most."""
    big = np.stack([resize(m, (12, 12), order=1, mode="edge", anti_aliasing=False) for m in coarse])
    most = big.max(axis=(1, 2), keepdims=True)
    return np.divide(big, most, out=np.zeros_like(big), where=most > 0)


def test_grad_cam_equals_its_definition_by_numerical_differentiation(keras: Any) -> None:
    """Selvaraju et al. 2017, equations 1 and 2."""
    model = curved(keras)
    maps, gradient = by_definition(keras, model)
    expected = drawn(np.maximum((maps * gradient.mean(axis=(1, 2), keepdims=True)).sum(axis=3), 0))
    ours = gradcam(model, PX)
    assert ours.dtype == np.float32 and ours.shape == (3, 12, 12) and ours.min() >= 0 and ours.max() <= 1
    assert (expected.max(axis=(1, 2)) == 1).all()
    np.testing.assert_allclose(ours, expected, atol=2e-5)


def test_grad_cam_plus_plus_weighs_by_equation_19(keras: Any) -> None:
    """Chattopadhay et al. 2018: w_k = sum_ij alpha_ij relu(dY/dA_ij), alpha_ij = g_ij^2 / (2 g_ij^2 + sum_ab A_ab g_ij^3), Y = exp(S); in loops."""
    model = curved(keras)
    maps, gradient = by_definition(keras, model)
    score = np.asarray(model(PX.astype(np.float32)), np.float64)[:, 0]
    expected = np.zeros((3, 3))
    for n in range(3):
        for k in range(3):
            for i in range(4):
                for j in range(4):
                    g = gradient[n, i, j, k]
                    alpha = g**2 / (2 * g**2 + maps[n, :, :, k].sum() * g**3) if g > 0 else 0
                    expected[n, k] += alpha * max(np.exp(score[n]) * g, 0)
    seen = looker(model, last_maps(model))(PX)
    ours = gradcam_plus_plus_weights(seen)
    assert (expected > 0).any(axis=1).all()
    np.testing.assert_allclose(ours * np.exp(score)[:, None], expected, rtol=1e-4, atol=1e-7)
    picture = drawn(np.maximum(np.einsum("nhwk,nk->nhw", maps, expected), 0))
    np.testing.assert_allclose(gradcam_plus_plus(model, PX), picture, atol=2e-5)


def test_for_a_mean_and_a_linear_layer_cam_is_grad_cam_up_to_scale_and_its_mean_is_the_logit(keras: Any) -> None:
    """Zhou et al. 2016, equations 1 and 2: S = bias + mean over places of the class map."""
    model = NETWORKS["camnet_small"].build(32)
    px = RNG.integers(0, 256, (4, 32, 32, 3)).astype(np.uint8)
    head = linear_head(model)
    assert head is not None and head.step.name == "conv4"
    seen = looker(model, head.step)(px)
    ours = class_maps(seen.maps, head)
    np.testing.assert_allclose(ours.mean(axis=(1, 2)) + head.bias, np.asarray(model(px.astype(np.float32)))[:, 0], atol=1e-5)
    np.testing.assert_allclose(scaled(np.maximum(ours, 0)), scaled(weighted(seen.maps, gradcam_weights(seen))), atol=1e-5)
    whole = cam(model, px)
    assert whole is not None and whole.shape == (4, 32, 32) and whole.min() < 0 < whole.max()


def test_a_head_that_is_not_linear_has_no_cam(keras: Any) -> None:
    assert cam(curved(keras), PX) is None


@pytest.mark.parametrize("cells, px", [(3, 12), (7, 96), (12, 96), (1, 5)])
def test_coarse_maps_grow_as_scikit_images_bilinear_does(cells: int, px: int) -> None:
    maps = RNG.normal(size=(2, cells, cells)).astype(np.float32)
    expected = np.stack([resize(m, (px, px + 4), order=1, mode="edge", anti_aliasing=False) for m in maps])
    np.testing.assert_allclose(upsampled(maps, px, px + 4), expected, atol=1e-5)


def test_where_nothing_speaks_for_tumour_the_maps_are_0_and_nothing_is_divided_by_0() -> None:
    seen = Evidence(np.ones((1, 2, 2, 3), np.float32), -np.ones((1, 2, 2, 3), np.float32), np.zeros(1, np.float32))
    for weights in (gradcam_weights(seen), gradcam_plus_plus_weights(seen)):
        assert np.array_equal(scaled(weighted(seen.maps, weights)), np.zeros((1, 2, 2)))


def test_batches_change_no_map_and_there_may_be_no_pictures(keras: Any) -> None:
    model = curved(keras)
    np.testing.assert_allclose(gradcam(model, PX, batch=2), gradcam(model, PX, batch=3), atol=1e-6)
    assert gradcam(model, PX[:0]).shape == (0, 12, 12)


def nested(keras: Any) -> tuple[Any, Any]:
    """A backbone and a head, each a model of its own, and the same layers in one row."""
    layers = keras.layers
    flip = layers.RandomFlip(name="flip")
    convolutions = [layers.Conv2D(4, 3, activation="relu", name="one"), layers.Conv2D(6, 3, name="two"), layers.BatchNormalization(name="norm"),
                    layers.ReLU(name="relu")]
    tail = [layers.GlobalAveragePooling2D(name="mean"), layers.Dropout(0.5, name="drop"), layers.Dense(1, name="logit")]
    backbone = keras.Sequential([keras.Input((12, 12, 3)), *convolutions], name="backbone")
    inputs = keras.Input((12, 12, 3))
    head_input = keras.Input(backbone.outputs[0].shape[1:])
    x = head_input
    for layer in tail:
        x = layer(x)
    head = keras.Model(head_input, x, name="head")
    whole = keras.Model(inputs, head(backbone(flip(inputs))))
    flat_input = x = keras.Input((12, 12, 3))
    for layer in (*convolutions, *tail):
        x = layer(x)
    return whole, keras.Model(flat_input, x)


def test_models_within_models_give_the_maps_of_their_layers_in_one_row(keras: Any) -> None:
    """Augmentation and dropout in the graph are off, so both networks compute the same."""
    whole, flat = nested(keras)
    assert last_maps(whole).name == "backbone/relu" and last_maps(flat).name == "relu"
    for layer in (None, "one", "two"):
        for ours in (gradcam, gradcam_plus_plus):
            np.testing.assert_allclose(ours(whole, PX, layer), ours(flat, PX, layer), atol=1e-6)
    inside, outside = cam(whole, PX), cam(flat, PX)
    assert inside is not None and outside is not None
    np.testing.assert_allclose(inside, outside, atol=1e-6)
    assert maps_step(whole, "backbone/one") == maps_step(whole, "one")


def test_maps_within_a_residual_block_are_differentiated_through_both_ways(keras: Any) -> None:
    """S = mean over places and channels of (A + B), B = 2 A by a 1 x 1 convolution: dS/dA = 3 / (places x channels), by hand."""
    layers = keras.layers
    inputs = keras.Input((12, 12, 3))
    a = layers.Conv2D(2, 3, padding="same", name="a")(inputs)
    b = layers.Conv2D(2, 1, use_bias=False, name="b")(a)
    out = layers.Dense(1, name="out")(layers.GlobalAveragePooling2D()(layers.Add(name="sum")([a, b])))
    model = keras.Model(inputs, out)
    model.get_layer("b").set_weights([2 * np.eye(2)[None, None]])
    model.get_layer("out").set_weights([np.full((2, 1), 0.5), np.zeros(1)])
    assert last_maps(model).name == "sum"
    seen = looker(model, maps_step(model, "a"))(PX)
    np.testing.assert_allclose(seen.gradient, 3 / (144 * 2), rtol=1e-5)


def test_a_layer_that_is_not_there_is_answered_with_the_nearest(keras: Any) -> None:
    with pytest.raises(UserError, match="no layer `secnod`.*did you mean `second`"):
        gradcam(curved(keras), PX, "secnod")
    with pytest.raises(UserError, match="did you mean `norm`"):
        gradcam(nested(keras)[0], PX, "nrom")
    with pytest.raises(UserError, match="`bent` gives no maps.*e.g. `second`"):
        gradcam(curved(keras), PX, "bent")


def test_networks_that_cannot_be_looked_into_are_refused(keras: Any) -> None:
    layers = keras.layers
    plain = keras.Sequential([keras.Input((12, 12, 3)), layers.Flatten(), layers.Dense(1)])
    with pytest.raises(UserError, match="no convolution"):
        gradcam(plain, PX)
    with pytest.raises(UserError, match="no graph"):
        gradcam(keras.Sequential([layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(1)]), PX)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_network_of_the_zoo_has_maps_and_a_cam(name: str, keras: Any) -> None:
    side = max(NETWORKS[name].least, 112)
    model = NETWORKS[name].build(side)
    px = RNG.integers(0, 256, (2, side, side, 3)).astype(np.uint8)
    for maps in (gradcam(model, px), gradcam_plus_plus(model, px)):
        assert maps.shape == (2, side, side) and np.isfinite(maps).all() and maps.min() >= 0 and maps.max() <= 1
    assert gradcam_plus_plus(model, px).max() == 1
    assert cam(model, px) is not None
