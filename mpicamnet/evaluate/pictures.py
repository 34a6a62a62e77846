"""The curves of evaluation as PNG: ROC, precision and recall, FROC, calibration, each with its 95 % band."""
from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .bootstrap import Replicate, band
from .curves import FALSE_SHARES, RECALLS, mean_probabilities
from .froc import PLACES, RATES
from .levels import Levels
from .result import Replicates

BLUE, GREY, DARK = "#2f6690", "0.6", "#b03a2e"
NAMES = ("roc.png", "pr.png", "froc.png", "calibration.png")


def write_pictures(folder: Path, levels: Levels, replicates: Replicates, evaluation: dict[str, Any]) -> list[str]:
    """Draw the curves that exist, each whole under its name; returns their names."""
    from matplotlib.figure import Figure  # by the one rank that draws: many ranks that load it would crowd a shared file system

    tile, lesion = evaluation["tile"], evaluation["lesion"]
    drawn = []
    draw: Callable[[Any], None]
    for name, there, draw in (
            ("roc.png", tile["roc_auc"]["value"] is not None, lambda axes: _roc(axes, levels, replicates["tile "], tile)),
            ("pr.png", tile["pr_auc"]["value"] is not None, lambda axes: _pr(axes, levels, replicates["tile "], tile)),
            ("froc.png", lesion["froc"]["value"] is not None, lambda axes: _froc(axes, levels, replicates["lesion"], lesion)),
            ("calibration.png", tile["n"] > 0, lambda axes: _calibration(axes, levels, replicates["tile "], tile))):
        if there:
            figure = Figure(figsize=(6.4, 5.6), dpi=120, layout="constrained")
            draw(figure.subplots())
            partial = folder / (name + ".partial")
            figure.savefig(partial, format="png")
            partial.replace(folder / name)
            drawn.append(name)
    return drawn


def _words(measure: dict[str, Any]) -> str:
    between = f" [{measure['low']:.3f}, {measure['high']:.3f}]" if measure.get("low") is not None else ""
    return f"{measure['value']:.3f}{between}"


def _tiles(tile: dict[str, Any]) -> str:
    return f"{tile['n']:,} tiles ({tile['positives']:,} tumour) of {tile['slides']} slide{'s' * (tile['slides'] != 1)}"


def _band(axes: Any, x: Any, replicates: Sequence[Replicate], name: str) -> None:
    edges = band(replicates, name)
    if edges is not None:
        axes.fill_between(x, *edges, color=BLUE, alpha=0.2, linewidth=0, label="95 % band, slides resampled")


def _finish(axes: Any, title: str, where: str) -> None:
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.3)
    axes.legend(loc=where, frameon=False, fontsize=9)


def _roc(axes: Any, levels: Levels, replicates: Sequence[Replicate], tile: dict[str, Any]) -> None:
    sample = levels.tiles[""]
    true, false = sample.ranking.counts()
    _band(axes, FALSE_SHARES, replicates, "roc")
    axes.plot(false / false[-1], true / true[-1], color=BLUE, label=f"AUC {_words(tile['roc_auc'])}")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="chance")
    axes.plot([1 - tile["specificity"]["value"]], [tile["sensitivity"]["value"]], "o", color=DARK, label=f"threshold {sample.threshold:g}")
    axes.set(xlabel="1 - specificity (share of normal tiles called tumour)", ylabel="sensitivity (share of tumour tiles called tumour)",
             xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    _finish(axes, f"ROC, tile level\n{_tiles(tile)}", "lower right")


def _pr(axes: Any, levels: Levels, replicates: Sequence[Replicate], tile: dict[str, Any]) -> None:
    sample = levels.tiles[""]
    table = sample.confusion
    _band(axes, RECALLS, replicates, "pr")
    true, false = sample.ranking.counts()
    axes.plot(true[1:] / true[-1], true[1:] / (true[1:] + false[1:]), color=BLUE, label=f"average precision {_words(tile['pr_auc'])}")
    prevalence = tile["positives"] / tile["n"]
    axes.axhline(prevalence, color=GREY, linestyle=":", label=f"chance ({prevalence:.2f})")
    if table.tp + table.fp:
        axes.plot([tile["sensitivity"]["value"]], [table.tp / (table.tp + table.fp)], "o", color=DARK, label=f"threshold {sample.threshold:g}")
    axes.set(xlabel="recall (share of tumour tiles called tumour)", ylabel="precision (share of called tiles that are tumour)",
             xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
    _finish(axes, f"Precision and recall, tile level\n{_tiles(tile)}", "lower left")


def _froc(axes: Any, levels: Levels, replicates: Sequence[Replicate], lesion: dict[str, Any]) -> None:
    curve = levels.lesion.curve()
    _band(axes, PLACES, replicates, "froc")
    axes.plot(PLACES, np.interp(PLACES, curve.false_positives, curve.sensitivity), color=BLUE, label=f"FROC score {_words(lesion['froc'])}")
    rates = list(RATES.values())
    axes.plot(rates, [m["value"] for m in lesion["sensitivity_at"].values()], "o", color=DARK, label="places that the score is the mean of")
    axes.set_xscale("log", base=2)
    axes.set_xticks([0.125, *rates, 16], ["1/8", "1/4", "1/2", "1", "2", "4", "8", "16"])
    axes.minorticks_off()
    axes.set(xlabel="false positives per slide, mean over all slides (log scale)", ylabel="sensitivity (share of lesions found)", xlim=(0.125, 16),
             ylim=(-0.01, 1.03))
    small = lesion["isolated_tumor_cells"]
    also = f"; {small} of isolated tumour cells not counted" if small else ""
    one = lesion["lesions"] == 1
    _finish(axes, f"FROC, lesion level\n{lesion['lesions']} lesion{'s' * (not one)} on {lesion['slides']} slides{also}", "lower right")


def _calibration(axes: Any, levels: Levels, replicates: Sequence[Replicate], tile: dict[str, Any]) -> None:
    sample = levels.tiles[""]
    mean, rows = mean_probabilities(sample.tiles.prob)
    share = sample.curves()["calibration"]
    there = rows > 0
    edges = band(replicates, "calibration")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfect calibration")
    if edges is not None:
        low, high = (np.nan_to_num(share - edges[0]), np.nan_to_num(edges[1] - share))
        axes.errorbar(mean[there], share[there], yerr=np.maximum(0, np.stack((low, high)))[:, there], fmt="none", ecolor=BLUE, alpha=0.5, capsize=3,
                      label="95 % interval, slides resampled")
    axes.plot(mean[there], share[there], "o-", color=BLUE, label=f"calibration error (ECE) {_words(tile['ece'])}")
    weight = axes.twinx()
    weight.bar((np.arange(len(rows)) + 0.5) / len(rows), rows / rows.sum(), width=0.9 / len(rows), color=GREY, alpha=0.3, zorder=0)
    weight.set(ylabel="share of tiles in the bin (bars)", ylim=(0, max(1.0, 1.05 * float((rows / rows.sum()).max()))))
    axes.set_zorder(weight.get_zorder() + 1)
    axes.patch.set_visible(False)
    axes.set(xlabel="predicted probability of tumour, mean in the bin", ylabel="share of tumour tiles in the bin", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    _finish(axes, f"Calibration, tile level\n{_tiles(tile)}", "upper left")
