"""Under mpirun: epochs of the train stage, of its loader alone, or of `keras.fit`; prints JSON: seconds on the wall and of this CPU per epoch, peak MiB.

    python -m tests.bench.training stage|loader|keras WORK ROWS EPOCHS
"""
from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

SIDE, BATCH, WARM = 96, 32, 1  # epochs that are not counted: graphs are traced, pages touched


class Laps:
    """Seconds on the wall and CPU seconds of this process between `start` and `stop`."""

    def __init__(self) -> None:
        self.wall: list[float] = []
        self.cpu: list[float] = []
        self.start()

    def start(self) -> None:
        self._begun = time.perf_counter(), time.process_time()

    def stop(self) -> None:
        self.wall.append(time.perf_counter() - self._begun[0])
        self.cpu.append(time.process_time() - self._begun[1])


def draw(work: Path, rows: int) -> None:
    """A patches.h5 of noise, in which tumour is darker: `rows` to train on in centre 0, 64 to validate on in centre 1."""
    work.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    label = (np.arange(rows + 64) % 2).astype(np.int8)
    with h5py.File(work / "patches.h5", "w") as f:
        px = f.create_dataset("pixels", (len(label), SIDE, SIDE, 3), np.uint8)
        for i in range(0, len(label), 64):
            px[i:i + 64] = np.clip(rng.normal(150.0 - 20.0 * label[i:i + 64, None, None, None], 30, (len(label[i:i + 64]), SIDE, SIDE, 3)), 0, 255)
        f["label"], f["slide"], f["xy"] = label, np.repeat(np.int32([0, 1]), [rows, 64]), np.zeros((len(label), 2), np.int64)
        f["slides/name"] = np.array([b"a", b"b"])
        f["slides/center"], f["slides/patient"] = np.arange(2), np.arange(2)
        f["slides/mpp"], f["slides/downsample"] = np.ones(2), np.ones(2)
        f.attrs["schema"] = "mpicamnet.patches/1"


def stage(work: Path, epochs: int, network: bool) -> Laps | None:
    """The train stage as `mpicamnet train` runs it, on all ranks; an epoch is from the end of a checkpoint to the first validation batch."""
    from mpicamnet.config import Config, Data, Split, Train
    from mpicamnet.job import Job
    from mpicamnet.ranks import Clock, Log, Signals, finish
    from mpicamnet.ranks import start as start_mpi
    from mpicamnet.train import loop
    from mpicamnet.train import stage as train_stage
    from mpicamnet.train.step import Heard

    comms = start_mpi().with_members(None)
    laps = Laps()
    loop.validate = _after(laps.stop, loop.validate)
    loop._save = _before(laps.start, loop._save)
    if not network:
        loop.train_step = lambda learner, frozen: lambda batch, rate, epoch, failed, stop: Heard(0.5, 0.5, failed, stop)  # type: ignore[assignment]
    config = Config(str(work), data=Data(root=str(work), patch=SIDE, split=Split("center", [0], [1], [1])), train=Train(epochs=epochs + WARM, batch=BATCH))
    train_stage.run(Job(config, comms, Log(comms.world.rank, "quiet"), Clock(), Signals(), [], f"{time.time()}", work))
    first = comms.world.rank == 0
    finish()
    return laps if first else None


def _after(act: Callable[[], None], then: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: (act(), then(*args))[1]  # type: ignore[func-returns-value]


def _before(act: Callable[[], None], then: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args: (then(*args), act())[0]  # type: ignore[func-returns-value]


def keras_fit(work: Path, epochs: int) -> Laps:
    """`keras.fit` on the same rows in memory, same network, loss, optimizer and threads; without XLA, which is slower on CPUs, and not deterministic."""
    import os

    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras
    import tensorflow as tf

    from mpicamnet.train.zoo import NETWORKS

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    with h5py.File(work / "patches.h5", "r") as f:
        px, label = f["pixels"][:-64], f["label"][:-64].astype(np.float32)
    laps = Laps()

    class Watch(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            laps.start()

        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            laps.stop()

    model = NETWORKS["camnet_small"].build(SIDE)
    model.compile(keras.optimizers.SGD(1e-4, momentum=0.9, nesterov=True), keras.losses.BinaryCrossentropy(from_logits=True), jit_compile=False)
    model.fit(px, label, batch_size=BATCH, epochs=epochs + WARM, verbose=0, callbacks=[Watch()])
    return laps


def main() -> None:
    what, work, rows, epochs = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    if what == "draw":
        draw(work, rows)
        return
    laps = keras_fit(work, epochs) if what == "keras" else stage(work, epochs, network=what == "stage")
    if laps is not None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        print(json.dumps({"wall": laps.wall[WARM:], "cpu": laps.cpu[WARM:], "peak": peak}), flush=True)


if __name__ == "__main__":
    main()
