"""What tissue looks like: concentrations of haematoxylin and eosin in a tile, and the light that comes through."""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .cells import LARGE_UM, MARGIN_UM, SMALL_UM, place_cells
from .noise import S40, UNIT, A, B, C, add_noise, kernel, mixed
from .stain import MOST_E, MOST_H, STEPS_E, STEPS_H

MADE_OF = ("cells.py", "noise.py", "stain.py", "f1773c61de03")
TO_H, TO_E = (STEPS_H - 1) / MOST_H, (STEPS_E - 1) / MOST_E
# Layers of noise, and the size of their grids in um: septa and trabeculae, follicles, the mottling of cytoplasm, clefts between cells,
# the waves of fibres, grain, chromatin.
SEPTA, SEPTA_FINE, FOLLICLE, FOLLICLE_FINE, MOTTLE, CLEFT, WAVE, GRAIN, CHROMATIN = range(9)
SCALE_UM = (150.0, 40.0, 220.0, 60.0, 18.0, 9.0, 50.0, 1.5, 2.6)
FIBRE_UM = 5.0  # from strand to strand
PIXEL = 22  # layer of the camera's noise
GLASS_NOISE, TISSUE_NOISE = 1.6, 2.0  # its width, grey levels


@dataclass(frozen=True)
class Grids:
    """How many nodes of each layer, and places for small and large cells, go on one period (px)."""

    period: int
    nodes: tuple[int, ...]
    small: int
    large: int
    margin: int  # px that a cell can reach into a tile from outside

    @classmethod
    def of(cls, period: int, mpp: float) -> Grids:
        def per(um: float) -> int:
            return min(max(1, round(period * mpp / um)), period)

        return cls(period, tuple(per(um) for um in SCALE_UM), per(SMALL_UM), per(LARGE_UM), math.ceil(MARGIN_UM / mpp))


def painted(
    x0: int,
    y0: int,
    side: int,
    mpp: float,
    grids: Grids,
    seed: int,
    variant: int,
    tissue: npt.NDArray[np.uint8],
    tumor: npt.NDArray[np.uint8],
    table: npt.NDArray[np.float32],
    fibre: float,
) -> npt.NDArray[np.uint8]:
    """The tile (side, side, 3) uint8 RGB whose first px lies at level-0 (x0, y0).

    `tissue` and `tumor` are masks (side + 2 margin, side + 2 margin) uint8 about it; `table` is the stain's; `fibre` the direction of
    fibres, radians; `variant`: see `noise`.
    """
    rgb = np.empty((side, side, 3), np.uint8)
    _draw(rgb, x0, y0, mpp, grids.period, grids.nodes, grids.small, grids.large, seed, variant, tissue, tumor, grids.margin, table, fibre)
    return rgb


@kernel
def _field(t, seed, layer, variant, x0, y0, n, period):
    out = np.zeros((t, t), np.float32)
    add_noise(out, 1.0, seed, layer, variant, x0, y0, n, period)
    return out


@kernel
def _two_fields(t, share, seed, layer, finer, variant, x0, y0, nodes, period):
    out = np.zeros((t, t), np.float32)
    add_noise(out, share, seed, layer, variant, x0, y0, nodes[layer], period)
    add_noise(out, 1 - share, seed, finer, variant, x0, y0, nodes[finer], period)
    return out


@kernel
def _draw(rgb, x0, y0, mpp, period, nodes, n_small, n_large, seed, variant, tissue, tumor, margin, table, fibre):
    t = rgb.shape[0]
    septa = _two_fields(t, 0.75, seed, SEPTA, SEPTA_FINE, variant, x0, y0, nodes, period)
    follicle = _two_fields(t, 0.75, seed, FOLLICLE, FOLLICLE_FINE, variant, x0, y0, nodes, period)
    chromatin = _two_fields(t, 0.65, seed, CHROMATIN, GRAIN, variant, x0, y0, nodes, period)
    mottle = _field(t, seed, MOTTLE, variant, x0, y0, nodes[MOTTLE], period)
    cleft = _field(t, seed, CLEFT, variant, x0, y0, nodes[CLEFT], period)
    wave = _field(t, seed, WAVE, variant, x0, y0, nodes[WAVE], period)
    grain = _field(t, seed, GRAIN, variant, x0, y0, nodes[GRAIN], period)

    nuclei = np.zeros((t, t), np.float32)
    near = np.full((t, t), 9, np.float32)
    second = np.full((t, t), 9, np.float32)
    for size in range(2):
        place_cells(
            nuclei,
            near,
            second,
            cleft,
            chromatin,
            x0,
            y0,
            mpp,
            period,
            size,
            n_large if size else n_small,
            (SEPTA, nodes[SEPTA], nodes[SEPTA_FINE]),
            (FOLLICLE, nodes[FOLLICLE], nodes[FOLLICLE_FINE]),
            seed,
            variant,
            tissue,
            tumor,
            margin,
            fibre,
        )

    # Whole strands per period, so that a mosaic's squares fit.
    strands = period * mpp / FIBRE_UM
    across_x, across_y = round(-math.sin(fibre) * strands) / period, round(math.cos(fibre) * strands) / period
    ragged = 3.0 / mpp
    for y in range(t):
        for x in range(t):
            m, c, g = mottle[y, x], cleft[y, x], grain[y, x]
            push = int((m + c - 1) * ragged)  # outlines follow cells, not the ruler
            ym, xm = y + margin + push, x + margin - push
            bits = mixed(np.uint64(seed) + np.uint64(PIXEL) * A + np.uint64(x0 + x) * B + np.uint64(y0 + y) * C)
            speck = np.float32(bits >> S40) * UNIT - 0.5
            if tissue[ym, xm] == 0:
                for k in range(3):
                    rgb[y, x, k] = np.uint8(table[0, 0, k] + speck * GLASS_NOISE + 0.5)
                continue
            gap = max(0.0, 1 - abs(c - 0.5) * 14) * min(max((m - 0.42) * 7, 0.0), 1.0)
            if tumor[ym, xm]:
                cell = min(max((2.5 - near[y, x]) * 1.5, 0.0), 1.0)
                wall = max(0.0, 1 - (second[y, x] - near[y, x]) * 5) * cell
                cell *= 1 - 0.75 * wall * m
                eosin = 0.12 + cell * (0.20 + 0.45 * m + 0.35 * (chromatin[y, x] - 0.5))
                haem = 0.03 + cell * (0.08 + 0.30 * m * follicle[y, x] + 0.15 * chromatin[y, x])
                gap *= 0.25
            else:
                eosin = 0.30 + 0.35 * m + 0.20 * (g - 0.5) + 0.15 * (chromatin[y, x] - 0.5)
                haem = 0.06 + 0.16 * follicle[y, x] + 0.12 * g
            turn = (x0 + x) * across_x + (y0 + y) * across_y + 3 * wave[y, x] + 0.8 * m + 0.35 * c
            thin = turn * 2.3 + 1.3 * m + 0.5 * chromatin[y, x]
            strand = (
                (0.25 + 0.75 * m) * _smooth(abs(2 * (turn - math.floor(turn)) - 1))
                + 0.35 * abs(2 * (thin - math.floor(thin)) - 1)
                + 0.25 * c
            )
            collagen = (0.30 + 0.55 * strand + 0.2 * (g - 0.5) + 0.15 * m) * (1 - max(0.0, 0.30 - strand) * 4)
            stroma = min(max((0.065 - abs(septa[y, x] - 0.5)) * 40, 0.0), 1.0)
            dark = nuclei[y, x]
            eosin = eosin * (1 - 0.85 * gap) * (1 - stroma) + collagen * stroma + 0.18 * min(dark, 1.0)
            haem = haem * (1 - 0.85 * gap) * (1 - stroma) + 0.04 * stroma
            haem = max(haem, dark) + 0.3 * min(haem, dark)
            a, b = min(max(int(haem * TO_H), 0), STEPS_H - 1), min(max(int(eosin * TO_E), 0), STEPS_E - 1)
            for k in range(3):
                rgb[y, x, k] = np.uint8(min(max(table[a, b, k] + speck * TISSUE_NOISE + 0.5, 0.0), 255.0))


@kernel
def _smooth(f):
    return f * f * (3 - 2 * f)
