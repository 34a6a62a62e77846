"""Pictures of concepts: how well each layer tells them, how the output goes along them, and what low and high values look like."""
from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .concepts import Concept
from .rcv import Relevance, Vectors

CALLED, NOT_CALLED, CHANCE = "#aa3377", "#bbbbbb", "#4477aa"


def write_r2(path: Path, found: Vectors) -> None:
    """R2 on held-out patches by layer and concept, those called relevant marked; PNG, whole under its name."""
    from matplotlib.figure import Figure

    layers, concepts, at = _table(found)
    r2 = np.array([[at[layer, c].r2 if (layer, c) in at else np.nan for layer in layers] for c in concepts])
    figure = Figure(figsize=(2.8 + 1.0 * len(layers), 1.6 + 0.3 * len(concepts)), dpi=120, layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(r2, vmin=0, vmax=1, cmap="viridis", aspect="auto")
    for (i, j), value in np.ndenumerate(r2):
        if np.isfinite(value):
            mark = "*" if at[layers[j], concepts[i]].relevant else ""
            axes.text(j, i, f"{value:.2f}{mark}", ha="center", va="center", fontsize=8, color="white" if value < 0.6 else "black")
    axes.set_xticks(range(len(layers)), [_short(x) for x in layers], fontsize=8, rotation=30, ha="right")
    axes.set_yticks(range(len(concepts)), concepts, fontsize=8)
    axes.set_title("R² on held-out patches (below 0: worse than the mean)\n* the output goes along it, after correction", fontsize=9)
    figure.colorbar(image, ax=axes, shrink=0.6)
    _save(figure, path)


def write_relevance(path: Path, found: Vectors) -> None:
    """TCAV and Br by layer and concept, with the band that 95 % of chance values lie in; PNG, whole under its name."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    layers, concepts, at = _table(found)
    figure = Figure(figsize=(2.2 + 2.4 * len(layers), 2.2 + 0.42 * len(concepts)), dpi=120, layout="constrained")
    grid = figure.subplots(2, len(layers), squeeze=False, sharey=True)
    for j, layer in enumerate(layers):
        rows = [at.get((layer, c)) for c in concepts]
        _bars(grid[0, j], rows, "TCAV", lambda r: (r.tcav, r.tcav_band), 0.5)
        grid[0, j].set(xlim=(-0.03, 1.03), title=_short(layer))
        _bars(grid[1, j], rows, "Br", lambda r: (r.br, r.br_band), 0.0)
        if all(r is None or r.br is None for r in rows):
            grid[1, j].text(0.5, 0.5, "no value: the output\nfollows this layer\nlinearly, std(S) = 0", transform=grid[1, j].transAxes, ha="center",
                            va="center", fontsize=8)
            grid[1, j].set_xticks([])
    for axes in grid[:, 0]:
        axes.set_yticks(range(len(concepts)), concepts, fontsize=8)
        axes.set_ylim(len(concepts) - 0.4, -0.6)
    handles = [Patch(color=CALLED, label="called relevant"), Patch(color=NOT_CALLED, label="not called"),
               Patch(color=CHANCE, alpha=0.35, label="95 % of chance values")]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    _save(figure, path)


def extreme_rows(values: npt.NDArray[np.float64], each: int) -> npt.NDArray[np.int64]:
    """Rows of the `each` lowest and the `each` highest of values (n,), int64 (2 each,) rising; those without a value left out; ties by row."""
    known = np.flatnonzero(np.isfinite(values))
    order = known[np.argsort(values[known], kind="stable")]
    each = min(each, len(order) // 2)
    return np.concatenate([order[:each], order[len(order) - each:]])


def write_extremes(path: Path, concepts: tuple[Concept, ...], units: tuple[str, ...], values: npt.NDArray[np.float64],
                   px_of: Callable[[int], npt.NDArray[np.uint8]], each: int = 5) -> None:
    """The patches of the lowest and highest value of each concept (n, k), a line per concept; PNG, whole under its name.

    `px_of(row)` gives a patch, uint8 (p, p, 3).
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 + 1.05 * 2 * each, 1.22 * len(concepts) + 0.5), dpi=100, layout="constrained")
    grid = figure.subplots(len(concepts), 2 * each + 1, squeeze=False, gridspec_kw={"width_ratios": [2.0, *[1.0] * (2 * each)]})
    for axes in grid.flat:
        axes.axis("off")
    for i, (concept, unit, v) in enumerate(zip(concepts, units, values.T, strict=True)):
        grid[i, 0].text(1.0, 0.5, concept.name.replace("_", " ") + ("" if unit == "1" else f"\n{unit}"), ha="right", va="center", fontsize=9,
                        transform=grid[i, 0].transAxes)
        rows = extreme_rows(v, each)
        places = [*range(1, len(rows) // 2 + 1), *range(2 * each + 1 - len(rows) // 2, 2 * each + 1)]
        for place, row in zip(places, rows, strict=True):
            grid[i, place].imshow(px_of(int(row)))
            grid[i, place].set_title(f"{v[row]:.3g}", fontsize=7, pad=1.5, color="#225588" if place <= each else "#992244")
    figure.suptitle("patches of the lowest (left) and the highest value (right)", fontsize=10)
    _save(figure, path)


def _table(found: Vectors) -> tuple[list[str], list[str], dict[tuple[str, str], Relevance]]:
    """Layers and concepts in the order they were found, and the row of each pair."""
    at = {(r.layer, r.concept): r for r in found.rows}
    return list(dict.fromkeys(r.layer for r in found.rows)), list(dict.fromkeys(r.concept for r in found.rows)), at


def _bars(axes: Any, rows: list[Relevance | None], name: str, of: Callable[[Relevance], tuple[float | None, Any]], middle: float) -> None:
    for i, row in enumerate(rows):
        value, chance = of(row) if row is not None else (None, None)
        if row is None or value is None:
            continue
        axes.barh(i, value - middle, left=middle, height=0.5, color=CALLED if row.relevant else NOT_CALLED, zorder=2)
        if chance is not None:
            axes.barh(i, chance[1] - chance[0], left=chance[0], height=0.86, color=CHANCE, edgecolor=CHANCE, linewidth=1.5, alpha=0.35,
                      zorder=1)
    axes.axvline(middle, color="0.3", linewidth=0.8, zorder=3)
    axes.set_xlabel(name, fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(axis="x", alpha=0.3)


def _short(layer: str) -> str:
    return layer.rpartition("/")[2]


def _save(figure: Any, path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    figure.savefig(partial, format="png")
    partial.replace(path)
