"""predictions.h5: the probability of every tile, schema mpicamnet.predictions/1; made from what the ranks wrote, slide by slide."""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..patches.store import partial_path, synced
from .store import tiles_of_slide
from .tiles import COLUMNS

SCHEMA = "mpicamnet.predictions/1"
MAPS = "heatmaps"  # the folder beside predictions.h5 that holds a map per slide
SUFFIXES = (".tif", ".png", ".geojson", ".xml")


def maps_in_the_making(path: Path) -> Path:
    """The folder that maps are drawn into; it becomes `heatmaps` as a whole."""
    return path.with_name(MAPS + ".partial")


def finish(path: Path, rows: int, attributes: dict[str, Any]) -> str:
    """Write predictions.h5 from the first `rows` tiles of its .partial, give it and the maps their names; returns the content digest.

    By one rank, when all have closed. Killed anywhere in here, it can be done again.
    """
    partial, whole = partial_path(path), path.with_name(path.name + ".whole.partial")
    maps, drawn = path.with_name(MAPS), maps_in_the_making(path)
    content = _write(whole, partial, rows, attributes)
    synced(whole)
    if drawn.is_dir():  # not there where a kill came after the next two lines
        _make_way(maps, drawn)
        drawn.replace(maps)
    whole.replace(path)
    partial.unlink()
    synced(path.parent)
    return content


def _write(whole: Path, partial: Path, rows: int, attributes: dict[str, Any]) -> str:
    content = {name: hashlib.sha256() for name in COLUMNS}
    with h5py.File(partial, "r") as source, h5py.File(whole, "w") as f:
        for name, (kind, shape) in COLUMNS.items():
            f.create_dataset(name, (rows, *shape), kind)
        at = 0
        for slide in range(len(source["slides/name"])):
            tiles = tiles_of_slide(source, slide, rows).in_order()
            for name, (kind, _) in COLUMNS.items() if len(tiles) else ():
                values = np.ascontiguousarray(getattr(tiles, name), kind)
                f[name][at:at + len(tiles)] = values
                content[name].update(values.tobytes())
            at += len(tiles)
        for name, values in source["slides"].items():
            source.copy(values, f, f"slides/{name}")
        every = hashlib.sha256(b"".join(h.digest() for h in content.values()) + f["slides/name"][...].tobytes()).hexdigest()
        for name, value in {"schema": SCHEMA, **attributes, "content_digest": every}.items():
            f.attrs[name] = value
    return every


def content_of(path: Path) -> str:
    """The content digest that the tiles of a finished predictions.h5 give; reads it column by column."""
    every = b""
    with h5py.File(path, "r") as f:
        for name, (kind, _) in COLUMNS.items():
            column = hashlib.sha256()
            for first in range(0, len(f[name]), 1 << 20):
                column.update(np.ascontiguousarray(f[name][first:first + (1 << 20)], kind).tobytes())
            every += column.digest()
        return hashlib.sha256(every + f["slides/name"][...].tobytes()).hexdigest()


def _make_way(maps: Path, drawn: Path) -> None:
    """Remove the maps of an earlier run; what someone put beside them moves to the new folder."""
    if not maps.is_dir():
        return
    for file in maps.iterdir():
        if file.suffix in SUFFIXES:
            file.unlink()
        else:
            file.replace(drawn / file.name)
    maps.rmdir()
