"""One slide, tile by tile: draw, encode, halve for the next level, write."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Literal

import imagecodecs
import numpy as np
import numpy.typing as npt

from . import shapes
from .noise import inside
from .shapes import Polygon
from .stain import stain
from .texture import Grids, painted
from .tiff import PyramidWriter

Pixels = npt.NDArray[np.uint8]
PERIOD = 512  # px: the square that grids of nodes divide, where the slide is no mosaic
MOSAIC_FROM = 32_768  # px: longest side from which on a slide is put together from a library of tiles
VARIANTS = 64  # tiles of each kind in that library
GLASS_VARIANTS = 8


def draw_slide(
    path: str | Path,
    width: int,
    height: int,
    seed: int,
    *,
    tumor: Sequence[Polygon] = (),
    tissue: Literal["islands", "full"] | Sequence[Polygon] = "islands",
    center: int = 0,
    mpp: float = 0.5,
    tile: int = 512,
    quality: int = 85,
    levels: int | None = None,
    mosaic: bool | None = None,
    threads: int | None = None,
) -> None:
    """Draw one H&E slide: a BigTIFF pyramid of JPEG tiles (YCbCr 4:2:0) that OpenSlide opens as `generic-tiff`.

    The same arguments give the same bytes. Memory is bounded by one row of tiles per level. Slides from 32,768 px on are a mosaic: tiles
    that are all tumour, all normal tissue or all glass come from a library (64 drawn and encoded variants of each, which fit side by
    side), only tiles that an outline crosses are drawn afresh; the file is as large and costs as much to read as if every tile were its
    own.

    Parameters
    ----------
    path : where the slide goes; it is called `NAME.partial` until it is whole
    width, height : px of level 0
    seed : of everything that is drawn
    tumor : outlines of tumour, level-0 px; it grows only where there is tissue
    tissue : "islands" (two, by seed), "full" (the whole slide), or outlines in level-0 px
    center : its stain
    mpp : um per px at level 0
    tile, quality : side of the file's tiles in px (a multiple of 16), JPEG quality
    levels : of the pyramid, each half the one before [None: down to 1024 px or less]
    mosaic : [None: from 32,768 px on]
    threads : that draw [None: one per core]; they do not change the outcome
    """
    path = Path(path)
    if tile < 64 or tile % 16:
        raise ValueError(f"a tile must be a multiple of 16 px and at least 64, not {tile}")
    sizes = [(width, height)]
    while len(sizes) < levels if levels else max(sizes[-1]) > 1024:
        sizes.append((max(sizes[-1][0] // 2, 1), max(sizes[-1][1] // 2, 1)))
    if isinstance(tissue, str):
        outlines = (
            None if tissue == "full" else list(shapes.layout(np.random.Generator(np.random.Philox(key=[seed, 1])), width, height).outlines)
        )
    else:
        outlines = list(tissue)
    painter = Painter.of(
        seed, center, mpp, tile, quality, outlines, list(tumor), max(width, height) >= MOSAIC_FROM if mosaic is None else mosaic
    )
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file, ThreadPoolExecutor(threads or len(os.sched_getaffinity(0))) as pool:
        writer = PyramidWriter(file, sizes, tile, mpp, f"drawn by mpicamnet synth, seed {seed}, center {center}")
        bands = [Band(level, -(-w // tile), -(-h // tile), tile, quality) for level, (w, h) in enumerate(sizes)][1:]
        columns, rows = -(-width // tile), -(-height // tile)
        for row in range(rows):
            for column, (jpeg, half) in enumerate(pool.map(painter.tile_at, range(columns), repeat(row))):
                writer.write(0, column, row, jpeg)
                if bands:
                    bands[0].put(column, row, half)
            below, done = rows, row
            for band, following in zip(bands, [*bands[1:], None], strict=False):
                if done // 2 >= band.rows or (done % 2 == 0 and done + 1 < below):  # beyond the level, or its other half is still to come
                    break
                done //= 2
                band.write(done, writer, following, pool)
                below = band.rows
        writer.finish()
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


@dataclass
class Painter:
    """Draws the tiles of level 0, or takes them from the library."""

    seed: int
    mpp: float
    tile: int
    quality: int
    tissue: npt.NDArray[np.float64] | None  # edges; None: everywhere
    tumor: npt.NDArray[np.float64]
    mosaic: bool
    grids: Grids
    table: npt.NDArray[np.float32]
    fibre: float
    library: dict[tuple[str, int], tuple[bytes, Pixels]]

    @classmethod
    def of(
        cls, seed: int, center: int, mpp: float, tile: int, quality: int, tissue: list[Polygon] | None, tumor: list[Polygon], mosaic: bool
    ) -> Painter:
        rng = np.random.Generator(np.random.Philox(key=[seed, 2]))
        return cls(
            seed,
            mpp,
            tile,
            quality,
            None if tissue is None else shapes.edges(tissue),
            shapes.edges(tumor),
            mosaic,
            Grids.of(tile if mosaic else PERIOD, mpp),
            stain(center, seed).table(),
            float(rng.uniform(0, np.pi)),
            {},
        )

    def tile_at(self, column: int, row: int) -> tuple[bytes, Pixels]:
        """The JPEG stream of a tile, and its px halved: (tile / 2, tile / 2, 3)."""
        x0, y0, margin = column * self.tile, row * self.tile, self.grids.margin
        side = self.tile + 2 * margin
        if self.tissue is None:
            tissue, covered = np.ones((side, side), np.uint8), side * side
        else:
            tissue, covered = inside(self.tissue, x0 - margin, y0 - margin, side)
        which = int(np.random.Philox(key=[self.seed, (row << 32) + column]).random_raw()) % VARIANTS
        if covered == 0:
            return self.from_library("glass", which % GLASS_VARIANTS)
        tumor, sick = inside(self.tumor, x0 - margin, y0 - margin, side)
        if self.mosaic and covered == side * side and sick in (0, side * side):
            return self.from_library("tumor" if sick else "normal", which)
        return self.painted(x0, y0, which if self.mosaic else -1, tissue, tumor)

    def from_library(self, kind: str, variant: int) -> tuple[bytes, Pixels]:
        found = self.library.get((kind, variant))
        if found is None:
            side = self.tile + 2 * self.grids.margin
            masks = np.full((2, side, side), kind != "glass", np.uint8)
            masks[1] = kind == "tumor"
            found = self.library[kind, variant] = self.painted(0, 0, variant, masks[0], masks[1])
        return found

    def painted(self, x0: int, y0: int, variant: int, tissue: Pixels, tumor: Pixels) -> tuple[bytes, Pixels]:
        rgb = painted(x0, y0, self.tile, self.mpp, self.grids, self.seed, variant, tissue, tumor, self.table, self.fibre)
        return encode(rgb, self.quality), halved(rgb)


@dataclass
class Band:
    """A row of tiles of a higher level, filled from the halved tiles of the level below."""

    level: int
    columns: int
    rows: int
    tile: int
    quality: int

    def __post_init__(self) -> None:
        self.pixels = np.full((self.tile, self.columns * self.tile, 3), 240, np.uint8)

    def put(self, column: int, row: int, half: Pixels) -> None:
        """Take the halved tile (column, row) of the level below."""
        side = self.tile // 2
        if row // 2 < self.rows and column // 2 < self.columns:
            self.pixels[row % 2 * side :][:side, column * side :][:, :side] = half

    def write(self, row: int, writer: PyramidWriter, following: Band | None, pool: ThreadPoolExecutor) -> None:
        """Write what is here as the level's row `row`, and hand it on, halved."""

        def made(column: int) -> tuple[bytes, Pixels]:
            rgb = np.ascontiguousarray(self.pixels[:, column * self.tile :][:, : self.tile])
            return encode(rgb, self.quality), halved(rgb)

        for column, (jpeg, half) in enumerate(pool.map(made, range(self.columns))):
            writer.write(self.level, column, row, jpeg)
            if following:
                following.put(column, row, half)
        self.pixels[:] = 240


def encode(rgb: Pixels, quality: int) -> bytes:
    """RGB (h, w, 3) uint8 as a JPEG stream, YCbCr 4:2:0."""
    return bytes(imagecodecs.jpeg8_encode(rgb, level=quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="420"))


def halved(rgb: Pixels) -> Pixels:
    """Means of 2 x 2 px."""
    h, w = rgb.shape[0] // 2, rgb.shape[1] // 2
    four = rgb.reshape(h, 2, w, 2, 3).astype(np.uint16)
    return ((four[:, 0, :, 0] + four[:, 0, :, 1] + four[:, 1, :, 0] + four[:, 1, :, 1] + 2) >> 2).astype(np.uint8)
