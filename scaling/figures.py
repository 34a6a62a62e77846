"""The report's pictures: points for repeats, lines for medians and laws, a dashed ideal."""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.ticker import FuncFormatter

from . import fits
from .derived import Point, named_phases
from .simulation import Outcome
from .transfer import Transfer, laws

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#555555")  # Okabe and Ito: told apart by the colour-blind too


def scaling(path: Path, title: str, curves: Mapping[str, Sequence[Point]], weak: bool = False) -> Path:
    """Seconds against ranks, log-log; ideal: half the time on twice the ranks, or the same time where the work grows too (weak)."""
    figure, axes = _axes(title, "ranks", "seconds")
    for colour, (name, points) in zip(COLOURS, curves.items(), strict=False):
        ranks = [p.ranks for p in points]
        axes.plot(ranks, [p.seconds for p in points], "-", color=colour, label=name)
        axes.plot([p.ranks for p in points for _ in p.repeats], [s for p in points for s in p.repeats], "o", color=colour, alpha=0.6, markersize=5)
        axes.plot(ranks, [points[0].seconds * (1 if weak else points[0].ranks / r) for r in ranks], "--", color=colour, linewidth=1, alpha=0.7,
                  label=None if len(curves) > 1 and name != next(iter(curves)) else "ideal")
    _log(axes, sorted({p.ranks for c in curves.values() for p in c}))
    return _saved(figure, axes, path)


def phases(path: Path, title: str, points: Sequence[Point]) -> Path:
    """Seconds of the mean rank by phase, a bar per number of ranks."""
    figure, axes = _axes(title, "ranks", "seconds of the mean rank")
    bottom = np.zeros(len(points))
    for colour, name in zip(COLOURS, ("open", "decode", "filter", "exchange", "write"), strict=False):
        seconds = np.array([named_phases(p.phases)[name] for p in points])
        axes.bar([str(p.ranks) for p in points], seconds, bottom=bottom, color=colour, label=name, width=0.6)
        bottom += seconds
    return _saved(figure, axes, path)


def nodes(path: Path, title: str, curves: Mapping[str, Sequence[tuple[int, Outcome]]], patches: int) -> Path:
    """Patches per second against nodes, log-log, with the ideal line and the universal law of each."""
    figure, axes = _axes(title, "nodes", "patches per second")
    for colour, (name, found) in zip(COLOURS, curves.items(), strict=False):
        n = np.array([k for k, _ in found], float)
        rates = patches / np.array([o.seconds for _, o in found])
        axes.plot(n, rates, "o-", color=colour, label=f"{name}, predicted")
        axes.plot(n, rates[0] * n / n[0], "--", color=colour, linewidth=1, alpha=0.7, label="ideal" if name == next(iter(curves)) else None)
        if len(n) > 2:
            fine = np.geomspace(n[0], n[-1], 100)
            axes.plot(fine, fits.universal(n.tolist(), rates.tolist()).rate(fine), ":", color=colour, linewidth=1.5, label=f"{name}, universal law")
    _log(axes, sorted({n for f in curves.values() for n, _ in f}))
    return _saved(figure, axes, path)


def against(path: Path, title: str, x_label: str, curves: Mapping[str, Sequence[tuple[float, Sequence[float]]]], y_label: str = "seconds") -> Path:
    """Repeats as points and the medians as a line against a quantity."""
    figure, axes = _axes(title, x_label, y_label)
    for colour, (name, found) in zip(COLOURS, curves.items(), strict=False):
        axes.plot([x for x, _ in found], [float(np.median(y)) for _, y in found], "-", color=colour, label=name)
        axes.plot([x for x, y in found for _ in y], [s for _, y in found for s in y], "o", color=colour, alpha=0.6, markersize=5)
    axes.set_ylim(bottom=0)
    axes.set_xlim(left=0)
    return _saved(figure, axes, path)


def bars(path: Path, title: str, x_label: str, groups: Mapping[str, Mapping[str, float]], y_label: str = "seconds") -> Path:
    """Bars side by side: groups along x, a colour for each name in them."""
    figure, axes = _axes(title, x_label, y_label)
    names = list(dict.fromkeys(n for g in groups.values() for n in g))
    for i, (colour, name) in enumerate(zip(COLOURS, names, strict=False)):
        places = [k + (i - (len(names) - 1) / 2) * 0.8 / len(names) for k, g in enumerate(groups.values()) if name in g]
        axes.bar(places, [g[name] for g in groups.values() if name in g], 0.75 / len(names), color=colour, label=name)
    axes.set_xticks(range(len(groups)), list(groups))
    return _saved(figure, axes, path)


def transfers(path: Path, found: Sequence[Transfer]) -> Path:
    """Seconds against size, log-log, with the line setup + size / rate of each way."""
    figure, axes = _axes(f"Transfer between two hosts, {found[0].mbit} Mbit/s (Table 5, Figure 8)", "MB", "seconds")
    size = np.geomspace(min(t.megabytes for t in found), max(t.megabytes for t in found), 100)
    for colour, (way, (setup, rate)) in zip(COLOURS, laws(found).items(), strict=False):
        mine = [t for t in found if t.way == way]
        axes.plot([t.megabytes for t in mine], [t.seconds for t in mine], "o", color=colour, alpha=0.6, markersize=5)
        axes.plot(size, setup + size / rate, "-", color=colour, label=way)
    axes.plot(size, size * 8 / found[0].mbit, "k--", linewidth=1, label="the link")
    _log(axes, sorted({t.megabytes for t in found}))
    return _saved(figure, axes, path)


def _axes(title: str, x: str, y: str) -> tuple[Any, Any]:
    figure, axes = plt.subplots(figsize=(7, 4.6), layout="constrained")
    axes.set(title=title, xlabel=x, ylabel=y)
    axes.grid(True, which="major", alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def _log(axes: Any, ticks: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(ticks, [f"{t:,}" for t in ticks])
    axes.minorticks_off()
    if axes.get_ylim()[1] / axes.get_ylim()[0] < 30:  # decades alone would leave an axis of one number
        axes.yaxis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1, 2, 5), numticks=20))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:,.10g}"))


def _saved(figure: Any, axes: Any, path: Path) -> Path:
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)
    plt.close(figure)
    return path
