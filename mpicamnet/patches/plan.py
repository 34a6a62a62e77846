"""What is known of a slide before its pixels are read: size, tissue, tumour outlines, and how many windows each block has.

A plan is made by one rank and told to all, so it is small: the mask is packed, the outlines are WKB.
"""
from __future__ import annotations

import functools
import hashlib
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from ..config import Config
from ..errors import SlideError
from ..slides import (
    Resolution,
    SlideRecord,
    check_annotation,
    labels,
    open_record,
    read_annotation,
    resolve,
    tissue_fractions,
    tissue_mask,
    tumor_fractions,
)
from .grid import Grid, block_side

Outlines = shapely.Polygon | shapely.MultiPolygon


@dataclass(frozen=True)
class Candidates:
    """Patches that may be kept, in row order; x, y int64 (n,) target px, label int8, the fractions float32."""

    x: npt.NDArray[np.int64]
    y: npt.NDArray[np.int64]
    label: npt.NDArray[np.int8]
    tumor_fraction: npt.NDArray[np.float32]
    tissue_fraction: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.x)

    def take(self, picks: Any) -> Candidates:
        """The picked rows (a slice, indices or flags)."""
        return Candidates(self.x[picks], self.y[picks], self.label[picks], self.tumor_fraction[picks], self.tissue_fraction[picks])

    @staticmethod
    def join(parts: list[Candidates]) -> Candidates:
        """All rows of all parts; none where there are no parts."""
        kinds = {"x": np.int64, "y": np.int64, "label": np.int8, "tumor_fraction": np.float32, "tissue_fraction": np.float32}
        return Candidates(*(np.concatenate([np.zeros(0, kind), *(getattr(p, name) for p in parts)]).astype(kind) for name, kind in kinds.items()))


@dataclass(frozen=True)
class SlidePlan:
    """One slide, ready to be cut up. `windows` int32 (blocks,): dense windows on tissue in each block. `places`: px of the mask that are tissue."""

    record: SlideRecord
    index: int
    width: int
    height: int
    mpp: float | None
    vendor: str
    resolution: Resolution
    grid: Grid
    packed_mask: bytes
    mask_shape: tuple[int, int]
    mask_downsample: float
    outlines: bytes
    annotated: bool
    places: int
    windows: npt.NDArray[np.int32]

    @property
    def side(self) -> float:
        """Side of a patch, level-0 px."""
        return self.grid.patch * self.grid.downsample


def plan_slide(record: SlideRecord, index: int, config: Config, stride: int) -> SlidePlan:
    """Open a slide, find its tissue, read its outlines, count its windows at `stride` (target px); raises SlideError where it cannot be used."""
    data = config.data
    with open_record(record, data.reader) as slide:
        resolution = resolve(slide, data.level, data.mpp)
        grid = Grid(int(slide.width / resolution.downsample + 1e-6), int(slide.height / resolution.downsample + 1e-6), resolution.downsample,
                    data.patch, stride, block_side(config.extract.block, stride))
        if grid.blocks == 0:
            raise SlideError(f"a patch of {data.patch} px is larger than the slide ({grid.width} x {grid.height} px at this resolution)",
                             record.name, "lower `data.patch`, or choose a finer level")
        outlines: Outlines = shapely.MultiPolygon()
        if record.annotation is not None:
            outlines = read_annotation(record.annotation)
            check_annotation(outlines, slide)
        mask, mask_downsample = tissue_mask(slide, config.tissue)
        windows = np.array([len(_windows_on_tissue(mask, mask_downsample, grid, config, b)[0]) for b in range(grid.blocks)], np.int32)
        return SlidePlan(record, index, slide.width, slide.height, slide.mpp, slide.vendor, resolution, grid,
                         zlib.compress(np.packbits(mask).tobytes(), 1), mask.shape, mask_downsample, shapely.to_wkb(outlines),
                         not outlines.is_empty, int(mask.sum()), windows)


def digest_of(plans: dict[int, SlidePlan]) -> str:
    """Hex SHA-256 over what decides the blocks of all slides and what is in them: a rerun may go on only where nothing of it has changed."""
    whole = hashlib.sha256()
    for i, p in plans.items():
        head = f"{i} {p.grid} {p.resolution} {p.mask_shape} {p.mask_downsample}\n"
        for part in (head.encode(), zlib.decompress(p.packed_mask), p.outlines, p.windows.astype("<i4").tobytes()):
            whole.update(part)
    return whole.hexdigest()


def window_candidates(plan: SlidePlan, config: Config, block: int) -> Candidates:
    """The dense windows of one block that stand on tissue, by y, then x."""
    return candidates_at(plan, config, *_windows_on_tissue(tissue_of(plan), plan.mask_downsample, plan.grid, config, block))


def _windows_on_tissue(mask: npt.NDArray[np.bool_], downsample: float, grid: Grid, config: Config, block: int) \
        -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """x, y (target px) and tissue fraction of a block's windows on tissue. Looks at the block's piece of the mask: sums over all of a large one are slow."""
    x, y = grid.windows(block)
    x0, y0, side = grid.level0(x), grid.level0(y), grid.patch * grid.downsample
    if len(x) == 0:
        return x, y, np.zeros(0, np.float32)
    left, top = int(x0.min() // downsample), int(y0.min() // downsample)
    below, right = int((y0.max() + side) // downsample) + 2, int((x0.max() + side) // downsample) + 2
    piece = mask[top:below, left:right]
    if config.tissue.min_fraction > 0 and not piece.any():
        return x[:0], y[:0], np.zeros(0, np.float32)
    if below <= mask.shape[0] and right <= mask.shape[1] and piece.all():
        return x, y, np.ones(len(x), np.float32)
    fraction = tissue_fractions(piece, downsample, x0 - left * downsample, y0 - top * downsample, side)  # type: ignore[arg-type]
    on_tissue = fraction >= config.tissue.min_fraction
    return x[on_tissue], y[on_tissue], fraction[on_tissue]


def candidates_at(plan: SlidePlan, config: Config, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64],
                  tissue_fraction: npt.NDArray[np.float32]) -> Candidates:
    """Patches at x, y (target px) with their share of tumour and label."""
    tumor = tumor_fractions(outlines_of(plan), plan.grid.level0(x), plan.grid.level0(y), plan.side)
    return Candidates(x, y, labels(tumor, plan.record.background, config.label), tumor, tissue_fraction)


def tissue_of(plan: SlidePlan) -> npt.NDArray[np.bool_]:
    """The tissue mask, bool (h, w) at `plan.mask_downsample`."""
    return _unpack(plan.packed_mask, plan.mask_shape)


@functools.lru_cache(maxsize=2)
def _unpack(packed: bytes, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(zlib.decompress(packed), np.uint8), count=shape[0] * shape[1]).reshape(shape).astype(bool)


def outlines_of(plan: SlidePlan) -> Outlines:
    return _outlines(plan.outlines)


@functools.lru_cache(maxsize=4)
def _outlines(wkb: bytes) -> Outlines:
    shape = shapely.from_wkb(wkb)
    assert isinstance(shape, (shapely.Polygon, shapely.MultiPolygon))
    return shape
