"""What a network starts from: `train.weights` is `none`, `imagenet`, or a file of weights (.keras, .weights.h5, .h5).

A file may hold the whole network (backbone and head), or its backbone with no head or another one; then the head starts from random.
"""
from __future__ import annotations

import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..config import Train
from ..errors import UserError
from .efficientnet_lite import from_pytorch
from .head import backbone_of
from .imagenet import folder_of, verified
from .model_file import MEMBER, load_model, read_card
from .torch_file import read_tensors
from .zoo import NETWORKS

SUFFIXES = (".keras", ".h5")  # .weights.h5 ends in the second
Arrays = Sequence[npt.NDArray[Any]]


def first_weights(train: Train, patch: int) -> Path | None:
    """The file that `train.weights` stands for, None for `none`; starts no TensorFlow.

    Raises UserError where it is not there, where an ImageNet file is not of its published hash, where a file says that it is of another network, and
    where the network takes no patches of this side.
    """
    model, network = train.model, NETWORKS[train.model]
    if patch < network.least:
        raise UserError(f"`data.patch` is {patch}", "", f"{model} needs at least {network.least} px")
    if train.weights == "none":
        return None
    if train.weights == "imagenet":
        return verified(model, network.imagenet, folder_of(train.weights_dir))
    path = given_file(train.weights)
    if path.suffix not in SUFFIXES:
        raise UserError(f"weights cannot be read from a file that ends in `{path.suffix}`", path, "it must be a .keras, .weights.h5 or .h5 file")
    if path.suffix == ".keras" and _has_card(path):
        card, _ = read_card(path)
        if card.model != model:
            raise UserError(f"these are weights of {card.model}, and `train.model` is {model}", path, "make the two the same")
    return path


def given_file(weights: str) -> Path:
    """The path that `train.weights` names, where it is none of the two words; raises UserError where there is no such file."""
    path = Path(weights)
    if not path.is_file():
        raise UserError("there is no such file of weights", path, "`train.weights` is `none`, `imagenet`, or the path of a .keras, .weights.h5 or .h5 file")
    return path


def load_weights(model: Any, path: Path) -> str:
    """Put the weights in `path`, which `first_weights` gave, into `model`; returns what was taken, in words.

    Raises UserError where they are not of this network; the model is then of no use.
    """
    try:
        if path.suffix == ".pth":
            return _load_pytorch(model, path)
        if path.name.endswith(".weights.h5"):
            return _load_keras3(model, path)
        if path.suffix == ".h5":
            return _assign(model, _layerwise(path), path)
        return _assign(model, [w.numpy() for w in load_model(path).weights], path)
    except (OSError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as e:
        raise UserError("weights cannot be read from this file", path, f"use another ({type(e).__name__}: {str(e)[:200]})") from None


def _has_card(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as z:
            return MEMBER in z.namelist()
    except zipfile.BadZipFile:
        raise UserError("this is not a Keras file", path, "use one that Keras or `mpicamnet train` left") from None


def _load_pytorch(model: Any, path: Path) -> str:
    for name, arrays in from_pytorch(read_tensors(path)).items():
        model.get_layer(name).set_weights(arrays)
    return "backbone"


def _load_keras3(model: Any, path: Path) -> str:
    """.weights.h5 of Keras 3: its layers stand under names that Keras makes up by class, so Keras itself must find them."""
    at_start = model.get_weights()
    whys = []
    for part, layers in (("backbone and head", model), ("backbone", _backbone_model(model))):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of parts that the file has and the network lacks
            try:
                layers.load_weights(path)
                return part
            except (ValueError, KeyError) as e:
                whys.append(" ".join(str(e).split())[:160])
                model.set_weights(at_start)  # what had been put in before the error
    raise _misfit(model, path, whys[-1])


def _layerwise(path: Path) -> list[npt.NDArray[Any]]:
    """Arrays of a .h5 as Keras 1 and 2 wrote it (weights alone or a whole model), layer by layer: the format of the published ImageNet files."""
    with h5py.File(path) as f:
        root = f.get("model_weights", f)
        return [np.asarray(root[layer][name]) for layer in _texts(root, "layer_names") for name in _texts(root[layer], "weight_names")]


def _texts(group: Any, name: str) -> list[str]:
    """A list of names among a group's attributes; Keras cuts a long one into NAME0, NAME1, ..."""
    parts = [name] if name in group.attrs else [f"{name}{i}" for i in range(len(group.attrs)) if f"{name}{i}" in group.attrs]
    if not parts:
        raise ValueError(f"no attribute `{name}`")
    return [t.decode() if isinstance(t, bytes) else str(t) for part in parts for t in group.attrs[part]]


def _assign(model: Any, arrays: Arrays, path: Path) -> str:
    """Put arrays, layer by layer, into the network: all of it, or its backbone where the rest is another head's."""
    backbone = [w for layer in backbone_of(model) for w in layer.weights]
    for part, wanted in (("backbone and head", model.weights), ("backbone", backbone)):
        given = arrays if part != "backbone" else arrays[:len(wanted)]
        if [a.shape for a in given] == [tuple(w.shape) for w in wanted]:
            for variable, array in zip(wanted, given, strict=True):
                variable.assign(array)
            return part
    for i, (a, w) in enumerate(zip(arrays, backbone, strict=False)):
        if a.shape != tuple(w.shape):
            raise _misfit(model, path, f"its array {i + 1} is {a.shape}, and {w.path} is {tuple(w.shape)}")
    raise _misfit(model, path, f"it holds {len(arrays)} arrays, and the backbone alone has {len(backbone)}")


def _backbone_model(model: Any) -> Any:
    import keras

    return keras.Model(model.input, model.get_layer("mean").input)


def _misfit(model: Any, path: Path, why: str) -> UserError:
    return UserError(f"these weights are not of {model.name} ({why})", path, "see `train.model` and `train.weights`")
