"""The panel of one patch: what it is, where the network looks by each method, and where on its slide it lies."""
from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from ..infer.picture import round_length, thumbnail
from ..slides import open_slide
from .attributions import Lime
from .chosen import OUTCOMES, Chosen
from .class_maps import CALLED
from .lime_maps import Superpixels, strongest

CLASSES = {1: "tumour", 0: "normal", -1: "unknown"}
STRONGEST = 5  # superpixels that are outlined
FLAT = 1e-3  # LIME weights below this move no probability that anybody reads: the network is too certain to be shaken
SIGNED, POSITIVE = "RdBu_r", "inferno"


@dataclass(frozen=True)
class Place:
    """Where a patch lies: `thumbnail` RGB of its slide of `width` x `height` level-0 px; `side` of the patch in these; `mpp` of the patch, um
    per px, None where unknown."""

    thumbnail: npt.NDArray[np.uint8]
    width: int
    height: int
    side: float
    mpp: float | None


@functools.lru_cache(maxsize=2)  # patches come slide by slide
def slide_view(path: str, reader: str, mpp: float | None) -> tuple[npt.NDArray[np.uint8], int, int]:
    """A slide's thumbnail, and its size, level-0 px."""
    with open_slide(path, reader, mpp) as slide:
        return thumbnail(slide, 500), slide.width, slide.height


def write_panel(path: Path, tile: Chosen, px: npt.NDArray[np.uint8], maps: dict[str, npt.NDArray[np.float32]],
                lime: tuple[Superpixels, Lime] | None, place: Place) -> None:
    """Draw a patch's panel into a PNG, whole under its name.

    `px` uint8 (p, p, 3); `maps`: by method, (p, p): cam in units of the logit, the others from 0 to 1.
    """
    cells = 2 + len(maps) + (lime is not None)
    columns = -(-cells // 2) if cells > 3 else cells
    rows = -(-cells // columns)
    figure = Figure(figsize=(3.5 * columns + 0.4, 3.7 * rows + 0.9), dpi=110, layout="constrained")
    axes = list(figure.subplots(rows, columns, squeeze=False).ravel())
    for free in axes:
        free.set(xticks=[], yticks=[])
        free.set_axis_off()
    left = iter(axes)
    _patch(next(left), px, place)
    for method, values in maps.items():
        _map(figure, next(left), px, CALLED[method], values, signed=method == "cam")
    if lime is not None:
        _lime(figure, next(left), px, *lime)
    _slide(next(left), tile, place)
    called = "" if tile.why == "named" else f", {tile.why} of its slide"
    figure.suptitle(f"{tile.name}   x {tile.x:,}  y {tile.y:,}\nprobability of tumour {tile.prob:.3f}; true label: {CLASSES[tile.label]}; "
                    f"{OUTCOMES[tile.outcome]}{called}", fontsize=11)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    figure.savefig(partial, format="png")
    partial.replace(path)


def _patch(axes: Any, px: npt.NDArray[np.uint8], place: Place) -> None:
    axes.imshow(px, interpolation="nearest")
    side = len(px)
    words = f"patch, {side} px"
    if place.mpp is not None:
        words += f" at {place.mpp:.3g} µm/px"
        length = round_length(side * place.mpp / 3)
        for colour, width in (("white", 6), ("black", 3)):
            axes.plot([0.05 * side, 0.05 * side + length / place.mpp], [0.93 * side] * 2, color=colour, linewidth=width, solid_capstyle="butt")
        axes.text(0.05 * side, 0.9 * side, f"{length:g} µm", fontsize=9, va="bottom",
                  bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5})
    axes.set_title(words, fontsize=10)


def _map(figure: Figure, axes: Any, px: npt.NDArray[np.uint8], called: str, values: npt.NDArray[np.float32], signed: bool) -> None:
    """Signed maps in two colours about 0; others fade out where they are 0, so that the tissue shows."""
    axes.imshow(px, interpolation="nearest")
    most = float(np.abs(values).max())
    if signed:
        image = axes.imshow(values, cmap=SIGNED, vmin=-(most or 1), vmax=most or 1, alpha=0.55, interpolation="nearest")
        words = f"{called} (logit; blue: against tumour)"
    else:
        image = axes.imshow(values, cmap=POSITIVE, vmin=0, vmax=1, alpha=0.1 + 0.55 * values, interpolation="nearest")
        words = called if most > 0 else f"{called}: nothing speaks for tumour"
    axes.set_title(words, fontsize=10)
    figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02).ax.tick_params(labelsize=7)


def _lime(figure: Figure, axes: Any, px: npt.NDArray[np.uint8], parts: Superpixels, lime: Lime) -> None:
    """The mean over seeds painted on the superpixels, the strongest outlined, and how far it can be believed."""
    axes.imshow(px, interpolation="nearest")
    weights = lime.weights.mean(axis=0)
    most = float(np.abs(weights).max()) or 1
    image = axes.imshow(weights[parts.segments], cmap=SIGNED, vmin=-most, vmax=most, alpha=0.55, interpolation="nearest")
    mask = strongest(parts, weights, STRONGEST)
    if mask.any():
        axes.contour(mask, levels=[0.5], colors="black", linewidths=1.1)
    figure.colorbar(image, ax=axes, shrink=0.8, pad=0.02).ax.tick_params(labelsize=7)
    seeds = len(lime.weights)
    agree = f"{seeds} seeds agree {lime.agreement[0]:.2f} (least {lime.agreement[1]:.2f})" if seeds > 1 else "one seed"
    what = "LIME (probability)" if most >= FLAT else f"LIME: whatever is hidden, the probability stays (within {most:.0e})"
    axes.set_title(f"{what}\n{agree}; fit R² {lime.score.mean():.2f}", fontsize=9)


def _slide(axes: Any, tile: Chosen, place: Place) -> None:
    axes.imshow(place.thumbnail, extent=(0, place.width, place.height, 0), interpolation="antialiased")
    for colour, width in (("white", 3.4), ("black", 1.6)):
        axes.add_patch(Rectangle((tile.x, tile.y), place.side, place.side, fill=False, edgecolor=colour, linewidth=width))
    x, y, far = tile.x + place.side / 2, tile.y + place.side / 2, 0.06 * max(place.width, place.height)
    if place.side < 0.3 * far:  # too small to be seen: point at it
        axes.annotate("", (x, y), (x + far, y - far), arrowprops={"arrowstyle": "-|>", "color": "black", "linewidth": 1.6})
    axes.set(xlim=(0, place.width), ylim=(place.height, 0))
    axes.set_title("place on the slide", fontsize=10)
