"""Activations and gradients: against numerical differentiation, models inside models, batches, and layers that are not there; then planted truth
through a network of Keras, from px to verdict."""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.errors import UserError
from mpicamnet.explain.activations import probe, probed_layers
from mpicamnet.explain.concepts import concept_names, patch_concepts
from mpicamnet.explain.rcv import Settings, Vectors, concept_vectors
from mpicamnet.explain.stain import REFERENCE
from mpicamnet.train.engine import start_tensorflow
from tests.pure.explain.drawn import picture

_, keras = start_tensorflow(1)
SIDE = 16


def toy() -> Any:
    """Two curved convolutions and a curved head."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    x = inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Rescaling(1 / 255)(x)
    x = layers.Conv2D(4, 3, padding="same", activation="tanh", name="first")(x)
    x = layers.MaxPooling2D(name="smaller")(x)
    x = layers.Conv2D(5, 3, padding="same", activation="tanh", name="second")(x)
    x = layers.GlobalAveragePooling2D(name="mean")(x)
    return keras.Model(inputs, layers.Dense(1)(layers.Dense(6, activation="tanh", name="hidden")(x)), name="toy")


def px(n: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (n, SIDE, SIDE, 3)).astype(np.uint8)


@pytest.mark.parametrize("pooling", ["mean", "flatten"])
def test_gradients_are_those_of_numerical_differentiation(pooling: Any) -> None:
    """The head is run from the layer on by hand, once with a channel (or a place) moved up by 1e-2 and once down."""
    model = toy()
    seen = probe(model, ("first",), pooling, 4)(px(2))
    before = keras.Model(model.inputs, model.get_layer("first").output)
    given = before.predict(px(2).astype(np.float32), verbose=0).astype(np.float64)

    def head(maps: Any) -> Any:
        x = keras.ops.convert_to_tensor(maps, "float32")
        for name in ("smaller", "second", "mean", "hidden", model.layers[-1].name):
            x = model.get_layer(name)(x)
        return keras.ops.convert_to_numpy(x)[:, 0].astype(np.float64)

    assert seen.output == pytest.approx(head(given), abs=1e-5)
    move = np.zeros_like(given)
    if pooling == "mean":
        assert seen.activations["first"] == pytest.approx(given.mean(axis=(1, 2)), abs=1e-5)
        move[..., 2] = 1e-2
        mine = seen.gradients["first"][:, 2]
    else:
        assert seen.activations["first"] == pytest.approx(given.reshape(2, -1), abs=1e-6)
        y, x = 5, 7
        move[0].flat[np.argmax(np.abs(seen.gradients["first"][0]))] = 1e-2
        move[1, y, x, 1] = 1e-2
        mine = np.array([np.abs(seen.gradients["first"][0]).max() * np.sign(seen.gradients["first"][0][np.argmax(np.abs(seen.gradients["first"][0]))]),
                         seen.gradients["first"][1].reshape(SIDE, SIDE, 4)[y, x, 1]])
    assert mine == pytest.approx((head(given + move) - head(given - move)) / 2e-2, rel=2e-2, abs=2e-4)


def test_a_patch_gets_the_same_whatever_is_asked_for_with_it() -> None:
    look = probe(toy(), ("first", "second"), "mean", 4)
    whole, alone = look(px(7)), look(px(7)[5:6])
    for layer in ("first", "second"):
        assert np.array_equal(whole.activations[layer][5:6], alone.activations[layer])
        assert np.array_equal(whole.gradients[layer][5:6], alone.gradients[layer])
        assert whole.activations[layer].shape[0] == 7


def test_layers_of_a_model_inside_a_model_are_seen() -> None:
    inside = toy()
    outer = keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Rescaling(1.0), inside, keras.layers.Dense(1)])
    layers = probed_layers(outer, ["second", "toy/first"])
    assert layers == ("toy/second", "toy/first")
    seen = probe(outer, layers, "mean", 4)(px(3))
    assert seen.activations["toy/second"] == pytest.approx(probe(inside, ("second",), "mean", 4)(px(3)).activations["second"])
    assert seen.output == pytest.approx(outer.predict(px(3).astype(np.float32), verbose=0)[:, 0], abs=1e-6)


def test_by_default_the_ends_of_the_stages_are_looked_at() -> None:
    from mpicamnet.train.zoo import camnet_small

    assert probed_layers(camnet_small(96), None) == ("conv1", "conv2", "conv3", "conv4")
    assert probed_layers(toy(), None) == ("first", "second")


def test_a_layer_that_is_not_there_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="the network has no layer `secnd`: explain.concepts.layers: did you mean `second`?"):
        probed_layers(toy(), ["secnd"])


def test_a_network_without_convolution_is_said_to_have_none() -> None:
    flat = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(1)])
    with pytest.raises(UserError, match="this network has no convolution"):
        probed_layers(flat, None)


def test_a_layer_that_the_output_does_not_depend_on_is_refused() -> None:
    inputs = keras.Input((4, 4, 3))
    used = keras.layers.Conv2D(2, 1, name="used")(inputs)
    aside = keras.layers.Conv2D(2, 1, name="aside")(inputs)
    joined = keras.layers.Add()([used, keras.layers.Lambda(keras.ops.stop_gradient)(aside)])
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(joined)))
    with pytest.raises(UserError, match="does not depend on layer `aside`"):
        probe(model, ("aside",), "mean", 2)(np.zeros((2, 4, 4, 3), np.uint8))


def stain_network(sign: float) -> Any:
    """Optical density, the amounts of the two stains by a fixed 1 x 1 convolution, and an output that follows haematoxylin alone, and not straight."""
    layers = keras.layers
    x = inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Lambda(lambda v: -keras.ops.log10((v + 1) / 256))(x)
    stains = layers.Conv2D(2, 1, use_bias=False, name="stains")
    x = layers.GlobalAveragePooling2D()(stains(x))
    head = layers.Dense(1, activation="softplus")
    model = keras.Model(inputs, layers.Dense(1, use_bias=False, name="logit")(head(x)))
    stains.set_weights([np.linalg.pinv(REFERENCE)[None, None].astype(np.float32)])
    head.set_weights([np.array([[6.0], [0.0]], np.float32), np.array([-2.0], np.float32)])
    model.get_layer("logit").set_weights([np.array([[sign]], np.float32)])
    return model


def verdicts(sign: float, seed: int, patches: int = 60) -> Vectors:
    """Patches drawn with independent amounts of the two stains; the concepts are measured on their px."""
    rng = np.random.default_rng(seed)
    h, e = rng.uniform(0.1, 0.6, patches), rng.uniform(0.1, 0.5, patches)
    grain = rng.normal(1, 0.1, (2, patches, SIDE, SIDE))
    px = picture(h[:, None, None] * grain[0], e[:, None, None] * grain[1])
    names = concept_names()
    values = np.stack([patch_concepts(p, 0.25, np.zeros((SIDE, SIDE), np.int32)) for p in px])
    picks = [names.index("haematoxylin"), names.index("eosin")]
    values = np.concatenate([values[:, picks], rng.normal(size=(patches, 1))], axis=1)
    seen = probe(stain_network(sign), ("stains",), "mean", 32)(px)
    return concept_vectors(seen.activations, seen.gradients, ("haematoxylin", "eosin", "noise"), values, np.arange(patches) // 6,
                           Settings(permutations=199, seed=seed))


def test_a_network_that_follows_haematoxylin_is_found_to_and_eosin_is_not_called_in_nine_of_ten_seeds() -> None:
    called = []
    for seed in range(10):
        rows = {r.concept: r for r in verdicts(1.0, seed).rows}
        h = rows["haematoxylin"]
        assert h.r2 > 0.8 and h.tcav == 1 and h.br is not None and h.br > 0 and h.p < 0.05 and h.relevant
        assert rows["eosin"].r2 > 0.8  # the layer holds it; the output does not follow it
        called.append([rows["eosin"].relevant, rows["noise"].relevant])
    assert (np.sum(called, axis=0) <= 1).all()


def test_a_network_that_goes_against_haematoxylin_has_tcav_0() -> None:
    h = verdicts(-1.0, 0).rows[0]
    assert h.r2 > 0.8 and h.tcav == 0 and h.br is not None and h.br < 0 and h.p < 0.05
