"""The part of the explain stage that finds which clinical measures the network uses. Collective over the world.

in rounds of a part per rank: read, measure, look into the layers, keep -> each layer by one rank: regress, judge -> correct over all layers, write
(one rank).
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import SlideError
from ..job import Job
from ..ranks import Progress, allgather_list, fence
from . import kept
from .activations import Probe, probe, probed_layers
from .attributions import LayerVectors
from .concept_figures import write_extremes, write_r2, write_relevance
from .concept_files import Patches, rcv_document, unit_of, write_concepts, write_rcv
from .concepts import CONCEPTS, PX_SAID, Concept, center_concepts, patch_concepts
from .pictures import Pictures
from .plan import Plan, concept_parts
from .rcv import Relevance, Settings, Vectors, layer_result, skipped_concepts, with_discoveries

PART = 16  # patches that are measured and looked at together
TABLE, VECTORS = "concepts.csv", "rcv.json"
R2, RELEVANCE, EXTREMES = "rcv_r2.png", "rcv_relevance.png", "concepts.png"
FILES = (TABLE, VECTORS, R2, RELEVANCE, EXTREMES)


@dataclass(frozen=True)
class Measured:
    """Places of `plan.measured` that could be read, and of these: `concepts` with their `values` float64 (n, k), the file's columns `patches`, `groups`
    int64 (n,) that folds never divide, `judged` bool (n,), whose sensitivities count, in words `judged_words`."""

    places: npt.NDArray[np.int64]
    concepts: tuple[Concept, ...]
    values: npt.NDArray[np.float64]
    patches: Patches
    groups: npt.NDArray[np.int64]
    judged: npt.NDArray[np.bool_]
    judged_words: str

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.concepts)


def run(job: Job, plan: Plan, network: Any) -> tuple[dict[str, LayerVectors], list[SlideError]]:
    """Measure, regress, write; the vectors by layer, and why patches could not be read. The same on all ranks."""
    world, keys = job.comms.world, job.config.explain.concepts
    settings = Settings(keys.folds, keys.permutations, keys.alpha, job.config.seed)
    job.log.say(f"  concepts of {len(plan.measured)} patches of {len({c.name for c in plan.measured})} slides")
    with job.clock.phase("load"), fence(world):
        layers = probed_layers(network, keys.layers)
        look = probe(network, layers, keys.pooling, PART)
        pictures = Pictures(plan.measured, job.config, job.records, plan.card.stain)
    with job.clock.phase("measure"):
        errors = _measure(job, plan, layers, look, pictures)
    with job.clock.phase("regress"):
        with fence(world, concept_parts(job.work)):
            measured = _measured(job, plan)
        rows = _regress(job, plan, layers, measured, settings)
    found = with_discoveries(rows, skipped_concepts(measured.names, measured.values), settings.alpha)
    with job.clock.phase("draw"), fence(world, job.work / "explain"):
        for number, write in enumerate(_writers(job.work / "explain", measured, found, settings, pictures)):
            if number % world.size == world.rank:
                write()
    pictures.close()
    _say(job, measured, found)
    return {layer: _vectors_of(found, layer) for layer in layers}, errors


def _measure(job: Job, plan: Plan, layers: tuple[str, ...], look: Probe, pictures: Pictures) -> list[SlideError]:
    """Measures, activations and gradients of all patches, in parts of a fixed size; a part that is kept is not done again. Collective."""
    world = job.comms.world
    todo = [k for k in range(_parts(plan)) if k not in plan.done_measured]
    if plan.done_measured:
        job.log.say(f"  going on after {len(plan.done_measured) * PART} patches of an earlier run")
    progress = Progress(job.log, "patches measured", len(todo) * PART)
    for first in range(0, len(todo), world.size):
        with fence(world, concept_parts(job.work)):
            if first + world.rank < len(todo):
                k = todo[first + world.rank]
                places = range(k * PART, min((k + 1) * PART, len(plan.measured)))
                px = pictures.batch(places, len(places))
                seen = look(px)
                values = [patch_concepts(p, plan.tiles.mpp_of(plan.measured[i])) for i, p in zip(places, px, strict=True)]
                part: dict[str, npt.NDArray[Any]] = {"values": np.stack(values), "read": np.array([i not in pictures.errors for i in places])}
                for number, layer in enumerate(layers):
                    part |= {f"activations{number}": seen.activations[layer], f"gradients{number}": seen.gradients[layer]}
                kept.keep(concept_parts(job.work), k, part)
                job.clock.count("measure", len(places), px.nbytes)
        job.signals.stop_here(world)
        progress.update(min(first + world.size, len(todo)) * PART)
    errors: dict[int, SlideError] = {}
    for told in world.allgather(pictures.errors):
        errors.update(told)
    return [errors[i] for i in sorted(errors)]


def _parts(plan: Plan) -> int:
    return -(-len(plan.measured) // PART)


def _column(job: Job, plan: Plan, name: str) -> npt.NDArray[Any]:
    """One array of all parts, in order."""
    return np.concatenate([kept.part(concept_parts(job.work), k, name)[name] for k in range(_parts(plan))])


def _measured(job: Job, plan: Plan) -> Measured:
    keys, tiles = job.config.explain.concepts, plan.tiles
    places = np.flatnonzero(_column(job, plan, "read"))
    if len(places) == 0:
        raise SlideError("no patch can be read to measure its concepts", plan.measured[0].name, "look at the slides")
    some = [plan.measured[i] for i in places]
    slides = np.array([tiles.names.index(c.name) for c in some])
    centers, of_centers = center_concepts(tiles.center[slides].astype(np.int64))
    patients = tiles.patient[slides].astype(np.int64)
    groups = np.where((patients >= 0) & (keys.group == "patient"), patients, -1 - slides)
    label = np.array([c.label for c in some], np.int8)
    tumor = keys.sensitivity == "tumor" and bool((label == 1).any())
    patches = Patches(tuple(c.name for c in some), np.array([(c.x, c.y) for c in some], np.int64), label, np.array([c.prob for c in some], np.float32),
                      np.array([tiles.mpp_of(c) or np.nan for c in some]))
    return Measured(places, (*CONCEPTS, *centers), np.concatenate([_column(job, plan, "values")[places], of_centers], axis=1), patches, groups,
                    (label == 1) if tumor else np.ones(len(label), bool), "tumour patches" if tumor else "all patches")


def _regress(job: Job, plan: Plan, layers: tuple[str, ...], measured: Measured, settings: Settings) -> tuple[Relevance, ...]:
    """All concepts at all layers, each layer by one rank; the same on all ranks. Collective."""
    world = job.comms.world
    mine: dict[int, tuple[Relevance, ...]] = {}
    with fence(world, concept_parts(job.work)):
        for number in range(world.rank, len(layers), world.size):
            activations, gradients = (_column(job, plan, f"{what}{number}")[measured.places] for what in ("activations", "gradients"))
            mine[number] = layer_result(layers[number], activations, gradients, measured.names, measured.values, measured.groups, settings, measured.judged)
    every = allgather_list(world, mine)
    job.signals.stop_here(world)
    return tuple(row for rows in every for row in rows)


def _writers(folder: Path, measured: Measured, found: Vectors, settings: Settings, pictures: Pictures) -> list[Callable[[], None]]:
    """What is written, each file by any one rank: the figure that takes longest first."""
    concepts, values = measured.concepts, measured.values
    known = bool(np.isfinite(measured.patches.mpp).all())
    units = tuple(unit_of(c, known) for c in CONCEPTS)

    def extremes() -> None:
        write_extremes(folder / EXTREMES, CONCEPTS, units, values[:, :len(CONCEPTS)], lambda row: pictures.px(int(measured.places[row])))

    def files() -> None:
        write_concepts(folder / TABLE, measured.patches, concepts, values)
        write_rcv(folder / VECTORS, rcv_document(found, concepts, values, settings, measured.patches, measured.judged_words))

    def of_vectors(name: str, draw: Callable[[Path, Vectors], None]) -> Callable[[], None]:
        return lambda: draw(folder / name, found) if found.rows else (folder / name).unlink(missing_ok=True)

    return [extremes, of_vectors(RELEVANCE, write_relevance), of_vectors(R2, write_r2), files]


def _vectors_of(found: Vectors, layer: str) -> LayerVectors:
    rows = [r for r in found.rows if r.layer == layer]
    return LayerVectors([r.concept for r in rows], np.stack([r.vector for r in rows]) if rows else np.zeros((0, 0)))


def _say(job: Job, measured: Measured, found: Vectors) -> None:
    if not np.isfinite(measured.patches.mpp).all():
        job.log.say(f"  {PX_SAID}")
    for name, why in found.skipped.items():
        job.log.say(f"  concept {name} is left out: {why}")
    best: dict[str, Relevance] = {}
    for row in found.rows:
        if row.relevant and row.r2 > best.get(row.concept, row).r2 - 1e-12:
            best[row.concept] = row
    said = "; ".join(f"{r.concept} at {r.layer}: R2 {r.r2:.2f}, TCAV {r.tcav:.2f}" + (f", Br {r.br:.2f}" if r.br is not None else "")
                     for r in sorted(best.values(), key=lambda r: -r.r2))
    job.log.say(f"  {len(best)} of {len({r.concept for r in found.rows})} concepts are used by the network{': ' if said else ''}{said}")
