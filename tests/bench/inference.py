"""Under mpirun: the infer stage, N times after one to warm up; on one rank in turn with `model.predict` on the same patches in memory.

Prints JSON: for each the seconds on the wall and the CPU seconds of the slowest rank, and the number of patches. Of the stage counts what stands
between an open model and predictions.h5: plan, read, filter, predict, write, name; loading TensorFlow and drawing pictures are timed apart.
"""
from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np

from mpicamnet.infer import draw, stage
from mpicamnet.infer.network import forward_of
from mpicamnet.job import Job
from mpicamnet.patches.fill import Filler
from mpicamnet.patches.plan import plan_slide
from mpicamnet.patches.units import units_of
from mpicamnet.ranks import Communicators, finish, start
from mpicamnet.train import load_model
from tests.bench.whole_stage import job_of

PATCH = 224
Took = tuple[float, float]  # on the wall, of this rank's CPU


def timed(act: Callable[[], Any]) -> Took:
    begun, cpu = time.perf_counter(), time.process_time()
    act()
    return time.perf_counter() - begun, time.process_time() - cpu


def inference(comms: Communicators, path: str) -> tuple[Took, Job]:
    """The stage without its drawing, from before a slide is opened until predictions.h5 has its name; less what loads the model."""
    job = job_of(comms, path)
    job.signals.caught = 0
    load: list[Took] = []
    opened = stage.load_model

    def loading(where: Any) -> Any:
        model: list[Any] = []
        load.append(timed(lambda: model.append(opened(where))))
        return model[0]

    stage.load_model, draw.draw = loading, lambda *_: None  # type: ignore[assignment, attr-defined]
    try:
        comms.world.Barrier()
        wall, cpu = timed(lambda: stage.run(job))
    finally:
        stage.load_model = opened  # type: ignore[attr-defined]
    return (wall - load[0][0], cpu - load[0][1]), job


def patches(job: Job) -> Any:
    """What the stage hands to the network, uint8 (n, PATCH, PATCH, 3)."""
    plan = plan_slide(job.records[0], 0, job.config, PATCH)
    units = units_of([plan.windows], [0], PATCH)
    filler = Filler(job.config.extract)
    reader = stage.Reader(stage._as_pixels(job.config), {0: plan}, stage._candidates({0: plan}, job.config), filler)
    buffer = np.empty((int(units.weights.max()), PATCH, PATCH, 3), np.uint8)
    return np.concatenate([reader.rows(units, i, i + 1, buffer).pixels.copy() for i in range(len(units))])  # type: ignore[union-attr]


def main() -> None:
    path, times = sys.argv[1], int(sys.argv[2])
    comms = start().with_members(None)
    _, job = inference(comms, path)
    with h5py.File(job.work / "infer" / "predictions.h5") as f:
        tiles = len(f["slide"])
    ways: dict[str, Callable[[], Took]] = {"infer": lambda: inference(comms, path)[0]}
    if comms.world.size == 1:
        px, model = patches(job), load_model(stage.Path(job.config.infer.model or ""))
        assert len(px) == tiles
        batch = job.config.infer.batch
        forward = forward_of(model, PATCH)
        ways |= {"model.predict": lambda: timed(lambda: model.predict(px, batch_size=batch, verbose=0)),
                 "forward passes": lambda: timed(lambda: [forward(px[i:i + batch]) for i in range(0, len(px), batch)])}
        for way in ways.values():
            way()
    found: dict[str, list[Took]] = {name: [] for name in ways}
    for _ in range(times):
        for name, way in ways.items():
            every = comms.world.allgather(way())
            found[name].append((max(w for w, _ in every), max(c for _, c in every)))
    if comms.world.rank == 0:
        print(json.dumps({"tiles": tiles, "seconds": found}))
    finish()


if __name__ == "__main__":
    main()
