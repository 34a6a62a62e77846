"""When a stage is done: what its digest knows, and what it does not."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import pytest

from mpicamnet import config as cfg
from mpicamnet.config import Config, Data, Train
from mpicamnet.errors import UserError
from mpicamnet.stages import BY_NAME, STAGES, state


def train_digest(work: Path, **train: Any) -> str:
    """The digest that a network would carry, in a `work` whose patches.h5 is done."""
    config = Config(str(work), data=Data(root=str(work)), train=Train(**train))
    with h5py.File(work / "patches.h5", "w") as f:
        f.attrs["config_digest"] = cfg.digest(config, BY_NAME["extract"].keys, "slides")
        f.attrs["content_digest"], f.attrs["config"] = "rows", cfg.as_yaml(config)
    return state(BY_NAME["train"], config, "slides").digest


def test_a_network_knows_the_bytes_that_it_started_from_and_not_where_the_published_ones_lay(tmp_path: Path) -> None:
    weights = tmp_path / "w.h5"
    weights.write_text("first")
    first = train_digest(tmp_path, weights=str(weights))
    assert train_digest(tmp_path, weights=str(weights), weights_dir="/elsewhere") == first
    weights.write_text("second")
    assert train_digest(tmp_path, weights=str(weights)) != first
    here, there = (train_digest(tmp_path, model="resnet50", weights="imagenet", weights_dir=d) for d in ("/here", "/there"))
    assert here == there != train_digest(tmp_path, model="resnet50")
    weights.unlink()
    with pytest.raises(UserError, match="no such file of weights"):
        train_digest(tmp_path, weights=str(weights))


def test_how_often_progress_is_told_makes_no_stage_stale() -> None:
    often, seldom = (Config("w", data=Data(root="r"), log_every=seconds) for seconds in (1.0, 600.0))
    assert cfg.as_yaml(often) != cfg.as_yaml(seldom)
    for stage in STAGES:
        assert cfg.digest(often, stage.keys) == cfg.digest(seldom, stage.keys)
