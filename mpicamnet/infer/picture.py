"""The picture that a pathologist looks at: the slide, and beside it the slide under its heatmap, with outlines and bars."""
from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import PathPatch
from matplotlib.path import Path as Outline

from ..errors import SlideError
from ..patches.plan import SlidePlan, outlines_of
from ..slides import Slide, open_record
from .raster import Raster

THUMBNAIL = 1600  # px of the longer side, at most
STRIP_BYTES = 64 << 20  # px of a level held at a time: a slide without a pyramid is read in strips
COLOURS = "RdYlBu_r"  # blue, yellow, red: told apart from the pinks and purples of H&E, and by colour-blind eyes
OPACITY = 0.55
OUTLINE = "#111111"
CONTOUR = "#7a0177"


def write_picture(path: Path, plan: SlidePlan, raster: Raster, reader: str, threshold: float) -> list[SlideError]:
    """Draw a slide and its heatmap into a PNG, with a line where the probability is `threshold`.

    Returns why the slide itself could not be drawn, where it could not: tiles that cannot be decoded leave the heatmap on white.
    """
    thumb, errors = _thumbnail(plan, reader)
    while max(raster.prob.shape) > THUMBNAIL:
        raster = raster.half()
    tall = plan.height > 1.3 * plan.width
    shape = plan.height / plan.width
    width = 5.2 if tall else 6.4
    figure = Figure(figsize=(2 * width + 1.4, min(14.0, max(3.5, width * shape)) + 1.3), dpi=120, layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, words in ((left, "slide"), (right, "probability of tumour")):
        axes.imshow(thumb, extent=(0, plan.width, plan.height, 0), interpolation="antialiased")
        _outlines(axes, plan)
        axes.set_title(words, fontsize=10)
        for side in axes.spines.values():
            side.set_color("0.7")
    _heat(figure, right, raster, threshold)
    for axes in (left, right):
        axes.set(xlim=(0, plan.width), ylim=(plan.height, 0), xticks=[], yticks=[])
        if plan.mpp is not None:
            _scale_bar(axes, plan)
    if np.isnan(raster.prob).all():
        right.text(0.5, 0.5, "no tissue" if not plan.places else "nothing predicted", transform=right.transAxes, ha="center", va="center", fontsize=14)
    if errors:
        left.text(0.5, 0.5, "the slide cannot be read here", transform=left.transAxes, ha="center", va="center", fontsize=12)
    lines = [Line2D([], [], color=CONTOUR, linewidth=1.6, linestyle="--", label=f"probability {threshold:g}")]
    if plan.annotated:
        lines.insert(0, Line2D([], [], color=OUTLINE, linewidth=1.6, label="annotated tumour"))
    figure.legend(handles=lines, loc="outside lower center", frameon=False, fontsize=9, ncols=len(lines))
    figure.suptitle(_title(plan), fontsize=11)
    figure.savefig(path, format="png")
    return errors


def _heat(figure: Figure, axes: Any, raster: Raster, threshold: float) -> None:
    """The heatmap over what the axes show, its bar beside them, and the contour at `threshold`."""
    rows, columns = raster.prob.shape
    image = axes.imshow(np.ma.masked_invalid(raster.prob), extent=(0, columns * raster.step, rows * raster.step, 0), cmap=COLOURS, vmin=0, vmax=1,
                        alpha=OPACITY, interpolation="nearest", zorder=2)
    bar = figure.colorbar(image, ax=axes, shrink=0.85, pad=0.02)
    bar.set_label("tumour probability")
    bar.ax.axhline(threshold, color="black", linewidth=1.2)
    if rows > 1 and columns > 1 and np.nanmax(raster.prob, initial=0) >= threshold > np.nanmin(raster.prob, initial=1):
        x, y = ((np.arange(n) + 0.5) * raster.step for n in (columns, rows))
        axes.contour(x, y, raster.prob, levels=[threshold], colors=[CONTOUR], linewidths=1.0, linestyles="--", zorder=3)


def _thumbnail(plan: SlidePlan, reader: str) -> tuple[Any, list[SlideError]]:
    try:
        with open_record(plan.record, reader) as slide:
            return thumbnail(slide), []
    except SlideError as e:
        return np.full((1, 1, 3), 255, np.uint8), [e]


def thumbnail(slide: Slide, most: int = THUMBNAIL) -> Any:
    """The slide as RGB uint8 (h, w, 3), the longer side at most `most` px: means over the coarsest level that is large enough."""
    wanted = max(slide.width, slide.height) / most
    level = max((i for i, lv in enumerate(slide.levels) if lv.downsample <= max(1.0, wanted)), key=lambda i: slide.levels[i].downsample)
    lv = slide.levels[level]
    factor = max(1, math.ceil(max(lv.width, lv.height) / most))
    strips = []
    step = max(factor, STRIP_BYTES // (3 * lv.width) // factor * factor)
    width = lv.width // factor * factor or lv.width
    for y in range(0, max(1, lv.height // factor) * factor, step):
        h = min(step, lv.height // factor * factor - y)
        px = slide.read(0, round(y * lv.downsample), width, h, level)
        strips.append(px.reshape(h // factor, factor, width // factor, factor, 3).mean(axis=(1, 3)))
    return np.concatenate(strips).round().astype(np.uint8)


def _outlines(axes: Any, plan: SlidePlan) -> None:
    for polygon in shapely.get_parts(outlines_of(plan)):
        rings = [polygon.exterior, *polygon.interiors]
        points = np.concatenate([shapely.get_coordinates(r) for r in rings])
        codes = np.concatenate([[Outline.MOVETO, *[Outline.LINETO] * (len(r.coords) - 2), Outline.CLOSEPOLY] for r in rings])
        for colour, width in (("white", 2.8), (OUTLINE, 1.4)):
            axes.add_patch(PathPatch(Outline(points, codes), facecolor="none", edgecolor=colour, linewidth=width, zorder=3))


def _scale_bar(axes: Any, plan: SlidePlan) -> None:
    """A bar of a round length, at most a quarter of the width, at the bottom left."""
    assert plan.mpp is not None
    mm = round_length(plan.width * plan.mpp / 1000 / 4)
    length = mm * 1000 / plan.mpp
    x, y = 0.03 * plan.width, 0.965 * plan.height
    for colour, width in (("white", 6.5), ("black", 3.5)):
        axes.plot([x, x + length], [y, y], color=colour, linewidth=width, solid_capstyle="butt", zorder=4)
    words = f"{mm:g} mm" if mm >= 0.1 else f"{mm * 1000:g} µm"
    axes.text(x + length / 2, y - 0.012 * plan.height, words, ha="center", va="bottom", fontsize=9, zorder=4,
              bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1.5})


def round_length(most: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is at most `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return max(f * power for f in (1, 2, 5) if f * power <= most * (1 + 1e-9))


def _title(plan: SlidePlan) -> str:
    size = f"{plan.width:,} x {plan.height:,} px"
    if plan.mpp is not None:
        size += f", {plan.mpp:.3g} µm/px ({plan.width * plan.mpp / 1000:.1f} x {plan.height * plan.mpp / 1000:.1f} mm)"
    windows = f"windows of {plan.grid.patch} px every {plan.grid.stride} px"
    if plan.resolution.mpp is not None:
        windows += f" at {plan.resolution.mpp:.3g} µm/px"
    stage = f"    true class: {plan.record.stage}" if plan.record.stage else ""
    return f"{plan.record.name}{stage}\n{size}; {windows}"
