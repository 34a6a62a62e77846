"""The chosen tiles' px, as the network is shown them, and superpixels, read from their slides by one rank; the last few are kept."""
from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from ..config import Config
from ..errors import SlideError
from ..slides import Resolution, Slide, SlideRecord, open_record, read_patch, resolve
from ..train import normalised
from ..train.stain import Stain
from .chosen import Chosen
from .lime_maps import Superpixels, superpixels

Pixels = npt.NDArray[np.uint8]


class Pictures:
    """Tiles by their place in `chosen`; a slide stays open until another is asked for. `errors`: by place, why a tile could not be read."""

    def __init__(self, chosen: Sequence[Chosen], config: Config, records: Sequence[SlideRecord], stain: Stain):
        self._chosen, self._config, self._stain = chosen, config, stain
        self._records = {r.name: r for r in records}
        self._open: tuple[str, Slide, Resolution] | None = None
        self.errors: dict[int, SlideError] = {}
        self.px = functools.lru_cache(maxsize=16)(self._px)
        self.parts = functools.lru_cache(maxsize=4)(self._parts)

    def batch(self, places: Iterable[int], size: int) -> Pixels:
        """The px of some tiles, uint8 (size, p, p, 3), filled up with 0; so is a tile that cannot be read."""
        side = self._config.data.patch
        out = np.zeros((size, side, side, 3), np.uint8)
        for k, i in enumerate(places):
            try:
                out[k] = self.px(i)
            except SlideError as e:
                self.errors[i] = e
        return out

    def record(self, i: int) -> SlideRecord:
        return self._records[self._chosen[i].name]

    def _px(self, i: int) -> Pixels:
        """uint8 (p, p, 3); raises SlideError where the tile cannot be read."""
        tile, data = self._chosen[i], self._config.data
        if self._open is None or self._open[0] != tile.name:
            self.close()
            record = self._records[tile.name]
            slide = open_record(record, data.reader)
            self._open = tile.name, slide, resolve(slide, data.level, data.mpp)
        px: Pixels = normalised(read_patch(self._open[1], tile.x, tile.y, data.patch, self._open[2])[None], self._stain)[0]
        return px

    def _parts(self, i: int) -> Superpixels:
        lime = self._config.explain.lime
        return superpixels(self.px(i), lime.superpixels, lime.compactness)

    def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
        self._open = None
