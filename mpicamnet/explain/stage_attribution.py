"""The part of the explain stage that shows where the network looks. Collective over the world.

class maps, batch by batch -> in rounds of a patch per rank: predict perturbed pictures, all ranks at all patches; fit, draw and keep, each rank
one patch -> sanity check.
"""
from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SlideError
from ..infer.network import probabilities
from ..job import Job
from ..ranks import Progress, allgather_list, fence
from ..train.step import forward_pass
from . import kept
from .attributions import Lime, Sanity
from .chosen import OUTCOMES
from .class_maps import CALLED, METHODS, ClassMaps, picture
from .lime_maps import agreement, fitted, perturbations, perturbed
from .maps import Maps
from .panel import Place, slide_view, write_panel
from .pictures import Pictures
from .plan import Plan, panel_parts
from .sanity import Change, cascade, change, randomised

MOST_CHECKED = 64  # patches of the sanity check, spread evenly over the chosen ones
SUSPICIOUS = 0.5  # a rank correlation above this, with all weights random, is worth a warning
Probs = list[npt.NDArray[np.float32]]


@dataclass(frozen=True)
class Attributed:
    """Places `whole` of the chosen tiles that could be read; the `layer` looked at; by method the `coarse` map of every chosen tile; why tiles could
    not be read. The same on all ranks."""

    whole: list[int]
    layer: str
    coarse: dict[str, list[Maps]]
    sanity: Sanity | None
    errors: list[SlideError]


@dataclass(frozen=True)
class Tools:
    """What a rank works with. `maps`: None where no class maps are asked for; `forward`: px -> logits."""

    network: Any
    forward: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.float32]]
    maps: ClassMaps | None
    pictures: Pictures


def run(job: Job, plan: Plan, network: Any) -> Attributed:
    """Panels of the chosen tiles; raises UserError where the network has no layer to look at, or no tile can be read."""
    with job.clock.phase("load"):
        tools = _tools(job, plan, network)
    with job.clock.phase("maps"):
        coarse, errors = _class_maps(job, plan, tools)
    whole = [i for i in range(len(plan.chosen)) if i not in errors]
    if not whole:
        raise next(iter(errors.values()))
    _explain(job, plan, tools, coarse, [i for i in whole if plan.chosen[i].row not in plan.done])
    with job.clock.phase("sanity"):
        sanity = _sanity(job, tools, coarse, whole)
    tools.pictures.close()
    _say(job, plan, whole, sanity)
    return Attributed(whole, tools.maps.layer if tools.maps is not None else "", coarse, sanity, list(errors.values()))


def _tools(job: Job, plan: Plan, network: Any) -> Tools:
    counts = [(sum(c.outcome == key for c in plan.chosen), words) for key, words in OUTCOMES.items()]
    job.log.say(f"  {len(plan.chosen)} patches of {len({c.name for c in plan.chosen})} slides: " + ", ".join(f"{n} {words}" for n, words in counts if n))
    if plan.done:
        job.log.say(f"  going on after {len(plan.done)} patches of an earlier run")
    wanted = [m for m in METHODS if m in job.config.explain.methods]
    maps: ClassMaps | None = None
    with fence(job.comms.world, plan.model):
        if wanted:
            maps = ClassMaps(network, wanted, job.config.explain.layer)
            job.log.say(f"  class maps of layer {maps.layer}")
            if "cam" in wanted and "cam" not in maps.methods:
                job.log.say("  no CAM: the network's head is not global average pooling and one linear layer")
        tools = Tools(network, forward_pass(network), maps, Pictures(plan.chosen, job.config, job.records, plan.card.stain))
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
                places = range(start, min(start + batch, len(plan.chosen)))
                px = tools.pictures.batch(places, batch)
                mine[world.rank] = {m: v[:len(places)] for m, v in tools.maps.of(px).maps.items()} if tools.maps is not None else {}
                job.clock.count("maps", len(places), px.nbytes)
        for maps in allgather_list(world, mine):
            for method, values in maps.items():
                coarse[method] += list(values)
        job.signals.stop_here(world)
    for part in world.allgather(tools.pictures.errors):
        errors.update(part)
    return coarse, dict(sorted(errors.items()))


def _explain(job: Job, plan: Plan, tools: Tools, coarse: dict[str, list[Maps]], todo: list[int]) -> None:
    """LIME and the panel of each tile in `todo`; collective. After each round its patches are done for good."""
    world, clock, keys = job.comms.world, job.clock, job.config.explain.lime
    by_lime = "lime" in job.config.explain.methods
    each = len(keys.seeds) * keys.samples if by_lime else 1
    progress = Progress(job.log, "perturbed pictures" if by_lime else "patches", len(todo) * each)
    for first in range(0, len(todo), world.size):
        group = todo[first:first + world.size]
        probs: Probs = []
        if by_lime:
            with clock.phase("lime"):
                probs = _perturbed_probabilities(job, tools, group)
        with clock.phase("draw"), fence(world, job.work / "explain"):
            if world.rank < len(group):
                i = group[world.rank]
                units = len(probs) // len(group)  # of a patch
                lime = _lime(job, tools, i, probs[world.rank * units:(world.rank + 1) * units]) if by_lime else None
                _panel(job, plan, tools, coarse, i, lime)
                kept.keep(panel_parts(job.work), plan.chosen[i].row, vars(lime) if lime is not None else {})
        job.signals.stop_here(world)
        progress.update((first + len(group)) * each)


def _perturbed_probabilities(job: Job, tools: Tools, group: list[int]) -> Probs:
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


def _lime(job: Job, tools: Tools, i: int, probs: Probs) -> Lime:
    lime, parts = job.config.explain.lime, tools.pictures.parts(i)
    of_seeds = np.concatenate(probs).reshape(len(lime.seeds), lime.samples)
    fits = [fitted(_perturbations(seed, lime.samples, parts.count), prob, seed) for seed, prob in zip(lime.seeds, of_seeds, strict=True)]
    agree = agreement(fits)
    return Lime(parts.segments, np.stack([f.weights for f in fits]), np.array([f.score for f in fits]), np.array([agree.mean, agree.least]))


def lime_of(job: Job, row: int) -> Lime:
    """LIME of a patch that is done."""
    return Lime(**kept.part(panel_parts(job.work), row))


def _panel(job: Job, plan: Plan, tools: Tools, coarse: dict[str, list[Maps]], i: int, lime: Lime | None) -> None:
    tile, tiles, record = plan.chosen[i], plan.tiles, tools.pictures.record(i)
    slide = tiles.names.index(tile.name)
    thumbnail, width, height = slide_view(record.path, job.config.data.reader, record.mpp)
    place = Place(thumbnail, width, height, tiles.patch * float(tiles.downsample[slide]), tiles.mpp_of(tile))
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


def _say(job: Job, plan: Plan, whole: list[int], sanity: Sanity | None) -> None:
    """Collective: one rank reads what was kept."""
    with fence(job.comms.world, job.work / "explain"):
        if job.comms.world.rank == 0 and "lime" in job.config.explain.methods:
            limes = [lime_of(job, plan.chosen[i].row) for i in whole]
            words = f"  LIME: mean R2 of the fits {np.mean([lime.score.mean() for lime in limes]):.2f}"
            agree, seeds = np.array([lime.agreement[0] for lime in limes]), len(job.config.explain.lime.seeds)
            if seeds > 1:
                words += f"; between {seeds} seeds superpixel weights correlate {agree.mean():.2f} in rank, on the worst patch {agree.min():.2f}"
            job.log.say(words)
    if sanity is not None:
        spearman, ssim = sanity.mean("spearman")[-1], sanity.mean("ssim")[-1]
        words = ", ".join(f"{CALLED[m]} {a:.2f} (SSIM {b:.2f})" for m, a, b in zip(sanity.methods, spearman, ssim, strict=True))
        job.log.say(f"  sanity: with all weights in random order maps correlate in rank with the trained network's: {words}")
        for m, a in zip(sanity.methods, spearman, strict=True):
            if a > SUSPICIOUS:
                job.log.warn(f"{CALLED[m]} hardly changes with random weights: it shows the picture more than the network")
    job.log.say(f"  {len(whole)} panels in {job.work / 'explain' / 'panels'}")
