"""predictions.h5: the probability of every tile, schema mpicamnet.predictions/1."""
from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from .predict import COLUMNS, Predicted

SCHEMA = "mpicamnet.predictions/1"


def write_predictions(path: Path, tiles: Predicted, slides: dict[str, npt.NDArray[Any]], attributes: dict[str, Any]) -> str:
    """Write all tiles, whole under the final name; returns the content digest. By one rank."""
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    content = hashlib.sha256()
    with h5py.File(partial, "w") as f:
        for name, (kind, _) in COLUMNS.items():
            values = np.ascontiguousarray(getattr(tiles, name), kind)
            f[name] = values
            content.update(values.tobytes())
        for name, values in slides.items():
            f[f"slides/{name}"] = values
        content.update(slides["name"].tobytes())
        f.attrs["schema"] = SCHEMA
        for name, value in attributes.items():
            f.attrs[name] = value
        f.attrs["content_digest"] = content.hexdigest()
    with partial.open("rb+") as raw:
        os.fsync(raw.fileno())
    partial.replace(path)
    return content.hexdigest()
