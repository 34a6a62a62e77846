"""What training needs to know of patches.h5 before it reads a single px: whose row each is, its label, and which slides there are."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import UserError
from ..patches.schema import SCHEMA
from .split import Parts


@dataclass(frozen=True)
class TableSlide:
    """A row of `slides`: -1 and None where unknown; `mpp` is um per px of the patches."""

    name: str
    center: int
    patient: int
    mpp: float | None


@dataclass(frozen=True)
class Table:
    """Columns of patches.h5: slide int32 (n,), xy int64 (n, 2) level-0 px, label int8 (n,); `patch` px."""

    path: Path
    storage: str
    patch: int
    slide: npt.NDArray[np.int32]
    xy: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    slides: tuple[TableSlide, ...]

    def __len__(self) -> int:
        return len(self.slide)


def read_table(path: Path, patch: int) -> Table:
    """The table of a finished patches.h5; raises UserError where it is none."""
    try:
        with h5py.File(path, "r") as f:
            schema = str(f.attrs.get("schema"))
            if schema != SCHEMA:
                raise UserError(f"this file is of schema {schema}, not {SCHEMA}", path, "run `mpicamnet extract`")
            storage = "pixels" if "pixels" in f else "jpeg" if "jpeg" in f else "coords"
            return Table(path, storage, patch, f["slide"][...], f["xy"][...], f["label"][...], _slides(f["slides"]))
    except (OSError, KeyError) as e:
        raise UserError("patches cannot be read", path, f"run `mpicamnet extract` ({' '.join(str(e).split())[:120]})") from None


def _slides(group: Any) -> tuple[TableSlide, ...]:
    names = [n.decode() for n in group["name"][...]]
    mpp = np.asarray(group["mpp"][...], float) * np.asarray(group["downsample"][...], float)
    return tuple(TableSlide(name, int(center), int(patient), float(m) if m > 0 else None)
                 for name, center, patient, m in zip(names, group["center"][...], group["patient"][...], mpp, strict=True))


def rows_of(table: Table, slides: npt.NDArray[np.int32]) -> npt.NDArray[np.int64]:
    """Rows (k,) of the given slides whose label is known, ascending: a row labelled -1 neither trains nor judges."""
    return np.flatnonzero(np.isin(table.slide, slides) & (table.label >= 0))


def training_rows(table: Table, parts: Parts) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows that train and rows that validate; raises UserError where a part has no rows, or one class only."""
    out = []
    for part, slides in (("train", parts.train), ("val", parts.val)):
        rows = rows_of(table, slides)
        if len(rows) == 0:
            raise UserError(f"no rows are in the split's {part}", "data.split",
                            f"its {len(slides)} slides have no labelled patches: name others")
        labels = table.label[rows]
        if (labels == labels[0]).all():
            raise UserError(f"the rows of the split's {part} are all {'tumour' if labels[0] else 'normal'}", "data.split",
                            "name slides that have both classes")
        out.append(rows)
    return out[0], out[1]


def class_weights(labels: npt.NDArray[np.int8], balance: str) -> npt.NDArray[np.float32]:
    """What a row of class 0 and of class 1 counts in the loss, float32 (2,): with `weights` both classes count the same in all, mean 1."""
    if balance != "weights":
        return np.ones(2, np.float32)
    positives = int(labels.sum())
    return np.array([len(labels) / (2 * (len(labels) - positives)), len(labels) / (2 * positives)], np.float32)
