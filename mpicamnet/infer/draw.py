"""The files of a slide: its tiles -> NAME.tif, NAME.png, NAME.geojson and NAME.xml. Slides take turns in rounds, each drawn by its owner alone."""
from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..config import Config
from ..errors import SlideError
from ..patches.journal import Mark
from ..patches.plan import SlidePlan, tissue_of
from ..ranks import Clock, Comm, Share
from .heatmap import heatmap
from .outlines import write_asap, write_geojson
from .picture import write_picture
from .predict import note_errors
from .raster import raster
from .regions import regions
from .store import Store
from .tiff import write_tiff
from .tiles import Tiles


def draw(folder: Path, plan: SlidePlan, tiles: Tiles, config: Config) -> SlideError | None:
    """Write the four files of a slide, each whole under its name; returns why its picture had to do without the slide, where it had to."""
    thresholds = config.infer.outlines
    size = plan.width, plan.height
    heat = heatmap(plan.grid, tiles.xy, tiles.prob)
    whole = raster(plan.grid, heat, size, tissue_of(plan), plan.mask_downsample, config.infer.interpolation)
    found = [r for t in thresholds for r in regions(whole, t, plan.mpp, size)]
    errors: list[SlideError] = []
    writers: dict[str, Callable[[Path], None]] = {
        "tif": lambda path: write_tiff(path, whole, plan.mpp, {"slide": plan.record.name, "interpolation": config.infer.interpolation}),
        "geojson": lambda path: write_geojson(path, found, thresholds),
        "xml": lambda path: write_asap(path, found, thresholds),
        "png": lambda path: errors.extend(write_picture(path, plan, whole, config.data.reader, config.infer.threshold)),
    }
    for suffix, write in writers.items():
        path = folder / f"{plan.record.name}.{suffix}"
        partial = path.with_name(path.name + ".partial")
        write(partial)
        partial.replace(path)
    return errors[0] if errors else None


@dataclass
class Drawing:
    """The work of the rounds (ranks.rounds.Task): slides in, files out. `mark`: how far the tiles are, which is all the way."""

    comm: Comm
    store: Store
    plans: list[SlidePlan]
    config: Config
    folder: Path
    mark: Mark
    clock: Clock

    def work(self, share: Share) -> dict[int, SlideError]:
        errors: dict[int, SlideError] = {}
        with self.clock.phase("draw"):
            for plan in self.plans[share.start:share.stop]:
                error = draw(self.folder, plan, self.store.of_slide(plan.index, self.mark.rows), self.config)
                if error is not None:
                    errors[plan.index] = error
        self.clock.count("draw", len(share))
        return errors

    def sizes(self, outcome: dict[int, SlideError] | None) -> tuple[int]:
        return (len(outcome or {}),)

    def put(self, outcome: dict[int, SlideError], before: npt.NDArray[np.int64], total: npt.NDArray[np.int64]) -> None:
        if total[0]:
            note_errors(self.comm, self.store, outcome)

    def finished(self, blocks: int, before: npt.NDArray[np.int64]) -> None:
        self.store.mark(dataclasses.replace(self.mark, slides=blocks))
