"""What is done of a long piece of work, until all of it is: `NAME.partial/` holds a file per part, and the digest of what they are made from.

Ranks write parts, each on its own; a rerun with the same digest goes on from those that are there.
"""
from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

DIGEST = "digest"


def begin(folder: Path, digest: str) -> set[int]:
    """Make room for parts; the numbers of those that an earlier run with this digest left. By one rank."""
    said = folder / DIGEST
    if folder.exists() and not (said.is_file() and said.read_text() == digest):
        shutil.rmtree(folder)
    if not folder.exists():
        folder.mkdir(parents=True)
        said.write_text(digest)
    return {int(p.stem) for p in folder.glob("*.npz")}


def keep(folder: Path, number: int, arrays: dict[str, npt.NDArray[Any]]) -> None:
    """Write a part, whole under its name."""
    path = folder / f"{number}.npz"
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as f:
        np.savez(f, **arrays)  # type: ignore[arg-type]
        f.flush()
        os.fsync(f.fileno())
    partial.replace(path)


def part(folder: Path, number: int, *names: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a part, or only those that are named."""
    with np.load(folder / f"{number}.npz") as z:
        return {name: z[name] for name in names or z.files}
