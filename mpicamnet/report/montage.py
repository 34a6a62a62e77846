"""Which tiles the montage shows: of each outcome those that the network was surest of, from many slides, none over another."""
from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from ..explain.chosen import outcomes
from .source import SlideTable

EACH = 8  # tiles of each outcome
ORDER = ("TP", "FN", "FP", "TN")


@dataclass(frozen=True)
class Tile:
    """A tile of the montage: its row of predictions.h5, its slide's place in `slides/`, its corner in level-0 px, its probability of tumour."""

    row: int
    slide: int
    x: int
    y: int
    prob: float
    outcome: str


def montage_tiles(path: Path, table: SlideTable, threshold: float) -> list[Tile]:
    """At most `EACH` tiles of each outcome, by falling distance from `threshold`; of a slide only as many as give all slides room, none overlapping."""
    found: dict[str, list[tuple[float, Tile]]] = {k: [] for k in ORDER}
    with h5py.File(path, "r") as f:
        patch = float(f.attrs["patch"])
        for slide in range(len(table)):
            rows = slice(int(table.first[slide]), int(table.first[slide + 1]))
            xy, prob = f["xy"][rows], f["prob"][rows]
            kind = outcomes(f["label"][rows], prob, threshold)
            distance = np.abs(prob.astype(np.float64) - threshold)
            side = patch * float(table.columns["downsample"][slide])
            for outcome in ORDER:
                at = np.flatnonzero(kind == outcome)
                taken: list[int] = []
                for i in at[np.argsort(-distance[at], kind="stable")].tolist():
                    if all(np.abs(xy[i] - xy[j]).max() >= side for j in taken):
                        taken.append(i)
                        x, y = (int(v) for v in xy[i])
                        found[outcome].append((-float(distance[i]), Tile(rows.start + i, slide, x, y, float(prob[i]), outcome)))
                    if len(taken) == EACH:
                        break
    return [tile for outcome in ORDER for tile in _spread(found[outcome])]


def _spread(tiles: list[tuple[float, Tile]]) -> list[Tile]:
    """`EACH` of the tiles, surest first, at most an even share of each slide as long as others are left."""
    slides = len({t.slide for _, t in tiles})
    share = -(-EACH // slides) if slides else 0
    ordered = [t for _, t in sorted(tiles, key=lambda item: (item[0], item[1].row))]
    count: dict[int, int] = {}
    first: list[Tile] = []
    rest: list[Tile] = []
    for t in ordered:
        count[t.slide] = count.get(t.slide, 0) + 1
        (first if count[t.slide] <= share else rest).append(t)
    return (first + rest)[:EACH]
