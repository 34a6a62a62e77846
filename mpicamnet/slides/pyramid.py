"""Which directories of a TIFF slide are its pyramid, with which downsample and resolution: the rules of OpenSlide's drivers, by vendor.

Source: OpenSlide 4.0, src/openslide-vendor-{generic-tiff,aperio,philips}.c.
"""
from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import SlideError
from . import ifd
from .ifd import Directory
from .slide import Level

_REDUCED = 1
_LARGEST_TILE = 64 << 20  # px: more is damage, and would not fit into memory


@dataclass(frozen=True)
class Pyramid:
    """The directory of each level, the levels, and what the file says of its resolution (um per px, across and down) and objective."""
    directories: list[Directory]
    levels: tuple[Level, ...]
    mpp_x: float | None
    mpp_y: float | None
    magnification: float | None


def pyramid_of(directories: list[Directory], vendor: str, path: Path) -> Pyramid:
    """The pyramid of a slide of `vendor` (OpenSlide's name). Raises SlideError where it is none."""
    tiled = [d for d in directories if d.tiled]
    if not directories[0].tiled:
        raise SlideError("this TIFF file lies in strips, not in tiles", path, "convert it, e.g. vips tiffsave --tile --pyramid")
    for d in tiled:
        if min(d.number(t) for t in (ifd.WIDTH, ifd.HEIGHT, ifd.TILE_WIDTH, ifd.TILE_HEIGHT)) < 1:
            raise SlideError(f"TIFF directory {d.index} has no size", path, "the file is damaged: copy it again")
        if d.number(ifd.TILE_WIDTH) * d.number(ifd.TILE_HEIGHT) > _LARGEST_TILE:
            raise SlideError(f"TIFF directory {d.index} has tiles of {d.number(ifd.TILE_WIDTH)} x {d.number(ifd.TILE_HEIGHT)} px", path,
                             "the file is damaged, or must be converted to smaller tiles")
    if vendor == "aperio":
        return _aperio(tiled)
    reduced = [d for d in tiled if d.index == 0 or d.number(ifd.SUBFILE) & _REDUCED]
    if vendor == "philips":
        return _philips(reduced, path)
    reduced.sort(key=lambda d: -d.number(ifd.WIDTH))
    return Pyramid(reduced, _levels(reduced), *_resolution(directories[0]), None)


def _levels(directories: list[Directory], downsamples: list[float] | None = None) -> tuple[Level, ...]:
    w0, h0 = directories[0].number(ifd.WIDTH), directories[0].number(ifd.HEIGHT)
    levels = []
    for i, d in enumerate(directories):
        w, h = d.number(ifd.WIDTH), d.number(ifd.HEIGHT)
        if downsamples:
            downsample = downsamples[i]
            w, h = int(w0 / downsample), int(h0 / downsample)
        else:
            downsample = (w0 / w + h0 / h) / 2
        levels.append(Level(w, h, downsample, d.number(ifd.TILE_WIDTH), d.number(ifd.TILE_HEIGHT)))
    return tuple(levels)


def _resolution(directory: Directory) -> tuple[float | None, float | None]:
    """um per px from the resolution tags; the unit is inch where the file names none (TIFF 6.0, page 38)."""
    um = {2: 25400.0, 3: 10000.0}.get(directory.number(ifd.RESOLUTION_UNIT, 2))
    x, y = directory.real(ifd.X_RESOLUTION), directory.real(ifd.Y_RESOLUTION)
    return (um / x, um / y) if um and x and y else (None, None)


def _aperio(tiled: list[Directory]) -> Pyramid:
    """Every tiled directory, in file order; `|name = value` in the first one's description."""
    values = {}
    for part in tiled[0].text(ifd.DESCRIPTION).split("|")[1:]:
        name, _, value = part.partition("=")
        values[name.strip()] = value.strip()
    mpp = _number(values.get("MPP"))
    return Pyramid(tiled, _levels(tiled), mpp, mpp, _number(values.get("AppMag")))


def _philips(directories: list[Directory], path: Path) -> Pyramid:
    """Levels are padded to whole tiles, so that their sizes are not the slide's.

    The px spacings in the XML give the downsamples, rounded to whole numbers, and these give the sizes.
    """
    try:
        root = ET.fromstring(directories[0].text(ifd.DESCRIPTION))
    except ET.ParseError as e:
        raise SlideError("the Philips XML cannot be read", path, str(e)) from None
    spacings = [s for image in _whole_slide_images(root) for s in _spacings(image)]
    if len(spacings) != len(directories):
        raise SlideError(f"the Philips XML tells {len(spacings)} levels, the file holds {len(directories)}", path,
                         "the file is damaged: copy it again")
    x0, y0 = spacings[0]
    downsamples = [float(int((x / x0 + y / y0) / 2 + 0.5)) for x, y in spacings]
    own = [v for image in _whole_slide_images(root) for v in _attributes(image, "DICOM_PIXEL_SPACING")]
    mm = _spacing(own[0].text) if own else None
    return Pyramid(directories, _levels(directories, downsamples), mm and mm[0] * 1e3, mm and mm[1] * 1e3, None)


def _attributes(node: ET.Element, name: str) -> Iterator[ET.Element]:
    return (a for a in node.findall("Attribute") if a.get("Name") == name)


def _whole_slide_images(root: ET.Element) -> list[ET.Element]:
    images = [o for a in _attributes(root, "PIM_DP_SCANNED_IMAGES") for o in a.findall("Array/DataObject")]
    return [o for o in images if any((a.text or "").strip() == "WSI" for a in _attributes(o, "PIM_DP_IMAGE_TYPE"))][:1]


def _spacings(image: ET.Element) -> list[tuple[float, float]]:
    objects = [o for a in _attributes(image, "PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE") for o in a.findall("Array/DataObject")]
    found = [_spacing(a.text) for o in objects for a in _attributes(o, "DICOM_PIXEL_SPACING")]
    return [s for s in found if s]


def _spacing(text: str | None) -> tuple[float, float] | None:
    """mm per px (across, down) from `"0.00025" "0.00025"`, which is written down, across."""
    parts = [_number(p) for p in (text or "").replace('"', " ").split()]
    return (parts[1], parts[0]) if len(parts) == 2 and parts[0] and parts[1] else None


def _number(text: str | None) -> float | None:
    try:
        value = float((text or "").replace(",", "."))
    except ValueError:
        return None
    return value if value > 0 else None
