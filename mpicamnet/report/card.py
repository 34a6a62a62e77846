"""The pictures of one slide's card: the slide with its annotation, its tissue with the places of its patches, its heatmap; and patches of the montage."""
from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image, ImageDraw
from shapely.geometry.base import BaseGeometry

from ..config import Config
from ..errors import SlideError
from ..infer.picture import thumbnail
from ..slides import Slide, SlideRecord, open_record, read_annotation, read_patch, resolve, tissue_mask
from .picture import Picture, drawing, photograph

Pixels = npt.NDArray[np.uint8]

SIDE, HEAT_SIDE, TILE_SIDE = 640, 1200, 128  # px, at most
TILE_BYTES = 8_000
# Told apart from the pinks and purples of H&E, and by colour-blind eyes.
COLOURS = {-1: (90, 90, 90), 0: (0, 90, 200), 1: (230, 85, 0)}
OUTLINE = (17, 17, 17)
MANY = 2_000  # patches of a slide from which on their dots are small


@dataclass
class Card:
    """What was drawn of a slide. `tiles`: px of the montage by row of predictions.h5; `errors`: what could not be read."""

    slide: Picture | None = None
    tissue: Picture | None = None
    heat: Picture | None = None
    tiles: dict[int, Picture] = field(default_factory=dict)
    errors: list[SlideError] = field(default_factory=list)


def draw_card(record: SlideRecord, config: Config, places: tuple[npt.NDArray[np.int64], npt.NDArray[np.int8]], downsample: float,
              tiles: dict[int, tuple[int, int]], heatmap: Path, most: int) -> Card:
    """Draw a slide's pictures, together at most about `most` bytes.

    `places`: corners (n, 2) and labels (n,) of its patches, `downsample` level-0 px per px of a patch; `tiles`: corners by row of predictions.h5;
    `heatmap`: the picture that infer left, which need not be there.
    """
    card = Card()
    if heatmap.is_file():
        card.heat = drawing(heatmap, most // 2, HEAT_SIDE)
    outlines: BaseGeometry = shapely.MultiPolygon()
    if record.annotation is not None:
        try:
            outlines = read_annotation(record.annotation)
        except SlideError as e:
            card.errors.append(e)
    try:
        with open_record(record, config.data.reader) as slide:
            small = thumbnail(slide, SIDE)
            card.slide = photograph(_outlined(small, outlines, slide), most // 4, SIDE)
            card.tissue = photograph(_sampled(small, slide, config, *places, config.data.patch * downsample), most // 4, SIDE)
            resolution = resolve(slide, config.data.level, config.data.mpp)
            for row, (x, y) in tiles.items():
                card.tiles[row] = photograph(read_patch(slide, x, y, config.data.patch, resolution), TILE_BYTES, TILE_SIDE)
    except SlideError as e:
        card.errors.append(e)
    return card


def _outlined(small: Pixels, outlines: BaseGeometry, slide: Slide) -> Pixels:
    image = Image.fromarray(small)
    pen = ImageDraw.Draw(image)
    scale = np.array([image.width / slide.width, image.height / slide.height])
    rings = [ring for polygon in shapely.get_parts(outlines) for ring in (polygon.exterior, *polygon.interiors)]
    for colour, width in (((255, 255, 255), 7), (OUTLINE, 3)):
        for ring in rings:
            pen.line([(x, y) for x, y in (shapely.get_coordinates(ring) * scale).tolist()], fill=colour, width=width, joint="curve")
    return np.asarray(image)


def _sampled(small: Pixels, slide: Slide, config: Config, xy: npt.NDArray[np.int64], label: npt.NDArray[np.int8], side: float) -> Pixels:
    """The tissue in grey, all else white, and a dot in the middle of each patch: tumour above normal above unknown."""
    mask, _ = tissue_mask(slide, config.tissue)
    h, w = small.shape[:2]
    there = np.asarray(Image.fromarray(mask).resize((w, h), Image.Resampling.NEAREST))
    grey = 110 + small.mean(axis=2) * 120 / 255  # light: the dots are what is looked at
    out = np.repeat(np.where(there, grey, 255).astype(np.uint8)[..., None], 3, axis=2)
    out[_edge(there)] = (0, 110, 90)
    reach = 2 if len(xy) <= MANY else 1
    middle = (xy + side / 2) * np.array([w / slide.width, h / slide.height])
    for value in (-1, 0, 1):
        at = middle[label == value].astype(np.int64)
        for dy in range(-reach, reach + 1):
            for dx in range(-reach, reach + 1):
                out[np.clip(at[:, 1] + dy, 0, h - 1), np.clip(at[:, 0] + dx, 0, w - 1)] = COLOURS[value]
    return out


def _edge(there: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Px of the mask that have a neighbour outside it."""
    inner = np.pad(there, 1, mode="edge")
    whole: npt.NDArray[np.bool_] = there & ~(inner[:-2, 1:-1] & inner[2:, 1:-1] & inner[1:-1, :-2] & inner[1:-1, 2:])
    return whole
