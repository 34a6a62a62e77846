"""What each key of the training section does to gradients and weights, on one rank and on two."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mpicamnet.config import Train
from mpicamnet.errors import UserError
from mpicamnet.ranks import Communicators
from tests.launch import on_ranks

ROWS = 16
Arrays = list[npt.NDArray[np.float32]]


def batch_of(comms: Communicators, rows: int = ROWS) -> Any:
    """This rank's part of 16 rows of noise; tumour is darker."""
    from mpicamnet.train.feed import Batch

    rng = np.random.default_rng(4)
    label = np.arange(rows) % 2
    px = np.clip(rng.normal(150 - 40 * label[:, None, None, None], 50, (rows, 8, 8, 3)), 0, 255).astype(np.uint8)
    each = rows // comms.world.size
    mine = slice(comms.world.rank * each, (comms.world.rank + 1) * each)
    return Batch(px[mine], label[mine].astype(np.float32), rng.uniform(0.5, 2, rows).astype(np.float32)[mine], np.arange(rows)[mine])


def learner(comms: Communicators, hvd: Any, norm: bool = False, **how: Any) -> Any:
    """A convolution, batch normalisation where asked for, a logit; the same start on every rank."""
    import keras

    from mpicamnet.train.engine import precision
    from mpicamnet.train.learner import learner_of
    from mpicamnet.train.sync_batchnorm import synchronised

    train = Train(**how)
    keras.utils.set_random_seed(1)
    with precision(keras, train.precision):
        x = inputs = keras.Input((8, 8, 3))
        x = keras.layers.Rescaling(1 / 127.5, -1.0)(x)
        x = keras.layers.Conv2D(6, 3, name="conv", activation=None if norm else "relu", use_bias=not norm)(x)
        x = keras.layers.ReLU()(keras.layers.BatchNormalization(name="norm")(x)) if norm else x
        x = keras.layers.GlobalAveragePooling2D(name="mean")(x)
        model = keras.Model(inputs, keras.layers.Dense(1, name="logit")(x))
    return learner_of(train, synchronised(model) if train.sync_batchnorm else model, keras, hvd, comms.world)


def flat(arrays: list[Any]) -> list[list[float]]:
    return [np.asarray(a, np.float64).ravel().tolist() for a in arrays]


def gradients(comms: Communicators, hvd: Any, **how: Any) -> dict[str, Any]:
    """`own`: this rank's gradients; `all`: what all ranks made of them; `moving`: statistics afterwards; `messages` that it took."""
    import tensorflow as tf

    from mpicamnet.train.step import averaged_gradients, local_gradients

    it, batch = learner(comms, hvd, **how), batch_of(comms)
    given = tuple(tf.constant(a) for a in (batch.px, batch.label, batch.weight))
    own = local_gradients(learner(comms, hvd, **{**how, "sync_batchnorm": False}))(*given)[1]
    together = tf.function(averaged_gradients(it)).get_concrete_function(*given)
    _, found = together(*given)
    return {"own": flat(own), "all": flat(found), "types": sorted({g.dtype.name for g in found}),
            "moving": flat([v.numpy() for v in it.model.non_trainable_variables]),
            "messages": sum(op.type == "HorovodAllreduce" for op in together.graph.get_operations())}


CASES: dict[str, dict[str, Any]] = {
    "plain": {}, "half": {"compression": "fp16"}, "adasum": {"reduce": "adasum"}, "one by one": {"fusion_mb": 0},
    "norm": {"norm": True}, "sync": {"norm": True, "sync_batchnorm": True}, "bfloat16": {"precision": "mixed_bfloat16"},
}


def every_case(comms: Communicators) -> dict[str, Any]:
    from mpicamnet.train.engine import horovod, start_tensorflow

    start_tensorflow(1)
    with horovod(comms.world) as hvd:
        return {name: gradients(comms, hvd, **how) for name, how in CASES.items() if name != "adasum" or comms.world.size == 2}


@pytest.fixture(scope="module")
def two() -> list[dict[str, Any]]:
    return on_ranks(2, every_case, timeout=240)


@pytest.fixture(scope="module")
def one() -> dict[str, Any]:
    found: dict[str, Any] = on_ranks(1, every_case, timeout=240)[0]
    return found


def distance(a: list[list[float]], b: list[list[float]]) -> float:
    """Largest difference, over the largest value."""
    x, y = np.concatenate(a), np.concatenate(b)
    return float(np.abs(x - y).max() / np.abs(x).max())


def test_all_ranks_hold_the_same_gradients_and_statistics_in_every_case(two: list[dict[str, Any]]) -> None:
    for name in CASES:
        assert two[0][name]["all"] == two[1][name]["all"], name
        assert two[0][name]["moving"] == two[1][name]["moving"], name
        assert two[0][name]["own"] != two[1][name]["own"], name
        assert two[0][name]["types"] == ["float32"], name


def test_two_ranks_find_what_one_finds_of_the_same_rows(one: dict[str, Any], two: list[dict[str, Any]]) -> None:
    for name in ("plain", "one by one", "sync"):
        assert distance(one[name]["all"], two[0][name]["all"]) < 1e-6, name
    assert distance(one["norm"]["all"], two[0]["norm"]["all"]) > 1e-3  # each rank normalises by its own rows: what sync is for


def test_synchronised_statistics_are_those_of_one_rank(one: dict[str, Any], two: list[dict[str, Any]]) -> None:
    assert distance(one["sync"]["moving"], two[0]["sync"]["moving"]) < 1e-6
    assert distance(one["sync"]["moving"], one["norm"]["moving"]) < 1e-6
    assert distance(one["norm"]["moving"], two[0]["norm"]["moving"]) > 1e-6  # a mean of variances is not the variance of all


def test_half_precision_rounds_what_travels(two: list[dict[str, Any]]) -> None:
    halves = [[np.asarray(g, np.float16) for g in rank["half"]["own"]] for rank in two]
    expected = [((a + b) / np.float16(2)).astype(float).tolist() for a, b in zip(*halves, strict=True)]
    assert distance(expected, two[0]["half"]["all"]) < 1e-3  # one unit in the last place of half precision
    assert 1e-6 < distance(two[0]["plain"]["all"], two[0]["half"]["all"]) < 2e-3


def test_adasum_is_its_formula_variable_by_variable(two: list[dict[str, Any]]) -> None:
    """Maleki et al. 2020, section 3: (1 - a.b / 2|a|^2) a + (1 - a.b / 2|b|^2) b."""
    expected = []
    for a, b in zip(*([np.array(g) for g in rank["adasum"]["own"]] for rank in two), strict=True):
        expected.append(((1 - a @ b / (2 * a @ a)) * a + (1 - a @ b / (2 * b @ b)) * b).tolist())
    assert distance(expected, two[0]["adasum"]["all"]) < 1e-5
    assert distance(two[0]["plain"]["all"], two[0]["adasum"]["all"]) > 1e-2


def test_messages_are_as_many_as_the_config_says(two: list[dict[str, Any]]) -> None:
    assert two[0]["plain"]["messages"] == 1  # with what the ranks say to each other
    assert two[0]["one by one"]["messages"] == 4  # one per variable


def test_a_lower_precision_is_near_and_not_the_same(two: list[dict[str, Any]]) -> None:
    assert 1e-4 < distance(two[0]["plain"]["all"], two[0]["bfloat16"]["all"]) < 0.1


def refused(comms: Communicators) -> str:
    from mpicamnet.train.engine import horovod, start_tensorflow

    start_tensorflow(1)
    with horovod(comms.world) as hvd:
        try:
            learner(comms, hvd, reduce="adasum")
        except UserError as e:
            return f"{e.code} {e}"
    return ""


def test_adasum_on_three_ranks_is_refused() -> None:
    for said in on_ranks(3, refused, timeout=120):
        assert said.startswith("2 `train.reduce` is adasum, which needs a power of two of ranks, and 3 train: set `train.ranks` to 2")


def stepped(comms: Communicators, hvd: Any, epochs: list[int], **how: Any) -> tuple[Any, list[Arrays]]:
    """The learner after a step in each of the epochs, and its variables before the first and after each."""
    from mpicamnet.train.learner import arrays_of
    from mpicamnet.train.step import train_step

    it, batch = learner(comms, hvd, **how), batch_of(comms)
    seen = [arrays_of(it.model.variables)]
    for epoch in epochs:
        train_step(it, frozen=epoch < it.train.freeze)(batch, 0.1, epoch)
        seen.append(arrays_of(it.model.variables))
    return it, seen


def steps(comms: Communicators) -> dict[str, Any]:
    from mpicamnet.train.engine import horovod, start_tensorflow

    start_tensorflow(1)
    told: dict[str, Any] = {}
    with horovod(comms.world) as hvd:
        for norm in (False, True):
            whole, parts = (stepped(comms, hvd, [0], norm=norm, accumulate=k)[1][-1] for k in (1, 4))
            told[f"accumulated, norm {norm}"] = distance(flat(whole[:1]), flat(parts[:1]))
        it, seen = stepped(comms, hvd, [0, 0, 1], norm=True, freeze=1, optimizer="adamw")
        names = [v.path.rsplit("/", 1)[-1] for v in it.model.variables]
        told["moved"] = [[n for n, a, b in zip(names, *pair, strict=True) if (a != b).any()] for pair in zip(seen, seen[1:], strict=False)]
        it, seen = stepped(comms, hvd, [0], precision="mixed_float16")
        told["float16"] = [it.model.get_layer("conv").compute_dtype, seen[0][0].dtype.name, bool((seen[0][0] != seen[1][0]).any()), type(it.optimizer).__name__]
        heard = [step_heard(comms, hvd, failed, stop) for failed, stop in ((False, False), (True, False), (False, True))]
        told["heard"] = [[h.failed, h.stop] for h in heard]
        told["losses"] = [heard[0].own, heard[0].loss]
    return told


def step_heard(comms: Communicators, hvd: Any, failed: bool, stop: bool) -> Any:
    """What a rank hears of a step in which the last rank failed or was asked to stop."""
    from mpicamnet.train.step import train_step

    last = comms.world.rank == comms.world.size - 1
    return train_step(learner(comms, hvd))(batch_of(comms), 0.1, failed=failed and last, stop=stop and last)


@pytest.fixture(scope="module")
def after_steps() -> list[dict[str, Any]]:
    return on_ranks(2, steps, timeout=300)


def test_a_batch_in_parts_takes_the_step_of_the_whole(after_steps: list[dict[str, Any]]) -> None:
    assert after_steps[0]["accumulated, norm False"] < 1e-6
    assert after_steps[0]["accumulated, norm True"] > 1e-5  # it was in parts: each was normalised by itself


def test_while_the_backbone_is_frozen_only_the_head_moves(after_steps: list[dict[str, Any]]) -> None:
    head = ["kernel", "bias"]
    assert after_steps[0]["moved"][:2] == [head, head]
    assert after_steps[0]["moved"][2] == ["kernel", "gamma", "beta", "moving_mean", "moving_variance", *head]


def test_in_half_precision_layers_compute_in_it_and_weights_do_not(after_steps: list[dict[str, Any]]) -> None:
    assert after_steps[0]["float16"] == ["float16", "float32", True, "LossScaleOptimizer"]


def test_all_ranks_hear_of_one_that_failed_or_was_asked_to_stop(after_steps: list[dict[str, Any]]) -> None:
    for rank in after_steps:
        assert rank["heard"] == [[False, False], [True, False], [False, True]]
    one, two = (rank["losses"] for rank in after_steps)
    assert one[0] != two[0] and one[1] == two[1] == pytest.approx((one[0] + two[0]) / 2)


def by_hand(held: list[tuple[Arrays, Arrays]], grads: list[Arrays], momentum: float, share: float) -> Arrays:
    """Algorithm 4 of Lin et al. 2017 in NumPy: what all ranks send together, over their number. `held`: u and v of each rank, changed in place."""
    total = [np.zeros_like(g) for g in grads[0]]
    for (u, v), mine in zip(held, grads, strict=True):
        for j, g in enumerate(mine):
            u[j] = momentum * u[j] + g  # momentum correction
            v[j] = v[j] + u[j]  # local accumulation
            k = max(1, int(np.ceil(np.float32(share) * g.size)))
            mask = np.zeros(g.size, bool)
            mask[np.argsort(-np.abs(v[j]).ravel(), kind="stable")[:k]] = True
            mask = mask.reshape(g.shape)
            total[j] += v[j] * mask / len(grads)
            v[j], u[j] = v[j] * ~mask, u[j] * ~mask  # momentum factor masking
    return total


def compressed(comms: Communicators) -> dict[str, Any]:
    """Six steps of dgc on rows that change, beside the algorithm in NumPy that knows the gradients of both ranks."""
    import tensorflow as tf

    from mpicamnet.train.dgc import sent_share
    from mpicamnet.train.engine import horovod, start_tensorflow
    from mpicamnet.train.feed import Batch
    from mpicamnet.train.learner import arrays_of, held_by_all, hold
    from mpicamnet.train.step import local_gradients, train_step

    start_tensorflow(1)
    comm = comms.world
    worst, sent = 0.0, []
    with horovod(comm) as hvd:
        it = learner(comms, hvd, compression="dgc", dgc_sparsity=0.9, dgc_warmup=1, momentum=0.9)
        expected = arrays_of(it.model.trainable_variables)
        own, step_together = tf.function(local_gradients(it)), train_step(it)
        held = [tuple([np.zeros_like(w) for w in expected] for _ in range(2)) for _ in range(comm.size)]
        for step in range(6):
            epoch = step // 2
            whole = batch_of(comms, 64)
            turn = np.roll(np.arange(len(whole.rows)), step)[:8]
            batch = Batch(whole.px[turn], whole.label[turn], whole.weight[turn], turn)
            grads = comm.allgather([g.numpy() for g in own(batch.px, batch.label, batch.weight)[1]])
            total = by_hand(held, grads, 0.9, sent_share(0.9, 1, epoch))  # type: ignore[arg-type]
            expected = [w - np.float32(0.1) * t for w, t in zip(expected, total, strict=True)]
            step_together(batch, 0.1, epoch)
            now = arrays_of(it.model.trainable_variables)
            worst = max(worst, distance(flat(expected), flat(now)))
            sent.append([int((t != 0).sum()) for t in total])
        kept = it.residuals.held()
        worst_held = float(np.abs(kept - np.stack([np.concatenate([a.ravel() for a in held[comm.rank][i]]) for i in range(2)])).max() / np.abs(kept).max())
        every = held_by_all(it)
        it.residuals.hold(np.zeros_like(kept))
        hold(it, every)
        back = bool((it.residuals.held() == kept).all())
    return {"back": back, "worst": worst, "worst held": worst_held, "sent": sent, "weights": flat(now), "kept": flat([kept])}


def test_deep_gradient_compression_is_the_papers_algorithm_and_leaves_one_network() -> None:
    one, two = on_ranks(2, compressed, timeout=180)
    assert max(one["worst"], two["worst"], one["worst held"], two["worst held"]) < 1e-5
    assert one["weights"] == two["weights"] and one["kept"] != two["kept"]
    kernel = [sent[0] for sent in one["sent"]]  # 162 weights: at most twice 52, then twice 17, are sent
    assert max(kernel[:2]) <= 2 * 52 and max(kernel[2:]) <= 2 * 17 and min(kernel) >= 17
    assert one["back"] and two["back"]


def saved(comms: Communicators, folder: str) -> bool:
    """Train a step with synchronised normalisation in bfloat16, save for inference; tell whether what is saved says the same."""
    from mpicamnet.train.engine import horovod, start_tensorflow
    from mpicamnet.train.step import forward_pass
    from mpicamnet.train.sync_batchnorm import ordinary

    start_tensorflow(1)
    with horovod(comms.world) as hvd:
        it, _ = stepped(comms, hvd, [0], norm=True, sync_batchnorm=True)
        low = learner(comms, hvd, norm=True, sync_batchnorm=True, precision="mixed_bfloat16")
        low.model.set_weights(it.model.get_weights())
        model = ordinary(low.model)
        if comms.world.rank == 0:
            model.save(Path(folder) / "m.keras")
            np.save(Path(folder) / "px.npy", batch_of(comms).px)
            np.save(Path(folder) / "logits.npy", forward_pass(it.model)(batch_of(comms).px))
        return bool((forward_pass(model)(batch_of(comms).px) == forward_pass(it.model)(batch_of(comms).px)).all())


def test_a_network_with_synchronised_norms_and_low_precision_is_saved_as_an_ordinary_one(tmp_path: Path) -> None:
    from mpicamnet.train.engine import start_tensorflow

    assert on_ranks(2, saved, str(tmp_path), timeout=180) == [True, True]
    _, keras = start_tensorflow(1)
    model = keras.saving.load_model(tmp_path / "m.keras")
    assert type(model.get_layer("norm")) is keras.layers.BatchNormalization
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert model(np.load(tmp_path / "px.npy").astype(np.float32)).numpy()[:, 0] == pytest.approx(np.load(tmp_path / "logits.npy"), abs=1e-6)
