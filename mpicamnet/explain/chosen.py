"""Which tiles of predictions.h5 are explained: in each slide the most and least certain of each outcome, or those that the config names."""
from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import UserError

SCHEMA = "mpicamnet.predictions/1"
OUTCOMES = {"TP": "true positive", "FN": "false negative", "FP": "false positive", "TN": "true negative", "unknown": "true label unknown"}


@dataclass(frozen=True)
class Tiles:
    """Tiles of predictions.h5: `slide` int32 (n,), a place in `names`; `xy` int64 (n, 2) level-0 px; `label` int8, `prob` float32 (n,).

    `patch`: side, px. By slide: `mpp` float64, um per px of a patch, NaN where unknown; `downsample` float64, level-0 px per px of a patch; `center`,
    `patient` int32, -1 where unknown.
    """

    names: tuple[str, ...]
    slide: npt.NDArray[np.int32]
    xy: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    prob: npt.NDArray[np.float32]
    patch: int
    mpp: npt.NDArray[np.float64]
    downsample: npt.NDArray[np.float64]
    center: npt.NDArray[np.int32]
    patient: npt.NDArray[np.int32]

    def mpp_of(self, tile: Chosen) -> float | None:
        """um per px of a patch on a tile's slide, None where unknown."""
        mpp = float(self.mpp[self.names.index(tile.name)])
        return mpp if mpp > 0 else None


@dataclass(frozen=True)
class Chosen:
    """A tile to explain. `row` of predictions.h5; `outcome`, a key of OUTCOMES; `why`: most certain, least certain, named, or measured."""

    row: int
    name: str
    x: int
    y: int
    label: int
    prob: float
    outcome: str
    why: str

    @property
    def file(self) -> str:
        return f"{self.name}_x{self.x}_y{self.y}_{self.outcome}"


def read_tiles(path: Path) -> Tiles:
    """The tiles of a finished predictions.h5; raises UserError where it is none."""
    try:
        with h5py.File(path, "r") as f:
            if str(f.attrs.get("schema")) != SCHEMA:
                raise UserError(f"this file is not of schema {SCHEMA}", path, "run `mpicamnet infer`")
            names = tuple(n.decode("utf-8", "surrogateescape") for n in f["slides/name"][...])
            downsample = f["slides/downsample"][...]
            return Tiles(names, f["slide"][...], f["xy"][...], f["label"][...], f["prob"][...], int(f.attrs["patch"]),
                         f["slides/mpp"][...] * downsample, downsample, f["slides/center"][...], f["slides/patient"][...])
    except (OSError, KeyError) as e:
        raise UserError("probabilities cannot be read", path, f"run `mpicamnet infer` ({' '.join(str(e).split())[:120]})") from None


def outcomes(label: npt.NDArray[np.int8], prob: npt.NDArray[np.float32], threshold: float) -> npt.NDArray[np.str_]:
    """The outcome of each tile, (n,): tumour is called from `threshold` on."""
    called = prob >= threshold
    return np.select([label < 0, (label == 1) & called, label == 1, called], ["unknown", "TP", "FN", "FP"], "TN")


def most_and_least_certain(tiles: Tiles, threshold: float, each: int) -> list[Chosen]:
    """In each slide, for each outcome, the `each` tiles farthest from `threshold` and the `each` nearest to it; in row order.

    Ties fall to the earlier row; tiles of unknown label are never chosen; where there are few, none is chosen twice.
    """
    kind = outcomes(tiles.label, tiles.prob, threshold)
    distance = np.abs(tiles.prob.astype(np.float64) - threshold)
    found: dict[int, str] = {}
    for slide in range(len(tiles.names)):
        for outcome in ("TP", "FN", "FP", "TN"):
            rows = np.flatnonzero((tiles.slide == slide) & (kind == outcome))
            nearest_last = rows[np.argsort(-distance[rows], kind="stable")]
            nearest_first = rows[np.argsort(distance[rows], kind="stable")]
            for why, order in (("most certain", nearest_last), ("least certain", nearest_first)):
                for row in order[:each].tolist():
                    found.setdefault(row, why)
    return [_chosen(tiles, row, str(kind[row]), found[row]) for row in sorted(found)]


def named(tiles: Tiles, patches: Sequence[int | str], threshold: float) -> list[Chosen]:
    """The tiles that the config names, by row of predictions.h5 or as `SLIDE:X:Y` (level-0 px); in row order. Raises UserError for one that
    is not there."""
    return tiles_at(tiles, sorted({_row(tiles, p) for p in patches}), threshold, "named")


def tiles_at(tiles: Tiles, rows: Sequence[int], threshold: float, why: str) -> list[Chosen]:
    """The tiles of some rows of predictions.h5."""
    kind = outcomes(tiles.label, tiles.prob, threshold)
    return [_chosen(tiles, row, str(kind[row]), why) for row in rows]


def _row(tiles: Tiles, patch: int | str) -> int:
    where = "explain.patches"
    text = str(patch)
    if text.lstrip("-").isdigit():
        if not 0 <= int(text) < len(tiles.slide):
            raise UserError(f"there is no row {text} in predictions.h5", where, f"it has {len(tiles.slide):,}, from 0 on")
        return int(text)
    name, _, place = text.partition(":")
    try:
        x, y = (int(v) for v in place.split(":"))
    except ValueError:
        raise UserError(f"`{text}` names no tile", where, "give a row of predictions.h5, or SLIDE:X:Y in level-0 px") from None
    if name not in tiles.names:
        near = difflib.get_close_matches(name, tiles.names, 1, 0.0)
        raise UserError(f"predictions.h5 has no slide `{name}`", where, f"did you mean `{near[0]}`?" if near else "it has none at all")
    rows = np.flatnonzero(tiles.slide == tiles.names.index(name))
    if len(rows) == 0:
        raise UserError(f"predictions.h5 has no tiles of slide `{name}`", where, "name another")
    away = np.abs(tiles.xy[rows] - (x, y)).sum(axis=1)
    row = int(rows[away.argmin()])
    if away.min() > 0:
        raise UserError(f"there is no tile at {x}, {y} on {name}", where, f"the nearest is {name}:{tiles.xy[row, 0]}:{tiles.xy[row, 1]}")
    return row


def _chosen(tiles: Tiles, row: int, outcome: str, why: str) -> Chosen:
    x, y = (int(v) for v in tiles.xy[row])
    return Chosen(row, tiles.names[tiles.slide[row]], x, y, int(tiles.label[row]), float(tiles.prob[row]), outcome, why)
