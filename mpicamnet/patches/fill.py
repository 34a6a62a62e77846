"""Patches out of slides: every file tile that a set of patches needs is decoded once, and scattered to all patches that it meets."""
from __future__ import annotations

import functools
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .. import slides
from ..config import Extract
from ..errors import SlideError
from ..slides import Level, Resolution, Slide, SlideRecord, open_record, shrink
from .filter import compact, count, scatter

_SOURCE_BYTES = 16 << 20  # px held at a time while patches are shrunk


@dataclass(frozen=True)
class Filled:
    """`counts` int64 (n, 2): white and black px. `bad` bool (n,): patches that meet a tile which could not be decoded; `error` says why."""

    counts: npt.NDArray[np.int64]
    bad: npt.NDArray[np.bool_]
    error: SlideError | None


@functools.cache
def load_kernels() -> None:
    """Load, once, what reads and filters patches: done by all ranks while the slides are planned, where those that have none to plan would wait."""
    slides.load_kernels()
    px, place = np.full((1, 16, 16, 3), 255, np.uint8), np.zeros(1, np.int64)
    scatter(px[0], 0, 0, place, place, place, px.copy(), np.zeros((1, 2), np.int64), np.uint8(0), np.uint8(0))
    compact(px.reshape(1, -1), np.ones(1, bool))


class Filler:
    """Open slide and decoded tiles of one rank; close it when done.

    One slide is open at a time: work comes slide by slide. Tiles that reach beyond the block in hand are kept (up to `extract.cache` MiB),
    since the neighbouring blocks need them too. `between_tiles` is called before each.
    """

    def __init__(self, extract: Extract, reader: str = "auto"):
        self._white, self._black = np.uint8(extract.white.intensity), np.uint8(extract.black.intensity)
        self._reader = reader
        self._slide: Slide | None = None
        self._record: SlideRecord | None = None
        self._tiles = _Tiles(extract.cache << 20)
        self.decode_seconds = 0.0
        self.between_tiles: Callable[[], None] = lambda: None

    def close(self) -> None:
        if self._slide is not None:
            self._slide.close()
        self._slide = self._record = None
        self._tiles.clear()

    def fill(self, record: SlideRecord, resolution: Resolution, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64], out: npt.NDArray[np.uint8],
             end: tuple[int, int]) -> Filled:
        """Read the patches at x, y (n,) target px into `out`, uint8 (n, side, side, 3).

        `end`: where the work in hand ends (x, y), target px; tiles that reach beyond it are kept for what comes next.
        """
        if resolution.scale == 1:
            return self._fill(record, resolution.level, x, y, out, end)
        return self._fill_resampled(record, resolution, x, y, out, end)

    def _fill_resampled(self, record: SlideRecord, resolution: Resolution, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64],
                        out: npt.NDArray[np.uint8], end: tuple[int, int]) -> Filled:
        """Patch by patch what `slides.read_patch` gives, with the tiles read as for patches at a level."""
        side, scale = out.shape[1], resolution.scale
        source_side = math.ceil(side * scale) + 1
        finish = (math.floor(end[0] * scale), math.floor(end[1] * scale))
        bad, error = np.zeros(len(x), bool), None
        batch = max(1, _SOURCE_BYTES // (source_side * source_side * 3))
        try:
            level = self._open(record).level_of(resolution.level)
        except SlideError as e:  # it was there when the slides were planned
            return Filled(np.zeros((len(x), 2), np.int64), ~bad, e)
        size = level.width, level.height
        u, v = (np.rint(at * resolution.downsample) / level.downsample for at in (x, y))
        left, top = np.floor(u).astype(np.int64), np.floor(v).astype(np.int64)
        for first in range(0, len(x), batch):
            part = slice(first, first + batch)
            source = np.full((len(x[part]), source_side, source_side, 3), 255, np.uint8)
            got = self._fill(record, resolution.level, left[part], top[part], source, finish)
            _whiten(source, size[0] - left[part], size[1] - top[part])
            bad[part], error = got.bad, error or got.error
            for i in range(first, first + len(source)):
                shrink(source[i - first], u[i] - left[i], v[i] - top[i], scale, side, out[i])
        return Filled(count(out, self._white, self._black), bad, error)

    def _fill(self, record: SlideRecord, level: int, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64], out: npt.NDArray[np.uint8],
              end: tuple[int, int]) -> Filled:
        n, side = len(x), out.shape[1]
        counts, bad = np.zeros((n, 2), np.int64), np.zeros(n, bool)
        error: SlideError | None = None
        if n == 0:
            return Filled(counts, bad, error)
        try:
            slide = self._open(record)
        except SlideError as e:  # it was there when the slides were planned
            return Filled(counts, ~bad, e)
        width, height = slide.levels[level].tile_width, slide.levels[level].tile_height
        tiles, starts, patches = _tiles_of_patches(x, y, side, slide.levels[level])
        for (row, column), first, last in zip(tiles, starts, [*starts[1:], len(patches)], strict=True):
            self.between_tiles()
            picks = patches[first:last]
            keep = (column + 1) * width > end[0] or (row + 1) * height > end[1]
            begun = time.perf_counter()
            try:
                tile = self._tiles.get(slide, level, column, row, keep)
            except SlideError as e:
                bad[picks], error = True, error or e
                self.close()  # OpenSlide serves nothing more after a tile that it could not decode
                slide = self._open(record)
                continue
            finally:
                self.decode_seconds += time.perf_counter() - begun
            scatter(tile, column * width, row * height, x, y, picks, out, counts, self._white, self._black)
        return Filled(counts, bad, error)

    def _open(self, record: SlideRecord) -> Slide:
        if self._slide is None or self._record != record:
            self.close()
            self._slide, self._record = open_record(record, self._reader), record
        return self._slide


def _tiles_of_patches(x: npt.NDArray[np.int64], y: npt.NDArray[np.int64], side: int, level: Level) \
        -> tuple[list[tuple[int, int]], list[int], npt.NDArray[np.int64]]:
    """The file tiles that patches meet, as (row, column), row by row; where each tile's run begins; the patches, tile after tile."""
    width, height = level.tile_width, level.tile_height
    across = (side - 2 + width) // width + 1  # the most tiles that a patch can meet side by side
    down = (side - 2 + height) // height + 1
    first_column, first_row = x // width, y // height
    dy, dx = np.meshgrid(np.arange(down), np.arange(across), indexing="ij")
    rows = first_row[:, None] + dy.ravel()
    columns = first_column[:, None] + dx.ravel()
    meets = (columns * width < (x + side)[:, None]) & (rows * height < (y + side)[:, None])
    meets &= (columns < level.tiles_across) & (rows < level.tiles_down)
    patch = np.broadcast_to(np.arange(len(x))[:, None], meets.shape)[meets]
    number = rows[meets] * level.tiles_across + columns[meets]
    order = np.argsort(number, kind="stable")
    number = number[order]
    starts = np.concatenate(([0], np.flatnonzero(np.diff(number)) + 1)).tolist() if len(number) else []
    return [divmod(t, level.tiles_across) for t in number[starts].tolist()], starts, patch[order]


def _whiten(source: npt.NDArray[np.uint8], right: npt.NDArray[np.int64], bottom: npt.NDArray[np.int64]) -> None:
    """Make white what of patches (n, side, side, 3) lies beyond the level, which ends at `right`, `bottom` px of each: file tiles hold anything there."""
    side = source.shape[1]
    for i in np.nonzero((right < side) | (bottom < side))[0].tolist():
        source[i, :, max(0, right[i]):] = 255
        source[i, max(0, bottom[i]):] = 255


class _Tiles:
    """Decoded file tiles. A tile that only the block in hand needs goes through one buffer, which stays in the processor's cache."""

    def __init__(self, most_bytes: int):
        self._most = most_bytes
        self._kept: OrderedDict[tuple[int, int, int], npt.NDArray[np.uint8]] = OrderedDict()
        self._passing: npt.NDArray[np.uint8] | None = None
        self._white: npt.NDArray[np.uint8] | None = None

    def clear(self) -> None:
        self._kept.clear()

    def get(self, slide: Slide, level: int, column: int, row: int, keep: bool) -> npt.NDArray[np.uint8]:
        key = (level, column, row)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        shape = (slide.levels[level].tile_height, slide.levels[level].tile_width, 3)
        size = shape[0] * shape[1] * 3
        if not keep or size > self._most:
            if self._passing is None or self._passing.shape != shape:
                self._passing = np.empty(shape, np.uint8)
            tile = slide.tile(level, column, row, out=self._passing)
        else:
            spare = None
            if self._kept and (len(self._kept) + 1) * size > self._most:
                spare = self._kept.popitem(last=False)[1]
            tile = slide.tile(level, column, row, out=spare if spare is not None and spare.shape == shape else np.empty(shape, np.uint8))
            if tile is not None:
                self._kept[key] = tile
        if tile is None:
            if self._white is None or self._white.shape != shape:
                self._white = np.full(shape, 255, np.uint8)
            return self._white
        return tile
