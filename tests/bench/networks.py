"""What a network costs a core: the table of `mpicamnet/plan/costs.py`. One network in a process: peaks of memory do not fall.

    python -m tests.bench.networks [MODEL]     without a MODEL all, each in a process of its own, as lines of the table
"""
from __future__ import annotations

import resource
import subprocess
import sys
import time
from typing import Any

import numpy as np

SIDE, FEW, BATCH, STEPS = 96, 8, 32, 4


def peak() -> float:
    """The most that this process has held, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1.024e-3


def timed(act: Any, px: Any) -> tuple[float, float, float]:
    """Seconds of the first call and of a later one, and MB of a patch: what a batch of 32 takes above one of 8."""
    begun = time.perf_counter()
    act(px[:FEW])
    first, few = time.perf_counter() - begun, peak()
    act(px)
    more, begun = peak(), time.perf_counter()
    for _ in range(STEPS):
        act(px)
    return first, (time.perf_counter() - begun) / STEPS, max(0.0, more - few) / (BATCH - FEW)


def measure(name: str) -> None:
    from mpicamnet.train import NETWORKS
    from mpicamnet.train.engine import start_tensorflow

    begun = time.perf_counter()
    tf, keras = start_tensorflow(1)
    imported = time.perf_counter() - begun
    begun = time.perf_counter()
    model = NETWORKS[name].build(SIDE)
    built = time.perf_counter() - begun
    px = np.random.default_rng(1).integers(0, 256, (BATCH, SIDE, SIDE, 3), np.uint8)

    @tf.function(reduce_retracing=True)
    def forward(images: Any) -> Any:
        return model(tf.cast(images, tf.float32), training=False)

    optimizer = keras.optimizers.Adam(1e-4)
    optimizer.build(model.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(images: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.nn.softplus(model(tf.cast(images, tf.float32), training=True)))  # cross-entropy where all are normal
        optimizer.apply_gradients(zip(tape.gradient(loss, model.trainable_variables), model.trainable_variables, strict=True))

    f_first, f_each, f_mb = timed(forward, px)
    infer_peak = peak()
    s_first, s_each, s_mb = timed(step, px)
    print(f'    "{name}": Network({BATCH / s_each:.0f}, {BATCH / f_each:.0f}, {imported + built + s_first:.1f}, {imported + built + f_first:.1f}, '
          f'{peak() - BATCH * s_mb:.0f}, {s_mb:.2f}, {infer_peak - BATCH * f_mb:.0f}, {f_mb:.2f}, {model.count_params()}),', flush=True)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        measure(sys.argv[1])
    else:
        from mpicamnet.train import NETWORKS as ALL
        for each in ALL:
            subprocess.run([sys.executable, "-m", "tests.bench.networks", each], check=True, timeout=300)
