"""The explain stage: probabilities, network and slides -> explain/attributions.h5 and a panel per patch. Collective over the world.

choose tiles, look at the network -> class maps, batch by batch -> in rounds of a patch per rank: predict perturbed pictures, all ranks at all
patches; fit, draw and keep, each rank one patch -> sanity check -> write all (one rank), named last.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .. import config as cfg
from ..errors import SlideError, UserError
from ..infer.predict import probabilities
from ..job import Job, software
from ..ranks import Progress, allgather_list, fence
from ..train import load_model, read_card
from ..train.engine import start_tensorflow
from ..train.step import forward_pass
from . import attributions
from .attributions import Lime, Sanity
from .chosen import OUTCOMES, Chosen, Tiles, most_and_least_certain, named, read_tiles
from .class_maps import CALLED, METHODS, ClassMaps, picture
from .lime_maps import agreement, fitted, perturbations, perturbed
from .maps import Maps
from .panel import Place, slide_view, write_panel
from .pictures import Pictures
from .sanity import Change, cascade, change, randomised

PHASES = ["plan", "load", "maps", "lime", "draw", "sanity", "finish", "stage"]
MOST_CHECKED = 64  # patches of the sanity check, spread evenly over the chosen ones
SUSPICIOUS = 0.5  # a rank correlation above this, with all weights random, is worth a warning


@dataclass(frozen=True)
class Plan:
    """What is explained, by which network; `done`: rows of predictions.h5 that an earlier run has finished. The same on all ranks."""

    tiles: Tiles
    chosen: list[Chosen]
    model: Path
    model_digest: str
    done: set[int]


@dataclass(frozen=True)
class Tools:
    """What a rank works with. `maps`: None where no class maps are asked for; `forward`: px -> logits."""

    network: Any
    forward: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
    maps: ClassMaps | None
    pictures: Pictures


def run(job: Job) -> None:
    clock = job.clock
    with clock.phase("stage"):
        with clock.phase("plan"):
            plan = _plan(job)
        with clock.phase("load"):
            tools = _tools(job, plan)
        with clock.phase("maps"):
            coarse, errors = _class_maps(job, plan, tools)
        whole = [i for i in range(len(plan.chosen)) if i not in errors]
        if not whole:
            raise next(iter(errors.values()))
        _explain(job, plan, tools, coarse, [i for i in whole if plan.chosen[i].row not in plan.done])
        with clock.phase("sanity"):
            sanity = _sanity(job, tools, coarse, whole)
        with clock.phase("finish"), fence(job.comms.world, job.work / "explain"):
            if job.comms.world.rank == 0:
                _finish(job, plan, tools, coarse, whole, sanity)
        tools.pictures.close()
        job.leave_out(list({str(e): e for e in errors.values()}.values()))
    job.write_timing("explain", PHASES, "lime")


def _plan(job: Job) -> Plan:
    """Tiles and network, looked at by one rank and told to all."""
    config, world = job.config, job.comms.world
    found: Plan | None = None
    with fence(world, job.work / "explain"):
        if world.rank == 0:
            tiles = read_tiles(job.work / "infer" / "predictions.h5")
            model = Path(config.infer.model) if config.infer.model is not None else job.work / "train" / "model.keras"
            chosen = _chosen(config, tiles)
            found = Plan(tiles, chosen, model, read_card(model)[1], attributions.begin(job.work / "explain", job.digest))
            counts = [(sum(c.outcome == key for c in chosen), words) for key, words in OUTCOMES.items()]
            job.log.say(f"  {len(chosen)} patches of {len({c.name for c in chosen})} slides: " + ", ".join(f"{n} {words}" for n, words in counts if n))
            if found.done:
                job.log.say(f"  going on after {len(found.done)} patches of an earlier run")
    told: Plan = world.bcast(found, root=0)
    return told


def _chosen(config: cfg.Config, tiles: Tiles) -> list[Chosen]:
    threshold, patches = config.evaluate.threshold, config.explain.patches
    if patches is not None:
        return named(tiles, patches, threshold)
    chosen = most_and_least_certain(tiles, threshold, config.explain.per_slide)
    if not chosen:
        raise UserError("no tile in predictions.h5 has a known label, so none can be chosen", "explain.patches", "name tiles by row or SLIDE:X:Y")
    return chosen


def _tools(job: Job, plan: Plan) -> Tools:
    """Network and readers of this rank; whatever is wrong with layers is said here."""
    config, world = job.config, job.comms.world
    maps: ClassMaps | None = None
    wanted = [m for m in METHODS if m in config.explain.methods]
    with fence(world, plan.model):
        start_tensorflow(config.infer.threads)
        network = load_model(plan.model)
        if wanted:
            maps = ClassMaps(network, wanted, config.explain.layer)
            job.log.say(f"  class maps of layer {maps.layer}")
            if "cam" in wanted and "cam" not in maps.methods:
                job.log.say("  no CAM: the network's head is not global average pooling and one linear layer")
        tools = Tools(network, forward_pass(network), maps, Pictures(plan.chosen, config, job.records))
    return tools


def _class_maps(job: Job, plan: Plan, tools: Tools) -> tuple[dict[str, list[Maps]], dict[int, SlideError]]:
    """By method, the coarse map of every chosen tile; and by place, why a tile cannot be read. The same on all ranks; collective.

    Batches are cut before they are shared out: the ranks change no map.
    """
    world, batch = job.comms.world, job.config.explain.batch
    coarse: dict[str, list[Maps]] = {m: [] for m in (tools.maps.methods if tools.maps is not None else ())}
    errors: dict[int, SlideError] = {}
    batches = -(-len(plan.chosen) // batch)
    for first in range(0, batches, world.size):
        mine: dict[int, dict[str, Maps]] = {}
        with fence(world):
            if first + world.rank < batches:
                start = (first + world.rank) * batch
                px = tools.pictures.batch(range(start, min(start + batch, len(plan.chosen))), batch)
                mine[world.rank] = tools.maps.of(px).maps if tools.maps is not None else {}
                job.clock.count("maps", batch, px.nbytes)
        for maps in allgather_list(world, mine):
            for method, values in maps.items():
                coarse[method] += list(values)
        job.signals.stop_here(world)
    for part in world.allgather(tools.pictures.errors):
        errors.update(part)
    return coarse, dict(sorted(errors.items()))


def _explain(job: Job, plan: Plan, tools: Tools, coarse: dict[str, list[Maps]], todo: list[int]) -> None:
    """LIME and the panel of each tile in `todo`; collective. After each round its patches are done for good."""
    world, clock, folder = job.comms.world, job.clock, job.work / "explain"
    by_lime, lime_keys = "lime" in job.config.explain.methods, job.config.explain.lime
    each = len(lime_keys.seeds) * lime_keys.samples if by_lime else 1
    progress = Progress(job.log, "perturbed pictures" if by_lime else "patches", len(todo) * each)
    for first in range(0, len(todo), world.size):
        group = todo[first:first + world.size]
        probs: list[npt.NDArray[np.float32]] = []
        if by_lime:
            with clock.phase("lime"):
                probs = _perturbed_probabilities(job, tools, group)
        with clock.phase("draw"), fence(world, folder):
            if world.rank < len(group):
                i = group[world.rank]
                units = len(probs) // len(group)  # of a patch
                lime = _lime(job, tools, i, probs[world.rank * units:(world.rank + 1) * units]) if by_lime else None
                _panel(job, plan, tools, coarse, i, lime)
                attributions.keep(folder, plan.chosen[i].row, lime)
        job.signals.stop_here(world)
        progress.update((first + len(group)) * each)


def _perturbed_probabilities(job: Job, tools: Tools, group: list[int]) -> list[npt.NDArray[np.float32]]:
    """The probabilities of all perturbed pictures of some tiles, in batches by tile, seed and number; all ranks share them. Collective."""
    world, config = job.comms.world, job.config
    lime, batch = config.explain.lime, config.explain.batch
    units = [(i, seed, at) for i in group for seed in lime.seeds for at in range(0, lime.samples, batch)]
    mine: dict[int, npt.NDArray[np.float32]] = {}
    with fence(world):
        for k in range(len(units) * world.rank // world.size, len(units) * (world.rank + 1) // world.size):
            i, seed, at = units[k]
            parts = tools.pictures.parts(i)
            shown = _perturbations(seed, lime.samples, parts.count)[at:at + batch]
            mine[k] = probabilities(tools.forward, perturbed(parts, shown), batch)
            job.clock.count("lime", len(shown), parts.px.nbytes * len(shown))
    return allgather_list(world, mine)


_perturbations = functools.lru_cache(maxsize=8)(perturbations)


def _lime(job: Job, tools: Tools, i: int, probs: list[npt.NDArray[np.float32]]) -> Lime:
    lime, parts = job.config.explain.lime, tools.pictures.parts(i)
    of_seeds = np.concatenate(probs).reshape(len(lime.seeds), lime.samples)
    fits = [fitted(_perturbations(seed, lime.samples, parts.count), prob, seed) for seed, prob in zip(lime.seeds, of_seeds, strict=True)]
    agree = agreement(fits)
    return Lime(parts.segments, np.stack([f.weights for f in fits]), np.array([f.score for f in fits]), np.array([agree.mean, agree.least]))


def _panel(job: Job, plan: Plan, tools: Tools, coarse: dict[str, list[Maps]], i: int, lime: Lime | None) -> None:
    tile, tiles, record = plan.chosen[i], plan.tiles, tools.pictures.record(i)
    slide = tiles.names.index(tile.name)
    thumbnail, width, height = slide_view(record.path, job.config.data.reader, record.mpp)
    mpp = float(tiles.mpp[slide])
    place = Place(thumbnail, width, height, tiles.patch * float(tiles.downsample[slide]), mpp if mpp > 0 else None)
    write_panel(job.work / "explain" / "panels" / f"{tile.file}.png", tile, tools.pictures.px(i),
                {m: picture(m, maps[i], tiles.patch) for m, maps in coarse.items()}, (tools.pictures.parts(i), lime) if lime is not None else None, place)


def _sanity(job: Job, tools: Tools, coarse: dict[str, list[Maps]], whole: list[int]) -> Sanity | None:
    """How alike the class maps stay while the network forgets, layer by layer; the same on all ranks. Collective."""
    world, config = job.comms.world, job.config
    if tools.maps is None or not config.explain.sanity:
        return None
    batch = config.explain.batch
    places = whole[::-(-len(whole) // MOST_CHECKED)]
    batches = [places[at:at + batch] for at in range(0, len(places), batch)]
    mine: dict[int, dict[str, list[Change]]] = {}
    with fence(world):
        cuts = cascade(tools.network, config.explain.sanity)
        for c, layers in enumerate(cuts):
            of_cut = [k for k in range(c * len(batches), (c + 1) * len(batches)) if k % world.size == world.rank]
            if of_cut:
                with randomised(layers, config.seed):
                    for k in of_cut:
                        some = batches[k % len(batches)]
                        seen = tools.maps.of(tools.pictures.batch(some, batch)).maps
                        mine[k] = {m: [change(coarse[m][i], values[j]) for j, i in enumerate(some)] for m, values in seen.items()}
    every = allgather_list(world, mine)
    job.signals.stop_here(world)
    methods = tools.maps.methods
    by_cut = [every[c * len(batches):(c + 1) * len(batches)] for c in range(len(cuts))]
    return Sanity([len(layers) for layers in cuts], methods, [[[x for part in cut for x in part[m]] for m in methods] for cut in by_cut])


def _finish(job: Job, plan: Plan, tools: Tools, coarse: dict[str, list[Maps]], whole: list[int], sanity: Sanity | None) -> None:
    """By one rank."""
    config, folder = job.config, job.work / "explain"
    chosen, patch = [plan.chosen[i] for i in whole], plan.tiles.patch
    maps = {m: functools.partial(lambda m, values, k: picture(m, values[whole[k]], patch), m, values) for m, values in coarse.items()}
    seeds = config.explain.lime.seeds if "lime" in config.explain.methods else []
    said = {"layer": tools.maps.layer if tools.maps is not None else "", "model_digest": plan.model_digest, "config": cfg.as_yaml(config),
            "config_digest": job.digest, "software": software()}
    names = {f"{c.file}.png" for c in chosen}
    for old in (folder / "panels").glob("*.png"):
        if old.name not in names:  # of an earlier run, over other patches
            old.unlink()
    limes = attributions.kept_limes(folder, [c.row for c in chosen]) if seeds else []
    attributions.write_attributions(folder, chosen, patch, maps, seeds, sanity, said)
    if limes:
        _say_lime(job, limes)
    if sanity is not None:
        _say_sanity(job, sanity)
    job.log.say(f"  {len(chosen)} panels in {folder / 'panels'}")


def _say_lime(job: Job, limes: list[tuple[float, float]]) -> None:
    agree, score = np.array(limes).T
    seeds = len(job.config.explain.lime.seeds)
    heard = f"; between {seeds} seeds superpixel weights correlate {agree.mean():.2f} in rank, on the worst patch {agree.min():.2f}" if seeds > 1 else ""
    job.log.say(f"  LIME: mean R2 of the fits {score.mean():.2f}{heard}")


def _say_sanity(job: Job, sanity: Sanity) -> None:
    spearman, ssim = sanity.mean("spearman")[-1], sanity.mean("ssim")[-1]
    words = ", ".join(f"{CALLED[m]} {a:.2f} (SSIM {b:.2f})" for m, a, b in zip(sanity.methods, spearman, ssim, strict=True))
    job.log.say(f"  sanity: with all weights in random order maps correlate in rank with the trained network's: {words}")
    for m, a in zip(sanity.methods, spearman, strict=True):
        if a > SUSPICIOUS:
            job.log.warn(f"{CALLED[m]} hardly changes with random weights: it shows the picture more than the network")
