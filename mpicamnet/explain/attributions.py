"""explain/attributions.h5, schema mpicamnet.attributions/1: the explained patches, their maps, LIME, the sanity check, concept vectors."""
from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..patches.schema import texts
from .chosen import Chosen
from .sanity import Change

SCHEMA = "mpicamnet.attributions/1"
FILE = "attributions.h5"
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


@dataclass(frozen=True)
class LimeOf:
    """LIME of all patches: `seeds`, and f(i) -> that of `chosen[i]`."""

    seeds: list[int]
    of: Callable[[int], Lime]


@dataclass(frozen=True)
class LayerVectors:
    """Regression concept vectors of one layer, float64 (k, d), each of length 1, and the k concepts' names."""

    concepts: list[str]
    vectors: npt.NDArray[np.float64]


def write_attributions(folder: Path, chosen: Sequence[Chosen], patch: int, maps: Mapping[str, Callable[[int], npt.NDArray[np.float32]]],
                       lime: LimeOf | None, sanity: Sanity | None, vectors: Mapping[str, LayerVectors], attributes: Mapping[str, Any]) -> str:
    """Put all together under the final name, whole; returns the content digest. By one rank, one patch in memory at a time.

    `maps`: by method, f(i) -> the map (patch, patch) of `chosen[i]`. `vectors`: by layer.
    """
    path = folder / FILE
    partial = path.with_name(path.name + ".partial")
    content = hashlib.sha256()
    names = sorted({c.name for c in chosen})
    table: Arrays = {
        "row": np.array([c.row for c in chosen], "<i8"), "slide": np.array([names.index(c.name) for c in chosen], "<i4"),
        "xy": np.array([(c.x, c.y) for c in chosen], "<i8").reshape(-1, 2), "label": np.array([c.label for c in chosen], "i1"),
        "prob": np.array([c.prob for c in chosen], "<f4"), "outcome": texts([c.outcome for c in chosen]), "why": texts([c.why for c in chosen]),
        "slides/name": texts(names),
    }
    if sanity is not None:
        table |= {"sanity/layers": np.array(sanity.layers, "<i4"), "sanity/spearman": sanity.mean("spearman"), "sanity/ssim": sanity.mean("ssim"),
                  "sanity/method": texts(list(sanity.methods))}
    for layer, v in vectors.items():
        table |= {f"rcv/{layer}/vectors": v.vectors, f"rcv/{layer}/concept": texts(v.concepts)}
    with h5py.File(partial, "w") as f:
        for name, values in table.items():
            f[name] = values
            content.update(values.tobytes())
        for name, of in maps.items():
            d = f.create_dataset(name, (len(chosen), patch, patch), "<f4", chunks=(1, patch, patch), compression="gzip", shuffle=True)
            for i in range(len(chosen)):
                d[i] = of(i)
                content.update(d[i].tobytes())
        if lime is not None:
            _write_lime(f, len(chosen), patch, lime, content.update)
        for name, value in {"schema": SCHEMA, "patch": patch, **attributes}.items():
            f.attrs[name] = value
        f.attrs["content_digest"] = content.hexdigest()
    with partial.open("rb+") as raw:
        os.fsync(raw.fileno())
    partial.replace(path)
    return content.hexdigest()


def _write_lime(f: Any, n: int, patch: int, limes: LimeOf, digest: Callable[[bytes], None]) -> None:
    """`lime/segments` (n, p, p), `lime/weights` (n, seeds, most superpixels; NaN beyond a patch's own), `lime/score`, `lime/agreement`."""
    seeds, most = limes.seeds, max(limes.of(i).weights.shape[1] for i in range(n))
    f["lime/seeds"] = np.array(seeds, "<i8")
    segments = f.create_dataset("lime/segments", (n, patch, patch), "<i4", chunks=(1, patch, patch), compression="gzip", shuffle=True)
    small: Arrays = {"weights": np.full((n, len(seeds), most), np.nan), "score": np.zeros((n, len(seeds))), "agreement": np.zeros((n, 2))}
    for i in range(n):
        lime = limes.of(i)
        segments[i] = lime.segments
        digest(lime.segments.tobytes())
        small["weights"][i, :, :lime.weights.shape[1]] = lime.weights
        small["score"][i], small["agreement"][i] = lime.score, lime.agreement
    for name, values in small.items():
        f[f"lime/{name}"] = values
        digest(values.tobytes())
