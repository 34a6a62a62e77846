"""Networks, how they are kept, and how fast they learn."""
from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from mpicamnet.errors import UserError
from mpicamnet.stages import recorded
from mpicamnet.train import NETWORKS, Card, load_model, read_card
from mpicamnet.train.checkpoint import Checkpoint, Progress, Row, load, save
from mpicamnet.train.engine import start_tensorflow
from mpicamnet.train.judge import judge
from mpicamnet.train.model_file import MEMBER, SCHEMA, save_model
from mpicamnet.train.stain import STAINS
from mpicamnet.train.step import forward_pass

CARD = Card("camnet_small", 96, 0.972, 0, "RGB", "px / 127.5 - 1", "logit", ("normal", "tumour"))


@pytest.mark.parametrize("patch", [16, 96, 224])
def test_camnet_small_takes_any_patch_and_has_less_than_half_a_million_parameters(patch: int) -> None:
    start_tensorflow(1)
    model = NETWORKS["camnet_small"].build(patch)
    assert model.count_params() <= 500_000
    px = np.random.default_rng(0).integers(0, 256, (2, patch, patch, 3), np.uint8)
    assert forward_pass(model)(px).shape == (2,)


def test_a_saved_model_says_how_it_must_be_fed_and_says_the_same_of_px(tmp_path: Path) -> None:
    start_tensorflow(1)
    model = NETWORKS["camnet_small"].build(96)
    path = tmp_path / "model.keras"
    for stain in STAINS.values():
        card = replace(CARD, stain=stain)
        content = save_model(path, model, card, {"seed": 1}, "d" * 64)
        assert [p.name for p in tmp_path.iterdir()] == ["model.keras"]
        assert read_card(path) == (card, content)
    assert recorded(path).config_digest == "d" * 64
    px = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 3), np.uint8)
    assert (forward_pass(load_model(path))(px) == forward_pass(model)(px)).all()


def test_a_model_that_does_not_say_how_it_must_be_fed_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as z:
        z.writestr("config.json", json.dumps({}))
    with pytest.raises(UserError, match="does not say how it must be fed"):
        read_card(tmp_path / "m.keras")
    with pytest.raises(UserError, match="no such model"):
        read_card(tmp_path / "none.keras")


@pytest.mark.parametrize("lacking", ["patch", "mpp", "channels", "normaliser", "classes", "feed"])
def test_a_card_that_lacks_a_word_is_refused_and_the_word_named(tmp_path: Path, lacking: str) -> None:
    said = {"schema": SCHEMA, "feed": asdict(CARD), "content_digest": "c" * 64}
    (said if lacking == "feed" else said["feed"]).pop(lacking)  # type: ignore[union-attr]
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as z:
        z.writestr(MEMBER, json.dumps(said))
    with pytest.raises(UserError, match=f"does not say how it must be fed \\(no .*{'patch' if lacking == 'feed' else lacking}"):
        read_card(tmp_path / "m.keras")


def test_a_checkpoint_comes_back_as_it_was_and_only_for_its_own_digest(tmp_path: Path) -> None:
    progress = Progress(1, 640, 3.25, 9.5, [Row(1, 0.5, 0.4, 0.9, 0.8, 12.0)])
    state = Checkpoint(progress, [np.arange(3.0)], [np.array(4)], [])
    save(tmp_path, "now", state)
    back, why = load(tmp_path, "now")
    assert back is not None and why == ""
    assert back.progress == state.progress
    assert (back.model[0] == state.model[0]).all() and back.optimizer[0] == 4 and back.best == []
    assert load(tmp_path, "other") == (None, "train/last was made with another config or other patches: training begins anew")


def test_the_verdict_is_over_the_whole_set_and_equals_scikit_learn() -> None:
    from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

    rng = np.random.default_rng(1)
    label = rng.integers(0, 2, 400).astype(np.int8)
    logit = (rng.normal(size=400) + label).astype(np.float32)
    weight = rng.uniform(0.5, 2, 400).astype(np.float32)
    prob = 1 / (1 + np.exp(-logit.astype(float)))
    verdict = judge(logit, label, weight)
    assert verdict.auc == pytest.approx(roc_auc_score(label, prob))
    assert verdict.accuracy == pytest.approx(accuracy_score(label, prob >= 0.5))
    assert verdict.loss == pytest.approx(log_loss(label, prob, sample_weight=weight))
