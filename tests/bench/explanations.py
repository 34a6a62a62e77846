"""Under mpirun: LIME of 8 patches, 1,000 samples each, by the explain stage; on one rank also Grad-CAM against a plain loop forward and back.

Prints JSON: seconds of the phase `lime`, of LIME with fits and panels, and how fast Grad-CAM is.
"""
from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mpicamnet.config import Config, Data, Explain, Infer, Lime
from mpicamnet.explain import gradcam
from mpicamnet.explain import stage as explain
from mpicamnet.infer import stage as infer
from mpicamnet.job import Job
from mpicamnet.ranks import Clock, Log, Signals, finish, start
from mpicamnet.slides import catalogue
from mpicamnet.train import NETWORKS
from mpicamnet.train.engine import start_tensorflow
from mpicamnet.train.model_file import Card, save_model

PATCH, PATCHES, BATCH = 96, 8, 32


def main() -> None:
    root, work = Path(sys.argv[1]), Path(sys.argv[2])
    comms = start().with_members(None)
    _, keras = start_tensorflow(1)
    model = work / "model.keras"
    if comms.world.rank == 0:
        work.mkdir(parents=True, exist_ok=True)
        if not model.exists():
            keras.utils.set_random_seed(1)
            save_model(model, NETWORKS["camnet_small"].build(PATCH), Card("camnet_small", PATCH, 0.5, 0, "RGB", "", "logit", ("normal", "tumour")), {}, "m")
    comms.world.Barrier()
    config = Config(str(work), data=Data(layout="folder", root=str(root), patch=PATCH), infer=Infer(model=str(model), stride=4 * PATCH),
                    explain=Explain(methods=["lime"], patches=list(range(0, 5 * PATCHES, 5)), sanity=0, lime=Lime(samples=1000, seeds=[0])))
    records, signals = catalogue(config.data), Signals()

    def job() -> Job:
        return Job(config, comms, Log(1), Clock(), signals, records, str(time.time()), work)

    if not (work / "infer" / "predictions.h5").exists():
        infer.run(job())
    order = job()
    explain.run(order)
    lime, draw = (comms.world.allreduce(order.clock.seconds[p]) / comms.world.size for p in ("lime", "draw"))
    found: dict[str, Any] = {"lime": lime, "with panels": lime + draw}
    if comms.world.size == 1:
        found["gradcam"] = {name: rates(keras, build) for name, build in networks(keras).items()}
    if comms.world.rank == 0:
        print(json.dumps(found))
    finish()


def networks(keras: Any) -> dict[str, Callable[[], Any]]:
    def mobilenet() -> Any:
        inputs = keras.Input((PATCH, PATCH, 3))
        base = keras.applications.MobileNetV2(weights=None, include_top=False, input_tensor=keras.layers.Rescaling(1 / 127.5, -1.0)(inputs))
        return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(base.output)))

    return {"camnet_small": lambda: NETWORKS["camnet_small"].build(PATCH), "MobileNetV2": mobilenet}


def rates(keras: Any, build: Callable[[], Any]) -> float:
    """Grad-CAM's patches per second over those of forward and backward, in full batches; medians of three, in turn."""
    import tensorflow as tf

    model = build()
    px = np.random.default_rng(0).integers(0, 256, (8 * BATCH, PATCH, PATCH, 3)).astype(np.uint8)

    @tf.function  # type: ignore[untyped-decorator]
    def both_ways(x: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(tf.cast(x, tf.float32), training=False))
        return tape.gradient(loss, [v.value for v in model.trainable_variables])

    def plain() -> None:
        for at in range(0, len(px), BATCH):
            both_ways(px[at:at + BATCH])[-1].numpy()

    def ours() -> None:
        gradcam(model, px, batch=BATCH)

    taken: dict[str, list[float]] = {"plain": [], "ours": []}
    for repeat in range(4):
        for name, act in (("plain", plain), ("ours", ours)):
            begun = time.perf_counter()
            act()
            if repeat:  # the first compiles
                taken[name].append(time.perf_counter() - begun)
    return float(np.median(taken["plain"]) / np.median(taken["ours"]))


main()
