"""Every network of the zoo: its size, its shape, what it does to px first, and that a file brings it back."""
from __future__ import annotations

import typing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpicamnet.config import Train
from mpicamnet.plan import costs
from mpicamnet.train import NETWORKS, Card, load_model
from mpicamnet.train.auxiliary import whole_loss
from mpicamnet.train.engine import start_tensorflow
from mpicamnet.train.head import HEAD
from mpicamnet.train.learner import Learner
from mpicamnet.train.model_file import read_card, save_model
from mpicamnet.train.step import forward_pass, local_gradients

# With 1000 classes, as keras.io/api/applications listed them; GoogLeNet: Caffe's bvlc_googlenet without its auxiliary heads, i.e. the filters of
# the paper's Table 1 with a bias each; EfficientNet-Lite0: 4,652,008 that train (tensorflow/tpu says 4.7 M) and 42,016 moving statistics.
WITH_1000_CLASSES = {"resnet50": 25_636_712, "resnet101": 44_707_176, "googlenet": 6_998_552, "inception_v3": 23_851_784,
                     "densenet121": 8_062_504, "inception_resnet_v2": 55_873_736, "efficientnet_lite0": 4_694_024}
# Where Keras says what its ImageNet weights want px to be made into.
PREPROCESS = {"resnet50": "resnet", "resnet101": "resnet", "inception_v3": "inception_v3", "densenet121": "densenet",
              "inception_resnet_v2": "inception_resnet_v2"}


def noise(patch: int, n: int = 2) -> Any:
    return np.random.default_rng(0).integers(0, 256, (n, patch, patch, 3), np.uint8)


def test_the_config_knows_the_networks() -> None:
    assert set(typing.get_args(typing.get_type_hints(Train)["model"])) == set(NETWORKS)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_its_published_size_and_feed_and_comes_back_from_its_file_with_the_same_to_say(name: str, tmp_path: Path) -> None:
    _, keras = start_tensorflow(1)
    network = NETWORKS[name]
    model = network.build(network.least)
    assert model.name == name and model.input_shape == (None, network.least, network.least, 3) and model.output_shape == (None, 1)
    if name in WITH_1000_CLASSES:
        channels = model.get_layer("mean").output.shape[-1]
        assert model.count_params() == WITH_1000_CLASSES[name] - 999 * (channels + 1)
    assert model.count_params() == costs.NETWORKS[name].parameters  # what `mpicamnet plan` reckons with
    backbone = network.backbone(model)
    assert {layer.name for layer in model.layers} - {layer.name for layer in backbone} <= set(HEAD)
    assert len(model.get_layer("mean").input.shape) == 4  # CAM: the last maps, their mean, one dense unit
    if name in PREPROCESS:
        px = noise(network.least).astype(np.float32)
        expected = getattr(keras.applications, PREPROCESS[name]).preprocess_input(px.copy())
        assert np.allclose(keras.Model(model.input, model.get_layer("normaliser").output)(px), expected, atol=1e-4)
    card = Card(name, network.least, None, 0, "RGB", network.normaliser, "logit", ("normal", "tumour"))
    save_model(tmp_path / "model.keras", model, card, {}, "d" * 64)
    assert read_card(tmp_path / "model.keras")[0] == card
    px = noise(network.least)
    said = forward_pass(model)(px)
    assert said.shape == (2,) and np.isfinite(said).all()
    assert np.abs(forward_pass(load_model(tmp_path / "model.keras"))(px) - said).max() <= 1e-6


def test_camnet_small_has_less_than_half_a_million_parameters() -> None:
    start_tensorflow(1)
    assert NETWORKS["camnet_small"].build(96).count_params() <= 500_000


def test_efficientnet_lite_takes_px_less_127_over_128() -> None:
    """MEAN_RGB and STDDEV_RGB of tensorflow/tpu, efficientnet_lite_builder.py."""
    _, keras = start_tensorflow(1)
    model = NETWORKS["efficientnet_lite0"].build(32)
    px = np.broadcast_to(np.array([[0], [127], [255]], np.float32)[:, None, None], (3, 32, 32, 3))
    found = np.asarray(keras.Model(model.input, model.get_layer("normaliser").output)(px))
    assert np.allclose(found[:, 0, 0, 0], [-127 / 128, 0, 1])


def test_googlenet_has_the_modules_of_the_papers_table() -> None:
    """Column "params" of Table 1, in units of 1,024, without biases: it rounds, and differs from its own filter columns by up to 7 % (4c)."""
    start_tensorflow(1)
    table = {"conv2": 112, "inception_3a": 159, "inception_3b": 380, "inception_4a": 364, "inception_4b": 437, "inception_4c": 463, "inception_4d": 580,
             "inception_4e": 840, "inception_5a": 1072, "inception_5b": 1388}
    model = NETWORKS["googlenet"].build(224)
    for module, expected in table.items():
        found = sum(int(np.prod(layer.kernel.shape)) for layer in model.layers if layer.name.startswith(module) and layer.weights)
        assert found / 1024 == pytest.approx(expected, rel=0.08), module
    outputs = {"pool1": (56, 64), "pool2": (28, 192), "inception_3b": (28, 480), "inception_4e": (14, 832), "inception_5b": (7, 1024)}
    for layer, (side, channels) in outputs.items():
        assert model.get_layer(layer).output.shape[1:] == (side, side, channels)


def test_googlenets_auxiliary_heads_are_the_papers_and_only_training_has_them() -> None:
    """Section 5: pooled to 4 x 4 x 512 at 4a and 4 x 4 x 528 at 4d, 128 filters, 1,024 units, dropout of 70 %."""
    start_tensorflow(1)
    network = NETWORKS["googlenet"]
    model = network.build(224)
    trained = network.trained(model)
    assert trained.output_shape == (None, 3)
    for module, channels in (("4a", 512), ("4d", 528)):
        assert trained.get_layer(f"auxiliary_{module}_pool").output.shape[1:] == (4, 4, channels)
        assert trained.get_layer(f"auxiliary_{module}_dense").kernel.shape == (4 * 4 * 128, 1024)
        assert trained.get_layer(f"auxiliary_{module}_dropout").rate == 0.7
    assert not [w.path for w in model.weights if "auxiliary" in w.path]
    assert network.backbone(trained) == network.backbone(model)
    assert NETWORKS["camnet_small"].trained(model) is model


def test_the_auxiliary_losses_count_three_tenths() -> None:
    """Squares of (1, 2, 3): 1 + 0.3 x 4 + 0.3 x 9 = 4.9; and 1 where there is one column."""
    logits = np.array([[1.0, 2.0, 3.0]])
    assert whole_loss(lambda z: float((z ** 2).mean()), logits) == pytest.approx(4.9)
    assert whole_loss(lambda z: float((z ** 2).mean()), logits[:, :1]) == 1.0


def test_the_gradient_of_googlenet_in_training_is_that_of_its_three_losses() -> None:
    """By differences: the loss falls along the gradient as fast as the gradient says, in the trunk below 4a and in an auxiliary head."""
    tf, keras = start_tensorflow(1)
    keras.utils.set_random_seed(3)
    network = NETWORKS["googlenet"]
    model = network.build(network.least)
    trained = network.trained(model)
    for layer in trained.layers:
        if "dropout" in layer.name:
            layer.rate = 0.0
    px, label, weight = noise(network.least), np.array([0, 1], np.float32), np.ones(2, np.float32)
    loss_and_gradients = local_gradients(Learner(trained, None, None, None))  # type: ignore[arg-type]
    loss, gradients = loss_and_gradients(px, label, weight)

    def bce(z: Any) -> float:
        return float(np.mean(np.logaddexp(0, z) - label * z))

    logits = np.asarray(trained(px.astype(np.float32), training=False), np.float64)
    assert float(loss) == pytest.approx(bce(logits[:, 0]) + 0.3 * bce(logits[:, 1]) + 0.3 * bce(logits[:, 2]), rel=1e-5)
    for name in ("conv2", "auxiliary_4a_logit"):
        i = next(i for i, v in enumerate(trained.trainable_variables) if v.path == f"{name}/kernel")
        variable, gradient = trained.trainable_variables[i], gradients[i]
        norm, start = float(tf.norm(gradient)), variable.numpy()
        assert norm > 0
        step = 1e-3 / norm
        ends = []
        for sign in (1, -1):
            variable.assign(start + sign * step * gradient.numpy() / norm)
            ends.append(float(loss_and_gradients(px, label, weight)[0]))
        variable.assign(start)
        assert (ends[0] - ends[1]) / (2 * step) == pytest.approx(norm, rel=0.02), name
