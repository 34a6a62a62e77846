"""model.keras: a Keras file with one member more, `mpicamnet.json`, that says how the network must be fed and what it was made from."""
from __future__ import annotations

import hashlib
import json
import os
import zipfile
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import UserError
from .stain import AS_THEY_ARE, Stain

MEMBER = "mpicamnet.json"
SCHEMA = "mpicamnet.model/1"


@dataclass(frozen=True)
class Card:
    """How a network must be fed, and what comes out.

    `patch`: side, px. `mpp`: um per px, None where the slides did not say. `level`: pyramid level, where `mpp` was not asked for.
    `channels`: order of the px that go in. `normaliser`: in words what the network's first layers do: px go in as they are, 0 to 255.
    `output`: of `classes[1]`. `stain`: what `stain.normalised` must do to px before.
    """

    model: str
    patch: int
    mpp: float | None
    level: int
    channels: str
    normaliser: str
    output: str
    classes: tuple[str, str]
    stain: Stain = AS_THEY_ARE


def weights_digest(weights: list[npt.NDArray[Any]]) -> str:
    """Hex SHA-256 over shape, type and bytes of each array, in order."""
    h = hashlib.sha256()
    for w in weights:
        h.update(f"{w.dtype.str}{w.shape}".encode() + np.ascontiguousarray(w).tobytes())
    return h.hexdigest()


def save_model(path: Path, model: Any, card: Card, config: dict[str, Any], config_digest: str) -> str:
    """Write the network under its final name, whole; returns its content digest. By one rank."""
    partial = path.with_name(path.name + ".partial")
    saving = path.with_name(path.stem + ".partial" + path.suffix)  # Keras wants the suffix
    model.save(saving)
    content = weights_digest([w.numpy() for w in model.weights])
    said = {"schema": SCHEMA, "feed": asdict(card), "config": config, "config_digest": config_digest, "content_digest": content}
    with zipfile.ZipFile(saving, "a", zipfile.ZIP_DEFLATED) as z:
        z.writestr(MEMBER, json.dumps(said, indent=1))
    with saving.open("rb+") as f:
        os.fsync(f.fileno())
    saving.replace(partial)
    partial.replace(path)
    return content


def read_card(path: Path) -> tuple[Card, str]:
    """How the network in a file must be fed, and its content digest; raises UserError where the file does not say."""
    said = _said(path)
    feed = said.get("feed") or {}
    lacking = [f.name for f in fields(Card) if f.name not in feed]
    if lacking:
        raise UserError(f"this model does not say how it must be fed (no {', '.join(lacking)})", path, "use one that `mpicamnet train` left")
    typed = {"classes": tuple(feed["classes"]), "stain": Stain(feed["stain"]["method"], tuple(map(tuple, feed["stain"]["reference"])))}
    return Card(**{f.name: feed[f.name] for f in fields(Card)} | typed), str(said["content_digest"])


def config_digest(path: Path) -> str:
    """The digest of config and input that the network in a file was trained with; raises UserError where the file does not say."""
    return str(_said(path)["config_digest"])


def _said(path: Path) -> dict[str, Any]:
    """What a model says of itself."""
    try:
        with zipfile.ZipFile(path) as z:
            said: dict[str, Any] = json.loads(z.read(MEMBER))
    except FileNotFoundError:
        raise UserError("there is no such model", path, "run `mpicamnet train` first, or see `infer.model`") from None
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        raise UserError("this model does not say how it must be fed", path, "use one that `mpicamnet train` left") from None
    if said.get("schema") != SCHEMA:
        raise UserError(f"this model is of schema {said.get('schema')}, not {SCHEMA}", path, "train it with this version")
    return said


def load_model(path: Path) -> Any:
    """The Keras model in a file; TensorFlow must have been started."""
    import keras

    return keras.saving.load_model(path, compile=False)
