"""The explain stage: probabilities, network and slides -> explain/attributions.h5, panels, concepts.csv and rcv.json. Collective over the world.

choose tiles (one rank) -> load the network -> where it looks (stage_attribution) -> which measures it uses (stage_concepts) -> attributions.h5 gets its
name, last (one rank).
"""
from __future__ import annotations

import functools
import shutil
from collections.abc import Mapping

from .. import config as cfg
from ..job import Job, software
from ..ranks import fence
from ..train import load_model
from ..train.engine import start_tensorflow
from . import stage_attribution, stage_concepts
from .attributions import LayerVectors, LimeOf, write_attributions
from .class_maps import picture
from .plan import Plan, concept_parts, make_plan, panel_parts
from .stage_attribution import Attributed, lime_of

PHASES = ["plan", "load", "maps", "lime", "draw", "sanity", "measure", "regress", "finish", "stage"]


def run(job: Job) -> None:
    world, clock, config = job.comms.world, job.clock, job.config
    with clock.phase("stage"):
        with clock.phase("plan"):
            found: Plan | None = None
            with fence(world, job.work / "explain"):
                if world.rank == 0:
                    found = make_plan(config, job.work, job.digest)
            plan: Plan = world.bcast(found, root=0)
        with clock.phase("load"), fence(world, plan.model):
            start_tensorflow(config.infer.threads or config.train.threads, config.infer.ranks_per_device)
            network = load_model(plan.model)
        attributed = stage_attribution.run(job, plan, network) if plan.chosen else None
        vectors, unreadable = stage_concepts.run(job, plan, network) if plan.measured else ({}, [])
        with clock.phase("finish"), fence(world, job.work / "explain"):
            if world.rank == 0:
                _finish(job, plan, attributed, vectors)
        errors = [*(attributed.errors if attributed is not None else []), *unreadable]
        job.leave_out(list({str(e): e for e in errors}.values()))
    job.write_timing("explain", PHASES, "lime" if "lime" in config.explain.methods else "measure")


def _finish(job: Job, plan: Plan, attributed: Attributed | None, vectors: Mapping[str, LayerVectors]) -> None:
    """What is left of earlier runs goes, attributions.h5 gets its name, and parts are no longer needed. By one rank."""
    config, folder = job.config, job.work / "explain"
    done = attributed if attributed is not None else Attributed([], "", {}, None, [])
    chosen, patch = [plan.chosen[i] for i in done.whole], plan.tiles.patch
    names = {f"{c.file}.png" for c in chosen}
    for old in (folder / "panels").glob("*.png"):
        if old.name not in names:
            old.unlink()
    if not plan.measured:
        for name in stage_concepts.FILES:
            (folder / name).unlink(missing_ok=True)
    maps = {m: functools.partial(lambda m, values, k: picture(m, values[done.whole[k]], patch), m, values) for m, values in done.coarse.items()}
    lime = LimeOf(config.explain.lime.seeds, lambda k: lime_of(job, chosen[k].row)) if chosen and "lime" in config.explain.methods else None
    write_attributions(folder, chosen, patch, maps, lime, done.sanity, vectors,
                       {"layer": done.layer, "model_digest": plan.model_digest, "config": cfg.as_yaml(config), "config_digest": job.digest,
                        "software": software()})
    for parts in (panel_parts(job.work), concept_parts(job.work)):
        shutil.rmtree(parts)
