"""`explain` as a user meets it: a kill costs a round, a second call does nothing, what is wrong is one line."""
from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import h5py
import pytest

from tests.launch import begin, end, error_line, good, mpicamnet, ranks_of
from tests.program.conftest import Configure

EXPLAIN = {"batch": 32, "sanity": 1, "lime": {"samples": 150, "superpixels": 30, "seeds": [0]}, "concepts": {"patches": 16, "permutations": 20}}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that has learned nothing."""
    from mpicamnet.train import NETWORKS, Card
    from mpicamnet.train.engine import start_tensorflow
    from mpicamnet.train.model_file import save_model

    start_tensorflow(1)[1].utils.set_random_seed(4)
    path = tmp_path_factory.mktemp("model") / "model.keras"
    save_model(path, NETWORKS["camnet_small"].build(96), Card("camnet_small", 96, 0.5, 0, "RGB", "px / 127.5 - 1", "logit", ("normal", "tumour")), {}, "m")
    return path


def content(work: Path) -> str:
    with h5py.File(work / "explain" / "attributions.h5") as f:
        return str(f.attrs["content_digest"])


def test_a_killed_rank_costs_a_round_and_a_second_call_does_nothing(configure: Configure, model: Path) -> None:
    whole, cut = (configure(name, infer={"model": str(model)}, explain=EXPLAIN) for name in ("whole", "cut"))
    good("infer", whole, ranks=2, timeout=300)
    shutil.copytree(whole.with_suffix(""), cut.with_suffix(""))
    good("explain", whole, ranks=2, timeout=600)
    work = cut.with_suffix("")
    parts = work / "explain" / "attributions.partial"
    p = begin(2, sys.executable, "-m", "mpicamnet", "explain", cut)
    while p.poll() is None and len(list(parts.glob("*.npz"))) < 3:
        time.sleep(0.01)
    os.kill(ranks_of(p.pid)[-1], signal.SIGKILL)
    assert end(p, 60).returncode != 0
    assert parts.exists() and not (work / "explain" / "attributions.h5").exists()
    done = len(list(parts.glob("*.npz")))
    said = good("explain", cut, ranks=1, timeout=600)
    assert f"going on after {done} patches" in said
    assert content(work) == content(whole.with_suffix("")) and not list(work.glob("explain/*.partial"))
    assert "done before" in good("explain", cut, ranks=2)
    line = error_line(mpicamnet("explain", cut, "--set", "explain.layer=convv4", ranks=2), 2)
    assert "no layer `convv4`" in line and "did you mean `conv4`?" in line


def test_without_probabilities_one_line_says_what_to_run(configure: Configure, model: Path) -> None:
    assert "run `mpicamnet infer` first" in error_line(mpicamnet("explain", configure(infer={"model": str(model)}), ranks=2), 2)
