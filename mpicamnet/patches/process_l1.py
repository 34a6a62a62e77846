"""The layout of the original program (PROCESS_L1, 2018 to 2020), to patches.h5 and back.

Original: `{normal,tumor}/level7/centre0/patient010/node4/{patches,locations}`, later `{normal,tumor}/l5/c0/p010/n4/BATCH/{patches,locations}`;
patches uint8 (n, p, p, 3) in the order B, G, R; locations int64 (n, 2) as row, column, in px of the mask's level: patches themselves are of level 0.
Ours: RGB; x, y in level-0 px. So channels are turned round both ways, and places are exact only to a px of the mask's level.
"""
from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import imagecodecs
import numpy as np
import numpy.typing as npt

from ..errors import UserError
from .filter import count, shares
from .schema import COLUMNS, SCHEMA, row_digests, statuses, texts
from .store import COLUMN_CHUNK, content_digest

WHITE, BLACK = np.uint8(200), np.uint8(20)  # the defaults of extract.white and extract.black
BATCH = 500  # patches of a dataset, as the original's n_samples
_LABELS = {"normal": 0, "tumor": 1}
_PLACE = re.compile(r"(?P<label>normal|tumor)/(?:level|l)(?P<level>\d+)/(?:centre|c)(?P<center>\d+)/(?:patient|p)(?P<patient>\d+)(?P<rest>[^/]*)"
                    r"(?:/(?:node|n)(?P<node>\d+))?(?:/\w+)?/patches")


@dataclass(frozen=True)
class Entry:
    """A dataset `patches` of the original, and what its name says. `name`: the slide's, as Camelyon17 writes it."""

    key: str
    label: int
    level: int
    center: int
    patient: int
    node: int
    name: str


def entries(f: h5py.File) -> list[Entry]:
    """All datasets of patches; raises UserError where there is none, or one that cannot be understood."""
    found: list[Entry] = []

    def look(key: str, thing: Any) -> None:
        if not (isinstance(thing, h5py.Dataset) and key.endswith("/patches")):
            return
        m = _PLACE.fullmatch(key)
        beside = key.rpartition("/")[0] + "/locations"
        if m is None or thing.ndim != 4 or thing.shape[1] != thing.shape[2] or thing.shape[3] != 3 or thing.dtype != np.uint8 or beside not in f \
                or f[beside].shape != (len(thing), 2):
            raise UserError("this dataset is not as PROCESS_L1 wrote them", f"{f.filename}, {key}", "see docs/files.md for the two layouts")
        node = int(m["node"]) if m["node"] else -1
        name = f"patient_{int(m['patient']):03d}_node_{node}" if node >= 0 else f"patient{m['patient']}{m['rest'].removesuffix('.tif')}"
        found.append(Entry(key, _LABELS[m["label"]], int(m["level"]), int(m["center"]), int(m["patient"]), node, name))

    f.visititems(look)
    if not found:
        raise UserError("there are no patches in this file", f.filename, "PROCESS_L1 wrote them as {normal,tumor}/.../patches")
    if len({f[e.key].shape[1] for e in found}) > 1:
        raise UserError("patches of several sizes stand in this file", f.filename, "import a file per size")
    return sorted(found, key=lambda e: (e.center, e.patient, e.node, e.name, e.label, e.key))


def copies(f: h5py.File, found: list[Entry]) -> list[tuple[str, str]]:
    """Pairs of datasets with equal px under two names: such a file gives one slide twice, and a split may put it on both sides."""
    seen: dict[str, str] = {}
    out = []
    for e in found:
        h = hashlib.sha256()
        for first in range(0, len(f[e.key]), BATCH):
            h.update(f[e.key][first:first + BATCH].tobytes())
        if (other := seen.setdefault(h.hexdigest(), e.key)) != e.key:
            out.append((other, e.key))
    return out


def import_patches(source: Path, target: Path) -> list[str]:
    """Make `target`, a patches.h5, of a file of the original; returns lines for a person.

    Fractions of tumour and tissue are NaN: the original did not keep them. Raises UserError where `source` is not such a file.
    """
    partial = target.with_name(target.name + ".partial")
    with _opened(source) as f:
        found = entries(f)
        slides = list(dict.fromkeys((e.center, e.patient, e.node, e.name) for e in found))
        places = [(slides.index((e.center, e.patient, e.node, e.name)), e, i, int(x), int(y)) for e in found
                  for i, (y, x) in enumerate(f[e.key.rpartition("/")[0] + "/locations"][...].astype(np.int64) << e.level)]
        places.sort(key=lambda p: (p[0], p[4], p[3], p[1].label))
        patch = f[found[0].key].shape[1]
        target.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(partial, "w", libver=("earliest", "v108")) as out:
            _lay_out(out, slides, {e.name for e in found if e.label == 1}, len(places), patch)
            for first in range(0, len(places), BATCH):
                _write(out, f, places[first:first + BATCH], first)
            out.attrs.update({"schema": SCHEMA, "config": f"imported: {source.name}\n", "software": "PROCESS_L1", "blocks_done": 0, "blocks_reused": 0,
                              "config_digest": "imported", "content_digest": content_digest(out["row_digest"], len(places)),
                              "created": time.strftime("%Y-%m-%dT%H:%M:%S%z")})
        again = copies(f, found)
    with partial.open("rb+") as raw:
        os.fsync(raw.fileno())
    partial.replace(target)
    tumor = sum(p[1].label for p in places)
    return [f"{len(places):,} patches of {patch} px from {len(slides)} slides: {tumor:,} tumour, {len(places) - tumor:,} normal; B, G, R turned to R, G, B",
            f"places are exact to {1 << max(e.level for e in found)} px of level 0",
            *(f"equal px under two names: {a} and {b}: one slide is there twice" for a, b in again)]


def _lay_out(out: h5py.File, slides: list[tuple[int, int, int, str]], annotated: set[str], rows: int, patch: int) -> None:
    n = len(slides)
    table = {"name": texts([s[3] for s in slides]), "path": texts([""] * n), "stage": texts([""] * n), "vendor": texts([""] * n),
             "center": np.array([s[0] for s in slides], "<i4"), "patient": np.array([s[1] for s in slides], "<i4"),
             "node": np.array([s[2] for s in slides], "<i4"), "annotated": np.array([s[3] in annotated for s in slides], "u1"),
             "width": np.zeros(n, "<i8"), "height": np.zeros(n, "<i8"), "mpp": np.full(n, np.nan, "<f8"), "level": np.zeros(n, "<i4"),
             "downsample": np.ones(n, "<f8"), "status": statuses(["ok"] * n)}
    for name, values in table.items():
        out[f"slides/{name}"] = values
    for name, (kind, shape) in COLUMNS.items():
        out.create_dataset(name, (rows, *shape), kind, chunks=(min(COLUMN_CHUNK, rows), *shape), maxshape=(None, *shape))
    out.create_dataset("pixels", (rows, patch, patch, 3), "u1", chunks=(min(rows, 16), patch, patch, 3), maxshape=(None, patch, patch, 3))


def _write(out: h5py.File, f: h5py.File, places: list[tuple[int, Entry, int, int, int]], first: int) -> None:
    rows = slice(first, first + len(places))
    px = np.ascontiguousarray(np.stack([f[e.key][i] for _, e, i, _, _ in places])[..., ::-1])
    slide = np.array([p[0] for p in places], np.int32)
    xy, label = np.array([p[3:] for p in places], np.int64), np.array([p[1].label for p in places], np.int8)
    unknown, seen = np.full(len(places), np.nan, np.float32), shares(count(px, WHITE, BLACK), px.shape[1])
    digests = np.concatenate([row_digests(p[1].name.encode(), xy[i:i + 1], label[i:i + 1], [px[i].reshape(-1)]) for i, p in enumerate(places)])
    columns = {"slide": slide, "xy": xy, "label": label, "tumor_fraction": unknown, "tissue_fraction": unknown,
               "white_share": seen[:, 0], "black_share": seen[:, 1], "row_digest": digests}
    for name, values in columns.items():
        out[name][rows] = values
    out["pixels"][rows] = px


def export_patches(source: Path, target: Path, level: int) -> list[str]:
    """Write the rows of a patches.h5 as the original would have, places in px of `level`; returns lines for a person.

    Rows labelled -1 have no place in that layout and are left out. Raises UserError where `source` keeps no px.
    """
    partial = target.with_name(target.name + ".partial")
    with _opened(source) as f:
        if "pixels" not in f and "jpeg" not in f:
            raise UserError("this file keeps places only", source, "extract with `extract.storage: pixels` or `jpeg`")
        label, slide = f["label"][...], f["slide"][...]
        table = {name: f[f"slides/{name}"][...] for name in ("center", "patient", "node", "downsample")}
        written = 0
        target.parent.mkdir(parents=True, exist_ok=True)
        with h5py.File(partial, "w") as out:
            for word, wanted in _LABELS.items():
                for s in np.unique(slide[label == wanted]).tolist():
                    rows = np.flatnonzero((slide == s) & (label == wanted))
                    place = f"{word}/l{level}/c{max(0, table['center'][s])}/p{max(0, table['patient'][s]):03d}/n{max(0, table['node'][s])}"
                    for batch, first in enumerate(range(0, len(rows), BATCH)):
                        some = rows[first:first + BATCH]
                        out[f"{place}/{batch:04d}/patches"] = np.ascontiguousarray(np.stack(list(_px(f, some)))[..., ::-1])
                        out[f"{place}/{batch:04d}/locations"] = f["xy"][some][:, ::-1] >> level
                    written += len(rows)
    partial.replace(target)
    left = int((label < 0).sum())
    return [f"{written:,} patches, R, G, B turned to B, G, R; places in px of level {level}, as row, column",
            *([f"left out: {left:,} rows of unknown label, for which that layout has no place"] if left else [])]


def _px(f: h5py.File, rows: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.uint8]]:
    for row in rows.tolist():
        if "pixels" in f:
            yield f["pixels"][row]
        else:
            first, last = f["jpeg/offset"][row:row + 2].tolist()
            yield imagecodecs.jpeg8_decode(f["jpeg/bytes"][first:last])


def _opened(path: Path) -> h5py.File:
    try:
        return h5py.File(path, "r")
    except FileNotFoundError:
        raise UserError("there is no such file", path, "") from None
    except OSError as e:
        raise UserError("this is not a whole HDF5 file", path, " ".join(str(e).split())[:100]) from None
