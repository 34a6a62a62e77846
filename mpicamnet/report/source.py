"""What the outputs of the other stages hold, as the page needs it. Files that a stage has not made are None here, and a line on the page."""
from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import UserError

CHUNK = 1 << 22  # rows of a column held at a time


@dataclass(frozen=True)
class SlideTable:
    """The slides of patches.h5, in its order. `rows`: int64 (n, 3), rows labelled normal, tumour, unknown; `first`: int64 (n + 1,), the rows of
    slide i are first[i] to first[i + 1]; `columns`: the other columns of `slides/`, by name."""

    name: list[str]
    columns: dict[str, list[Any]]
    rows: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.name)


def read_slides(path: Path) -> SlideTable:
    """The table of slides of patches.h5 or predictions.h5, and how many rows of each label a slide has; a column is read in pieces."""
    with h5py.File(path, "r") as f:
        columns = {key: _values(dataset) for key, dataset in f["slides"].items()}
        names = columns.pop("name")
        counts = np.zeros((len(names), 3), np.int64)
        for at in range(0, len(f["slide"]), CHUNK):
            slide, label = f["slide"][at:at + CHUNK], f["label"][at:at + CHUNK]
            for k, value in enumerate((0, 1, -1)):
                counts[:, k] += np.bincount(slide[label == value], minlength=len(names))
        return SlideTable(names, columns, counts, np.concatenate([[0], np.cumsum(counts.sum(axis=1))]))


def _values(dataset: h5py.Dataset) -> list[Any]:
    values = dataset[...]
    if dataset.dtype.kind in "SO":
        return [v.decode("utf-8", "surrogateescape") for v in values]
    plain: list[Any] = values.tolist()
    return plain


def read_places(path: Path, table: SlideTable, slide: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]]:
    """Corners, int64 (n, 2) level-0 px, and labels, int8 (n,), of all rows of a slide."""
    rows = slice(int(table.first[slide]), int(table.first[slide + 1]))
    with h5py.File(path, "r") as f:
        return f["xy"][rows], f["label"][rows]


def software_of(path: Path) -> dict[str, str]:
    """The versions that an HDF5 output says it was made with."""
    with h5py.File(path, "r") as f:
        said: dict[str, str] = json.loads(str(f.attrs.get("software", "{}")))
        return said


def read_json(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        said: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as e:
        raise UserError("this is not a JSON file", path, f"remove it and make it anew ({e})") from None
    return said


def read_csv(path: Path) -> list[dict[str, str]] | None:
    if not path.is_file():
        return None
    with path.open(newline="", encoding="utf-8", errors="surrogateescape") as f:
        return list(csv.DictReader(f))
