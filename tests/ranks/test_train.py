"""Training on several ranks: one network, not many; and an interruption that leaves no trace."""
from __future__ import annotations

import csv
import hashlib
import signal
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mpicamnet.config import Config, Data, Split, Train
from mpicamnet.errors import UserError
from mpicamnet.job import Job
from mpicamnet.ranks import Clock, Communicators, Log, Signals
from tests.launch import on_ranks

SIDE = 16


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a patches.h5 of noise, in which tumour is darker: 3 centres of 48 rows, a fifth of them of unknown label."""
    folder = tmp_path_factory.mktemp("train")
    rng = np.random.default_rng(3)
    label = rng.choice([0, 1, -1], 144, p=[0.4, 0.4, 0.2]).astype(np.int8)
    with h5py.File(folder / "patches.h5", "w") as f:
        f["pixels"] = np.clip(rng.normal(150 - 20 * (label == 1)[:, None, None, None], 30, (144, SIDE, SIDE, 3)), 0, 255).astype(np.uint8)
        f["label"], f["slide"], f["xy"] = label, np.repeat(np.arange(3, dtype=np.int32), 48), np.zeros((144, 2), np.int64)
        f["slides/name"] = np.array([b"a", b"b", b"c"])
        f["slides/center"], f["slides/patient"] = np.arange(3), np.arange(3)
        f["slides/mpp"], f["slides/downsample"] = np.full(3, 0.5), np.full(3, 2.0)
        f.attrs["schema"] = "mpicamnet.patches/1"
    return folder


def job(comms: Communicators, work: str, name: str, split: dict[str, Any] | None = None, **train: Any) -> Job:
    """The train stage's order, in a folder of its own that shares patches.h5."""
    folder = Path(work) / name
    if comms.world.rank == 0:
        folder.mkdir(exist_ok=True)
        if not (folder / "patches.h5").exists():
            (folder / "patches.h5").symlink_to(Path(work) / "patches.h5")
    comms.world.Barrier()
    chosen = Split(**({"by": "center", "train": [0, 1], "val": [2], "test": [2]} if split is None else split))
    config = Config(str(folder), seed=5, data=Data(root=work, patch=SIDE, split=chosen),
                    train=Train(**{"epochs": 2, "batch": 8, "optimizer": "adam", "learning_rate": 1e-3, **train}))
    return Job(config, comms.with_members(config.train.ranks), Log(1), Clock(), Signals(), [], "d" * 64, folder)


def digest(arrays: list[Any]) -> str:
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()


def final_weights(folder: Path) -> str:
    from mpicamnet.train.model_file import read_card

    return read_card(folder / "train" / "model.keras")[1]


def last_checkpoint(folder: Path) -> str:
    with np.load(folder / "train" / "last" / "checkpoint.npz") as z:
        return digest([z[k] for k in sorted(z.files) if k != "said"])


def trained(comms: Communicators, work: str, name: str, ranks: int | None = None) -> dict[str, Any]:
    """Train whole; tell the digest of each rank's network as it is after the last step, and of what was kept."""
    from mpicamnet.train import loop, stage

    order = job(comms, work, name, ranks=ranks)
    seen: list[str] = []
    save = loop._save

    def watch(job: Job, learner: Any, done: Any, best: Any) -> None:
        seen.append(digest([v.numpy() for v in learner.model.variables]))
        save(job, learner, done, best)

    loop._save = watch
    stage.run(order)
    return {"after epochs": seen, "kept": final_weights(order.work), "last": last_checkpoint(order.work)}


@pytest.fixture(scope="module")
def undisturbed(work: Path) -> list[dict[str, Any]]:
    return on_ranks(2, trained, str(work), "whole", timeout=180)


def test_after_each_epoch_all_ranks_hold_the_same_network(undisturbed: list[dict[str, Any]]) -> None:
    one, two = undisturbed
    assert one["after epochs"] == two["after epochs"]
    assert len(set(one["after epochs"])) == 2


def test_outputs_are_there_and_whole(undisturbed: list[dict[str, Any]], work: Path) -> None:
    from mpicamnet.train.model_file import read_card

    folder = work / "whole" / "train"
    assert sorted(p.name for p in folder.iterdir()) == ["curves.png", "history.csv", "last", "model.keras"]
    rows = list(csv.DictReader((folder / "history.csv").open()))
    assert list(rows[0]) == ["epoch", "loss", "val_loss", "val_auc", "val_accuracy", "seconds"]
    assert [r["epoch"] for r in rows] == ["1", "2"]
    card, _ = read_card(folder / "model.keras")
    assert (card.patch, card.mpp, card.channels, card.classes) == (SIDE, 1.0, "RGB", ("normal", "tumour"))


def interrupted(comms: Communicators, work: str, cuts: list[int]) -> list[list[str]]:
    """For each number of steps: train with a signal to the last rank after as many, and then to the end."""
    return [_interrupted(comms, work, f"cut{steps}", steps) for steps in cuts]


def _interrupted(comms: Communicators, work: str, name: str, steps: int) -> list[str]:
    from mpicamnet.ranks.signals import Signals as Caught
    from mpicamnet.train import stage

    order = job(comms, work, name)
    asked = 0

    def any_stopped(self: Caught, comm: Any) -> bool:
        nonlocal asked
        asked += 1
        if asked == steps and comm.rank == comm.size - 1:
            self.caught = signal.SIGTERM
        return original(self, comm)

    original = Caught.any_stopped
    Caught.any_stopped = any_stopped  # type: ignore[method-assign]
    said = ""
    try:
        stage.run(order)
    except UserError as e:
        said = f"{e.code} {e}"
    assert not (order.work / "train" / "model.keras").exists()
    Caught.any_stopped = original  # type: ignore[method-assign]
    stage.run(job(comms, work, name))
    return [said, final_weights(order.work), last_checkpoint(order.work)]


def test_a_run_that_was_stopped_and_goes_on_ends_with_the_same_bits(undisturbed: list[dict[str, Any]], work: Path) -> None:
    outcomes = on_ranks(2, interrupted, str(work), [3, 7], timeout=240)  # in the first epoch, and in the second: each has 4 or 5 steps
    expected = ["75 stopped by a signal: run again: it goes on from here", undisturbed[0]["kept"], undisturbed[0]["last"]]
    assert outcomes == [[expected] * 2] * 2


def again(comms: Communicators, work: str, name: str) -> list[Any]:
    """Train in a folder where this very model is there already: what `--force` asks for."""
    from mpicamnet.train import stage

    order = job(comms, work, name)
    begun = (order.work / "train" / "model.keras").stat().st_mtime_ns
    stage.run(order)
    return [order.clock.items["step"] > 0, (order.work / "train" / "model.keras").stat().st_mtime_ns > begun, final_weights(order.work)]


def test_a_finished_model_wanted_anew_is_trained_from_the_start(undisturbed: list[dict[str, Any]], work: Path) -> None:
    assert on_ranks(2, again, str(work), "whole", timeout=180) == [[True, True, undisturbed[0]["kept"]]] * 2


def gradients(comms: Communicators, batch: int) -> list[list[float]]:
    """Gradients of 16 rows, `batch` on each rank, as all ranks see them."""
    from mpicamnet.train.engine import horovod, start_tensorflow
    from mpicamnet.train.learner import Learner
    from mpicamnet.train.step import averaged_gradients
    from mpicamnet.train.zoo import NETWORKS

    tf, keras = start_tensorflow(1)
    rng = np.random.default_rng(0)
    px, label = rng.integers(0, 256, (16, SIDE, SIDE, 3), np.uint8), rng.integers(0, 2, 16).astype(np.float32)
    weight = rng.uniform(0.5, 2, 16).astype(np.float32)
    with horovod(comms.world) as hvd:
        keras.utils.set_random_seed(1)
        model = NETWORKS["camnet_small"].build(SIDE)
        mine = slice(comms.world.rank * batch, (comms.world.rank + 1) * batch)
        _, found = tf.function(averaged_gradients(Learner(model, None, hvd, comms.world)))(px[mine], label[mine], weight[mine])
        return [g.numpy().ravel().tolist() for g in found]


def test_two_ranks_with_8_rows_each_find_the_gradients_of_one_with_16() -> None:
    one, two = on_ranks(1, gradients, 16, timeout=120)[0], on_ranks(2, gradients, 8, timeout=120)
    assert two[0] == two[1]
    for a, b in zip(one, two[0], strict=True):
        assert np.abs(np.array(a) - b).max() <= 1e-6 * np.abs(a).max() + 1e-8


def test_ranks_that_do_not_train_wait_and_change_nothing(undisturbed: list[dict[str, Any]], work: Path) -> None:
    outcomes = on_ranks(3, trained, str(work), "members", 2, timeout=180)
    assert [o["kept"] for o in outcomes] == [undisturbed[0]["kept"]] * 3
    assert outcomes[2]["after epochs"] == []


def refused(comms: Communicators, work: str, splits: list[dict[str, Any]]) -> list[str]:
    from mpicamnet.train import stage

    said = []
    for i, split in enumerate(splits):
        order = job(comms, work, f"bad{i}", split)
        try:
            stage.run(order)
        except UserError as e:
            said.append(f"{e.code} {e}")
        assert not (order.work / "train").exists()
    return said


def test_a_bad_split_is_told_to_all_ranks_before_any_epoch(work: Path) -> None:
    splits = [{}, {"by": "center", "train": [0], "val": [9]}, {"by": "center", "train": [0, 1], "val": [1]}]
    outcomes = on_ranks(2, refused, str(work), splits)
    assert outcomes[0] == outcomes[1]
    for text, words in zip(outcomes[0], ["no split is given", "centre 9", "centre 1 is in train and in val"], strict=True):
        assert text.startswith("2 ") and words in text
