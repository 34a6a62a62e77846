"""What a network is shown in inference is what it was trained on."""
from __future__ import annotations

import h5py
import numpy as np
import pytest

from mpicamnet.train import load_model, read_card
from mpicamnet.train.engine import start_tensorflow
from mpicamnet.train.loop import forward_pass
from mpicamnet.train.stain import REINHARD, normalised
from tests.launch import good
from tests.program.conftest import Configure


def test_inference_brings_px_to_the_reference_that_the_models_card_names(configure: Configure) -> None:
    """Windows of inference are rows of a dense extraction: the network, asked about these px by hand, must say the same."""
    c = configure("r", extract={"stride": 96}, train={"epochs": 1, "batch": 8, "stain": "reinhard"}, infer={"stride": 96},
                  data={"split": {"by": "center", "train": [0, 1], "val": [2], "test": [2]}})
    good("run", c, "--only", "extract", "--only", "train", "--only", "infer", ranks=2)
    work = c.with_suffix("")
    card, _ = read_card(work / "train" / "model.keras")
    assert card.stain == REINHARD
    with h5py.File(work / "infer" / "predictions.h5") as f:
        said = {tuple(xy): p for xy, p in zip(f["xy"][:], f["prob"][:], strict=True)}
    with h5py.File(work / "patches.h5") as f:
        mine = f["slide"][:] == 2
        px, xy = f["pixels"][:][mine], f["xy"][:][mine]
    start_tensorflow(1)
    forward = forward_pass(load_model(work / "train" / "model.keras"))
    found = np.array([said[tuple(p)] for p in xy])
    right, wrong = (1 / (1 + np.exp(-forward(p).astype(float))) for p in (normalised(px, card.stain), px))
    assert len(px) > 50 and found == pytest.approx(right, abs=1e-5)
    assert np.abs(found - wrong).max() > 0.01
