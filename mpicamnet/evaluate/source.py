"""predictions.h5 as evaluation reads it: the table of slides, the tiles whose label is known, the tiles of one slide."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import UserError
from .tiles import Tiles

SCHEMA = "mpicamnet.predictions/1"
WHOLE = ("ok", "no tissue")  # statuses of slides of which nothing is missing


@dataclass(frozen=True)
class SlideTable:
    """The slides of a predictions.h5, in its order.

    `center`, `patient`: int (n,), -1 where unknown. `mpp`: float64 (n,), um per px at level 0, NaN where unknown. `cell`, `side`: float64 (n,),
    distance and side of tiles, level-0 px. `first`: int64 (n + 1,), the rows of slide i are first[i] to first[i + 1].
    """

    name: list[str]
    status: list[str]
    center: npt.NDArray[np.int32]
    patient: npt.NDArray[np.int32]
    mpp: npt.NDArray[np.float64]
    cell: npt.NDArray[np.float64]
    side: npt.NDArray[np.float64]
    first: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.name)

    def mpp_of(self, i: int) -> float | None:
        return None if np.isnan(self.mpp[i]) else float(self.mpp[i])


def read_slides(path: Path) -> SlideTable:
    """The table of slides; raises UserError where the file is of another schema."""
    with h5py.File(path, "r") as f:
        if str(f.attrs.get("schema")) != SCHEMA:
            raise UserError(f"this file is not of schema {SCHEMA}", path, "run `mpicamnet infer`")
        s = f["slides"]
        downsample = s["downsample"][...].astype(np.float64)
        names, status = ([v.decode("utf-8", "surrogateescape") for v in s[key][...]] for key in ("name", "status"))
        first = np.searchsorted(f["slide"][...], np.arange(len(names) + 1))
        return SlideTable(names, status, s["center"][...].astype(np.int32), s["patient"][...].astype(np.int32), s["mpp"][...].astype(np.float64),
                          float(f.attrs["stride"]) * downsample, float(f.attrs["patch"]) * downsample, first.astype(np.int64))


def read_tiles(path: Path) -> Tiles:
    """All tiles whose label is known."""
    with h5py.File(path, "r") as f:
        label = f["label"][...]
        known = label >= 0
        return Tiles(f["slide"][...][known], label[known], f["prob"][...][known])


def read_heat(path: Path, table: SlideTable, slide: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Corners, int64 (n, 2) level-0 px, and probabilities, float32 (n,), of all tiles of a slide."""
    rows = slice(int(table.first[slide]), int(table.first[slide + 1]))
    with h5py.File(path, "r") as f:
        return f["xy"][rows], f["prob"][rows]
