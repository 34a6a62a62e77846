"""A raster as a tiled pyramidal TIFF that OpenSlide, QuPath and ASAP lay over its slide: 8-bit grey, its corner the slide's, with its resolution.

Grey 0 is outside tissue; 1 to 255 are probability 0 to 1: OpenSlide reads no floating-point TIFF. The unrounded probabilities are in
predictions.h5.
"""
from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tifffile

from .raster import Raster

TILE = 256  # px
MEANING = "0: outside tissue; 1 to 255: probability of tumour = (value - 1) / 254"


def write_tiff(path: Path, raster: Raster, mpp: float | None, about: dict[str, Any]) -> None:
    """Write a raster; `mpp`: um per px of the slide's level 0, None where unknown; `about` goes into the description."""
    first, level = True, raster
    with tifffile.TiffWriter(path) as f:
        while first or max(level.prob.shape) > TILE:
            level = raster if first else level.half()
            said = {**about, "downsample": level.step, "values": MEANING} if first else {}
            shape = level.prob.shape
            f.write(_tiles(grey(level.prob)), shape=shape, dtype=np.uint8, tile=(TILE, TILE), photometric="minisblack", compression="adobe_deflate",
                    subfiletype=0 if first else 1, metadata=None, software=False, description=json.dumps(said) if said else None,
                    resolution=(1e4 / (mpp * level.step),) * 2 if mpp else None, resolutionunit="CENTIMETER" if mpp else "NONE")
            first = False


def grey(prob: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """Probabilities as grey values, uint8; NaN as 0."""
    return np.where(np.isfinite(prob), np.rint(np.nan_to_num(prob) * 254) + 1, 0).astype(np.uint8)


def probability(grey: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Grey values as probabilities, float32; 0 as NaN."""
    return np.where(grey > 0, (grey.astype(np.float32) - 1) / 254, np.float32(np.nan)).astype(np.float32)


def _tiles(px: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
    """The tiles of a picture, row by row; those at the edge filled up with 0."""
    for y in range(0, px.shape[0], TILE):
        for x in range(0, px.shape[1], TILE):
            part = px[y:y + TILE, x:x + TILE]
            yield np.pad(part, ((0, TILE - part.shape[0]), (0, TILE - part.shape[1])))
