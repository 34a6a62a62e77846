"""Every network of the zoo on two ranks: a step together, one network afterwards, and a file that brings it back."""
from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mpicamnet.config import Train
from mpicamnet.ranks import Communicators
from tests.launch import on_ranks


def steps(comms: Communicators, folder: str) -> dict[str, Any]:
    """For each network: one step on two rows per rank; rank 0 saves, the last rank loads. Tells what each rank found.

    The step of large networks is run operation by operation: to make a graph of 700 layers takes ten times as long as the step itself.
    Small patches, but of maps larger than 1 x 1: batch normalisation over two values alone has no gradient, only rounding errors.
    """
    from mpicamnet.train import NETWORKS, Card, load_model
    from mpicamnet.train.engine import horovod, start_tensorflow
    from mpicamnet.train.feed import Batch
    from mpicamnet.train.learner import learner_of
    from mpicamnet.train.model_file import save_model
    from mpicamnet.train.step import train_step

    tf, keras = start_tensorflow(1)
    world, told = comms.world, {}
    label, weight = np.array([0, 1], np.float32), np.ones(2, np.float32)
    with horovod(world) as hvd:
        for name, network in NETWORKS.items():
            keras.utils.set_random_seed(1)
            patch, path = max(network.least, 64), Path(folder) / f"{name}.keras"
            rows = np.random.default_rng(0).integers(0, 256, (world.size, 2, patch, patch, 3), np.uint8)
            model = network.build(patch)
            trained = network.trained(model)
            tf.config.run_functions_eagerly(model.count_params() > 10_000_000 or name == "densenet121")
            learner = learner_of(Train(learning_rate=1e-4), trained, keras, hvd, world)
            start = [v.numpy() for v in trained.trainable_variables]
            loss = train_step(learner)(Batch(rows[world.rank], label, weight, np.arange(2)), 1e-4).own
            now = [v.numpy() for v in trained.trainable_variables]
            if world.rank == 0:
                save_model(path, model, Card(name, patch, None, 0, "RGB", network.normaliser, "logit", ("normal", "tumour")), {}, "d" * 64)
            said = model(rows[0].astype(np.float32), training=False).numpy() if world.rank == 0 else None
            said = world.bcast(said, root=0)
            last = world.rank == world.size - 1
            differs = float(np.abs(load_model(path)(rows[0].astype(np.float32), training=False).numpy() - said).max()) if last else None
            told[name] = {
                "loss": loss, "weights": hashlib.sha256(b"".join(w.tobytes() for w in now)).hexdigest(),
                "moved": sum(bool((a != b).any()) for a, b in zip(start, now, strict=True)) / len(now),
                "finite": all(bool(np.isfinite(w).all()) for w in now),
                "differs": differs}
            if last:
                path.unlink()
            del model, trained, learner
            keras.backend.clear_session()
    return told


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return on_ranks(2, steps, str(tmp_path_factory.mktemp("zoo")), timeout=900)


@pytest.mark.parametrize("name", ["camnet_small", "resnet50", "resnet101", "googlenet", "inception_v3", "densenet121", "inception_resnet_v2",
                                  "efficientnet_lite0"])
def test_a_network_takes_a_step_on_two_ranks_and_is_saved_and_loaded(outcomes: list[dict[str, Any]], name: str) -> None:
    one, two = (o[name] for o in outcomes)
    assert one["weights"] == two["weights"] and one["loss"] != two["loss"]  # other rows, one network
    assert one["finite"] and one["moved"] > 0.9
    assert two["differs"] <= 1e-6
