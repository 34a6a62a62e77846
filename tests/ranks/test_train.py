"""Training on several ranks: one network, not many; and an interruption that leaves no trace."""
from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import signal
import sys
import time
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from mpicamnet.config import Augment, Config, Data, Mining, Split, Train
from mpicamnet.errors import UserError
from mpicamnet.job import Job
from mpicamnet.ranks import Clock, Communicators, Log, Signals
from tests.launch import begin, end, on_ranks

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


VARIANTS: dict[str, dict[str, Any]] = {  # each with the places at which it is stopped: steps or validations since its start
    "plain": {},
    "frozen": {"accumulate": 2, "optimizer": "adamw", "freeze": 1},
    "compressed": {"compression": "dgc", "optimizer": "sgd", "learning_rate": 0.01, "dgc_sparsity": 0.9, "dgc_warmup": 1},
    "half": {"precision": "mixed_float16", "patience": 1, "epochs": 4},
    "mined": {"epochs": 3, "mining": Mining(after=1, threshold=0.3), "balance": "oversample", "readers": 2, "stain": "reinhard"},
}


def interrupted(comms: Communicators, work: str, variant: str, cuts: list[list[Any]]) -> list[list[str]]:
    """A run of the variant that is left alone, and for each cut one that the last rank is asked to stop there, and that then goes on to its end."""
    from mpicamnet.train import loop, stage

    how, outcomes = VARIANTS[variant], []
    originals = loop.learning_rate, loop.validate  # called once per step, and once per epoch
    for i, cut in enumerate([["", 0], *cuts]):
        order, done = job(comms, work, f"{variant}{i}", **how), {"step": 0, "validation": 0}

        def reach(kind: str, order: Job = order, done: dict[str, int] = done, cut: list[Any] = cut) -> None:
            done[kind] += 1
            if [kind, done[kind]] == cut and comms.world.rank == comms.world.size - 1:
                order.signals.caught = signal.SIGTERM

        loop.learning_rate = lambda *args, reach=reach: (reach("step"), originals[0](*args))[1]  # type: ignore[func-returns-value]
        loop.validate = lambda *args, reach=reach: (reach("validation"), originals[1](*args))[1]  # type: ignore[func-returns-value]
        said = ""
        try:
            stage.run(order)
        except UserError as e:
            said = f"{e.code} {e}"
            assert not (order.work / "train" / "model.keras").exists()
        loop.learning_rate, loop.validate = originals
        if said:
            stage.run(job(comms, work, f"{variant}{i}", **how))
        epochs = len((order.work / "train" / "history.csv").read_text().splitlines()) - 1
        outcomes.append([said, final_weights(order.work), last_checkpoint(order.work), str(epochs)])
    return outcomes


@pytest.mark.parametrize(("variant", "cuts"), [
    ("plain", [["step", 3], ["step", 7], ["validation", 1], ["validation", 2]]), ("frozen", [["step", 3], ["step", 7]]),
    ("compressed", [["step", 3], ["step", 7]]), ("half", [["step", 7]]),
    ("mined", [["step", 8], ["step", 13]]),  # oversampled, 5 steps: in the epoch in which rows were mined, and in the one after
])
def test_a_run_that_was_stopped_and_goes_on_ends_with_the_same_bits(work: Path, variant: str, cuts: list[list[Any]]) -> None:
    """Each epoch has 4 steps on two ranks."""
    for outcomes in on_ranks(2, interrupted, str(work), variant, cuts, timeout=400):
        _, *whole = outcomes[0]
        assert outcomes[1:] == [["75 stopped by a signal: run again: it goes on from here", *whole]] * len(cuts)


def again(comms: Communicators, work: str, name: str) -> list[Any]:
    """Train in a folder where this very model is there already: what `--force` asks for."""
    from mpicamnet.train import stage

    order = job(comms, work, name)
    begun = (order.work / "train" / "model.keras").stat().st_mtime_ns
    stage.run(order)
    return [order.clock.items["step"] > 0, (order.work / "train" / "model.keras").stat().st_mtime_ns > begun, final_weights(order.work)]


def test_a_finished_model_wanted_anew_is_trained_from_the_start(undisturbed: list[dict[str, Any]], work: Path) -> None:
    assert on_ranks(2, again, str(work), "whole", timeout=180) == [[True, True, undisturbed[0]["kept"]]] * 2


def hard_rows(comms: Communicators, work: str) -> list[list[int]]:
    """The normal rows that an untrained network finds more like tumour than half of them: as mined, as read back, and as it says of all at once."""
    from mpicamnet.train import scoring
    from mpicamnet.train.engine import start_tensorflow
    from mpicamnet.train.feed import Feed
    from mpicamnet.train.loop import forward_pass
    from mpicamnet.train.mining import with_hard_rows
    from mpicamnet.train.order import Order
    from mpicamnet.train.source import open_source
    from mpicamnet.train.table import read_table
    from mpicamnet.train.zoo import NETWORKS

    scoring.SCORED_AT_ONCE = 8  # several batches for each rank
    _, keras = start_tensorflow(1)
    keras.utils.set_random_seed(4)
    forward = forward_pass(NETWORKS["camnet_small"].build(SIDE))
    table = read_table(Path(work) / "patches.h5", SIDE)
    normal = np.flatnonzero(table.label == 0)
    with open_source(table, Config(work), []) as source:
        prob = 1 / (1 + np.exp(-forward(source.read(normal)).astype(float)))
        ranked = np.sort(prob)
        threshold = float(ranked[len(ranked) // 2 - 1:][:2].mean())
        order = job(comms, work, f"hard{comms.world.size}", epochs=3, mining=Mining(after=1, threshold=threshold, boost=3))
        feed = Feed(table, source, np.ones(2, np.float32), 5, Augment())
        rows = np.flatnonzero(table.label >= 0)
        plain = Order(rows, table.label[rows], 5)
        found = with_hard_rows(order, comms.world, forward, feed, plain, 1, begun=False)
        again = with_hard_rows(order, comms.world, forward, feed, plain, 2, begun=False)
    assert with_hard_rows(order, comms.world, forward, feed, plain, 0, begun=False) is plain
    return [found.hard.tolist(), again.hard.tolist(), normal[prob > threshold].tolist()]


def test_the_hard_negatives_are_the_false_positives_on_any_number_of_ranks(work: Path) -> None:
    outcomes = [rank for ranks in (1, 2, 3) for rank in on_ranks(ranks, hard_rows, str(work))]
    assert len(outcomes) == 6 and len(outcomes[0][0]) > 10
    assert all(found == outcomes[0][2] for outcome in outcomes for found in outcome)


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


def gone_wrong(comms: Communicators, work: str, name: str, wrong: str) -> list[str]:
    """Train where row 30 weighs nothing that is a number, or cannot be read; tell the error."""
    from mpicamnet.train import stage
    from mpicamnet.train.feed import Feed

    original = Feed._batch

    def batch(self: Feed, task: Any, epoch: int | None) -> Any:
        made = original(self, task, epoch)
        if 30 in made.rows and wrong == "unreadable":
            raise OSError(5, "Input/output error")
        made.weight[made.rows == 30] = np.nan
        return made

    Feed._batch = batch  # type: ignore[method-assign]
    order = job(comms, work, name)
    try:
        stage.run(order)
    except UserError as e:
        return [f"{e.code} {e}", str(sorted(p.name for p in (order.work / "train").iterdir()))]
    return []


def test_a_loss_that_is_no_number_names_the_step_and_the_rows(work: Path) -> None:
    with h5py.File(work / "patches.h5") as f:
        label = f["label"][:]
    assert label[30] >= 0, "row 30 must train"
    told = on_ranks(2, gone_wrong, str(work), "nan", "nan", timeout=180)
    assert told[0] == told[1]
    found = re.fullmatch(r"2 the loss is nan: epoch 1, step (\d), rank (\d), rows of patches.h5 (.*): lower `train.learning_rate`, or look at these rows",
                         told[0][0])
    assert found is not None, told[0][0]
    assert re.search(r"slide a: ([^;]*, )?30 at \(0, 0\)", found[3])
    assert len(re.findall(r" at \(", found[3])) == 8  # the batch of one rank
    assert told[0][1] == "[]"  # no model, no checkpoint


def test_a_row_that_cannot_be_read_is_told_to_all_ranks(work: Path) -> None:
    told = on_ranks(2, gone_wrong, str(work), "unreadable", "unreadable", timeout=180)
    assert told[0] == told[1]
    assert told[0][0].startswith("74 input/output error: ") and "patches.h5" in told[0][0]


def timed(comms: Communicators, work: str) -> int:
    from mpicamnet.train import stage

    order = job(comms, work, "timed", epochs=1, timeline=True, fusion_mb=0)
    stage.run(order)
    events = json.loads((order.work / "train" / "timeline.json").read_text())
    return len({e["args"]["name"] for e in events if e.get("name") == "process_name" and "gradients" in e["args"].get("name", "")})


def test_the_timeline_shows_each_message(work: Path) -> None:
    assert on_ranks(2, timed, str(work), timeout=120)[0] == 16  # of camnet_small: 4 convolutions, 3 normalisations and the logit have two variables each


def endless(comms: Communicators, work: str, name: str) -> None:
    from mpicamnet.train import stage

    stage.run(job(comms, work, name, epochs=10_000))


@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_that_is_killed_ends_the_job_and_is_named(work: Path, victim: int) -> None:
    code = ("import mpicamnet.ranks as r; from tests.ranks.test_train import endless; comms = r.start(); "
            f"__import__('pathlib').Path({str(work)!r}, f'endless{victim}-{{comms.world.rank}}').write_text(str(__import__('os').getpid())); "
            f"endless(comms, {str(work)!r}, 'endless{victim}')")
    p = begin(2, sys.executable, "-c", code)
    try:
        last = work / f"endless{victim}" / "train" / "last" / "checkpoint.npz"
        give_up = time.monotonic() + 120
        while not last.exists() and time.monotonic() < give_up:  # an epoch has ended: it is at work
            time.sleep(0.2)
        assert last.exists()
        os.kill(int((work / f"endless{victim}-{victim}").read_text()), signal.SIGKILL)
        ended = end(p, 60)
    finally:
        if p.poll() is None:
            os.killpg(p.pid, signal.SIGKILL)
    assert ended.returncode != 0
    assert re.search(rf"process rank {victim} .*exited on signal 9", ended.stderr), ended.stderr
    assert not (work / f"endless{victim}" / "train" / "model.keras").exists()


def too_large(comms: Communicators, work: str) -> list[Any]:
    from mpicamnet.train import stage

    order = job(comms, work, "large", batch=64)
    try:
        stage.run(order)
    except UserError as e:
        return [f"{e.code} {e}", sorted(p.name for p in (order.work / "train").iterdir())]
    return []


def test_a_step_that_takes_more_rows_than_train_is_refused_before_any_epoch(work: Path) -> None:
    """Some 77 of 96 rows have a label; two ranks of 64 would take 128."""
    for text, left in on_ranks(2, too_large, str(work)):
        assert text.startswith("2 ") and "a step takes 128 (64 on each of 2 ranks)" in text and "train.batch" in text
        assert left == []
