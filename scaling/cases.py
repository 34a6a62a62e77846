"""What is measured, as data: each case is one process of the program, with its ranks, slides and config."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

EXTRACT: dict[str, Any] = {"data": {"patch": 224}, "extract": {"sampling": "dense"}}
RANDOM = {"data": {"patch": 224}, "extract": {"sampling": "random", "per_class": 500}}  # the paper's layer 1: 500 patches per class and slide
# Small enough for two cores: the demo's network and patch. One epoch of few rows, for what is told by its steps alone.
LEARN: dict[str, Any] = {
    "data": {"patch": 96, "level": 1, "split": {"by": "slide", "fractions": [0.5, 0.25, 0.25]}},
    "extract": {"sampling": "random", "per_class": 150, "block": 2048},
    "train": {"model": "camnet_small", "epochs": 1, "batch": 32, "optimizer": "adam", "learning_rate": 1.0e-3}}
# Minutes on a core: TensorFlow's start takes seconds on any number of ranks, and must not be what is measured.
LONG = {**LEARN, "extract": {**LEARN["extract"], "per_class": 600}, "train": {**LEARN["train"], "epochs": 16}, "infer": {"stride": 10}}


@dataclass(frozen=True)
class Slides:
    """A cohort that `mpicamnet synth` draws: how many slides, side in px, where tissue is."""

    count: int
    side: int
    tissue: Literal["islands", "full"] = "full"

    @property
    def name(self) -> str:
        return f"{self.count}-slides-{self.side}-px-{self.tissue}"


@dataclass(frozen=True)
class Case:
    """One run: `study` is what it belongs to, `label` tells it from the study's other cases; ranks; slides; stages in order; config besides."""

    study: str
    label: str
    ranks: int
    slides: Slides
    stages: tuple[str, ...] = ("extract",)
    config: dict[str, Any] = field(default_factory=lambda: EXTRACT)

    @property
    def output_bytes(self) -> int:
        """Bytes that dense extraction writes, at most (as JPEG: about); 0 for other cases, which write little."""
        patch, extract = self.config["data"]["patch"], self.config["extract"]
        size = self.slides.count * (self.slides.side // patch * patch) ** 2 * 3
        return {"pixels": size, "jpeg": size // 8, "coords": 0}[extract.get("storage", "pixels")] if extract["sampling"] == "dense" else 0


def strong(ranks: Sequence[int], side: int, storage: str = "pixels") -> list[Case]:
    """The same work on more ranks: dense extraction of one slide; then training and inference of a small network."""
    label, config = ("extract", EXTRACT) if storage == "pixels" else (f"extract as {storage}", _with(EXTRACT, "extract", storage=storage))
    return [Case("strong", label, n, Slides(1, side), config=config) for n in ranks] + [
        Case("strong", "learn", n, Slides(4, 4096), ("extract", "train", "infer"), LONG) for n in ranks]


def weak(ranks: Sequence[int], side: int) -> list[Case]:
    """As many slides as ranks: dense extraction."""
    return [Case("weak", "extract", n, Slides(n, side)) for n in ranks]


def table4(ranks: Sequence[int], side: int) -> list[Case]:
    """The paper's Table 4: random and dense sampling, 1 and 5 slides of a scanner's size; glass around the tissue, as there."""
    return [Case("table4", f"{how}, {count} WSI", n, Slides(count, side, "islands"), config=config)
            for how, config in (("random", RANDOM), ("dense", EXTRACT)) for count in (1, 5) for n in ranks]


def figure9(ranks: Sequence[int], networks: Sequence[str]) -> list[Case]:
    """Training time by network: one epoch over the same patches."""
    return [Case("figure9", network, n, Slides(4, 2048), ("extract", "train"), _with(LEARN, "train", model=network)) for network in networks for n in ranks]


def figure10(ranks: Sequence[int], per_class: Sequence[int]) -> list[Case]:
    """Epoch time against the number of patches."""
    return [Case("figure10", str(k), n, Slides(4, 2048), ("extract", "train"), _with(LEARN, "extract", per_class=k)) for k in per_class for n in ranks]


def heatmap(ranks: Sequence[int]) -> list[Case]:
    """Section 4.4's 10,000 patches: all windows of one slide. Tissue all over, 4,096 px at level 1, a window each 20 px: 98 x 98 of them, on each of four."""
    return [Case("heatmap", "10,000 patches", n, Slides(4, 4096), ("extract", "train", "infer"), _with(LEARN, "infer", stride=20)) for n in ranks]


def _with(config: dict[str, Any], section: str, **keys: object) -> dict[str, Any]:
    return {**config, section: {**config.get(section, {}), **keys}}
