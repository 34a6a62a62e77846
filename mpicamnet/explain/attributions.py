"""explain/attributions.h5, schema mpicamnet.attributions/1; and what is kept of each patch until all are done.

While patches are being explained, `attributions.partial/` holds a file for each that is done, named by its row; a rerun with the same digest
goes on from these.
"""
from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from .chosen import Chosen
from .sanity import Change

SCHEMA = "mpicamnet.attributions/1"
FILE = "attributions.h5"
KEPT = "attributions.partial"
Arrays = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Lime:
    """LIME of one patch: `segments` int32 (p, p); `weights` float64 (seeds, k); `score` float64 (seeds,); `agreement` float64 (2,), mean and
    least rank correlation between seeds."""

    segments: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float64]
    score: npt.NDArray[np.float64]
    agreement: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sanity:
    """How alike maps are with and without what was learned. `layers`: for each cut, how many layers, from the output down, lost it;
    `changes`: by cut, method and patch."""

    layers: list[int]
    methods: tuple[str, ...]
    changes: list[list[list[Change]]]

    def mean(self, field: str) -> npt.NDArray[np.float64]:
        """float64 (cuts, methods): over the patches where it exists; NaN where there is none."""
        values = np.array([[[getattr(c, field) for c in patch] for patch in method] for method in self.changes])
        there = ~np.isnan(values)
        sums = np.where(there, values, 0).sum(axis=2)
        return np.asarray(np.divide(sums, there.sum(axis=2), out=np.full(sums.shape, np.nan), where=there.any(axis=2)))


def begin(folder: Path, digest: str) -> set[int]:
    """Make room for parts in `explain/`; the rows that an earlier run with this digest has done. By one rank."""
    kept = folder / KEPT
    said = kept / "digest"
    if kept.exists() and not (said.is_file() and said.read_text() == digest):
        shutil.rmtree(kept)
    (folder / "panels").mkdir(parents=True, exist_ok=True)
    if not kept.exists():
        kept.mkdir()
        said.write_text(digest)
    return {int(p.stem) for p in kept.glob("*.npz")}


def keep(folder: Path, row: int, lime: Lime | None) -> None:
    """Say that a patch is done; by the rank that did it."""
    path = folder / KEPT / f"{row}.npz"
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as f:
        np.savez(f, **(vars(lime) if lime is not None else {}))
        f.flush()
        os.fsync(f.fileno())
    partial.replace(path)


def kept_limes(folder: Path, rows: Sequence[int]) -> list[tuple[float, float]]:
    """Of each patch that is done: how far the seeds agree, and the mean score of the fits."""
    limes = (_lime_of(folder, row) for row in rows)
    return [(float(lime.agreement[0]), float(lime.score.mean())) for lime in limes]


def _lime_of(folder: Path, row: int) -> Lime:
    with np.load(folder / KEPT / f"{row}.npz") as z:
        return Lime(**{name: z[name] for name in z.files})


def write_attributions(folder: Path, chosen: Sequence[Chosen], patch: int, maps: Mapping[str, Callable[[int], npt.NDArray[np.float32]]],
                       seeds: Sequence[int], sanity: Sanity | None, attributes: dict[str, Any]) -> str:
    """Put all together under the final name, whole; returns the content digest. By one rank, one patch in memory at a time.

    `maps`: by method, f(i) -> the map (patch, patch) of `chosen[i]`. `seeds` of LIME; none where there is no LIME.
    """
    path = folder / FILE
    partial = path.with_name(path.name + ".partial")
    content = hashlib.sha256()
    text = h5py.string_dtype("utf-8")
    names = sorted({c.name for c in chosen})
    table: Arrays = {
        "row": np.array([c.row for c in chosen], "<i8"), "slide": np.array([names.index(c.name) for c in chosen], "<i4"),
        "xy": np.array([(c.x, c.y) for c in chosen], "<i8").reshape(-1, 2), "label": np.array([c.label for c in chosen], "i1"),
        "prob": np.array([c.prob for c in chosen], "<f4"),
    }
    words = {"outcome": [c.outcome for c in chosen], "why": [c.why for c in chosen], "slides/name": names}
    limes = (lambda i: _lime_of(folder, chosen[i].row)) if seeds else None
    with h5py.File(partial, "w") as f:
        for name, values in table.items():
            f[name] = values
            content.update(values.tobytes())
        for name, said in words.items():
            f[name] = np.array([s.encode("utf-8", "surrogateescape") for s in said], text)
            content.update("\0".join(said).encode("utf-8", "surrogateescape"))
        for name, of in maps.items():
            d = f.create_dataset(name, (len(chosen), patch, patch), "<f4", chunks=(1, patch, patch), compression="gzip", shuffle=True)
            for i in range(len(chosen)):
                d[i] = of(i)
                content.update(d[i].tobytes())
        if limes is not None:
            _write_lime(f, len(chosen), patch, seeds, limes, content.update)
        if sanity is not None:
            of_sanity: Arrays = {"layers": np.array(sanity.layers, "<i4"), "spearman": sanity.mean("spearman"), "ssim": sanity.mean("ssim")}
            for name, values in of_sanity.items():
                f[f"sanity/{name}"] = values
                content.update(values.tobytes())
            f["sanity/method"] = np.array([m.encode() for m in sanity.methods], text)
        for name, value in {"schema": SCHEMA, "patch": patch, **attributes}.items():
            f.attrs[name] = value
        f.attrs["content_digest"] = content.hexdigest()
    with partial.open("rb+") as raw:
        os.fsync(raw.fileno())
    partial.replace(path)
    shutil.rmtree(folder / KEPT)
    return content.hexdigest()


def _write_lime(f: Any, n: int, patch: int, seeds: Sequence[int], of: Callable[[int], Lime], digest: Callable[[bytes], None]) -> None:
    """`lime/segments` (n, p, p), `lime/weights` (n, seeds, most superpixels; NaN beyond a patch's own), `lime/score`, `lime/agreement`."""
    most = max((of(i).weights.shape[1] for i in range(n)), default=0)
    f["lime/seeds"] = np.array(seeds, "<i8")
    segments = f.create_dataset("lime/segments", (n, patch, patch), "<i4", chunks=(1, patch, patch), compression="gzip", shuffle=True)
    small: Arrays = {"weights": np.full((n, len(seeds), most), np.nan), "score": np.zeros((n, len(seeds))), "agreement": np.zeros((n, 2))}
    for i in range(n):
        lime = of(i)
        segments[i] = lime.segments
        digest(lime.segments.tobytes())
        small["weights"][i, :, :lime.weights.shape[1]] = lime.weights
        small["score"][i], small["agreement"][i] = lime.score, lime.agreement
    for name, values in small.items():
        f[f"lime/{name}"] = values
        digest(values.tobytes())
