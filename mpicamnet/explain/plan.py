"""What is explained, and by which network: looked at by one rank, told to all."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..config import Config
from ..errors import UserError
from ..train import Card, read_card
from . import kept
from .chosen import Chosen, Tiles, most_and_least_certain, named, read_tiles, tiles_at
from .sample import sampled_rows

ATTRIBUTED = ("cam", "gradcam", "gradcam++", "lime")


@dataclass(frozen=True)
class Plan:
    """`chosen`: tiles that get a panel; `measured`: tiles whose concepts are measured. `done`, `done_measured`: what an earlier run has finished, by
    row of predictions.h5 and by number of the part."""

    tiles: Tiles
    chosen: list[Chosen]
    measured: list[Chosen]
    model: Path
    model_digest: str
    card: Card
    done: set[int]
    done_measured: set[int]


def panel_parts(work: Path) -> Path:
    """Where LIME of finished patches is kept until all are."""
    return work / "explain" / "attributions.partial"


def concept_parts(work: Path) -> Path:
    """Where measures and activations are kept until all are."""
    return work / "explain" / "concepts.partial"


def make_plan(config: Config, work: Path, digest: str) -> Plan:
    """Choose, and see what an earlier run with this digest has left. By one rank; raises UserError where there is nothing to choose from."""
    tiles = read_tiles(work / "infer" / "predictions.h5")
    model = Path(config.infer.model) if config.infer.model is not None else work / "train" / "model.keras"
    card, model_digest = read_card(model)
    methods, threshold = config.explain.methods, config.evaluate.threshold
    chosen = _chosen(config, tiles) if set(methods) & set(ATTRIBUTED) else []
    measured: list[Chosen] = []
    if "rcv" in methods:
        rows = sampled_rows(tiles.slide, tiles.names, tiles.label, config.explain.concepts.patches, config.seed)
        measured = tiles_at(tiles, rows.tolist(), threshold, "measured")
        if not measured:
            raise UserError("no tile in predictions.h5 has a known label, so no concepts can be measured", "explain.methods", "take rcv out")
    (work / "explain" / "panels").mkdir(parents=True, exist_ok=True)
    return Plan(tiles, chosen, measured, model, model_digest, card, kept.begin(panel_parts(work), digest), kept.begin(concept_parts(work), digest))


def _chosen(config: Config, tiles: Tiles) -> list[Chosen]:
    threshold, patches = config.evaluate.threshold, config.explain.patches
    if patches is not None:
        return named(tiles, patches, threshold)
    chosen = most_and_least_certain(tiles, threshold, config.explain.per_slide)
    if not chosen:
        raise UserError("no tile in predictions.h5 has a known label, so none can be chosen", "explain.patches", "name tiles by row or SLIDE:X:Y")
    return chosen
