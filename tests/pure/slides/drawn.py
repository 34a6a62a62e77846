"""Small slides drawn by tifffile, which is not the code under test: pictures with detail, pyramids, and the kinds of damage seen in the wild."""
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openslide
import tifffile

Pixels = npt.NDArray[np.uint8]
APERIO = "Aperio Image Library v1\r\n700x500 (128x128) JPEG/RGB Q=70|AppMag = 40|MPP = 0.2500"


def picture(height: int = 500, width: int = 700) -> Pixels:
    """Waves, a ramp and noise: no two tiles alike."""
    y, x = np.mgrid[:height, :width]
    waves = np.stack([128 + 100 * np.sin(x / 37), 128 + 90 * np.cos(y / 23), (x * 3 + y * 2) % 256], -1)
    return (waves + np.random.default_rng(0).normal(0, 9, (height, width, 3))).clip(0, 255).astype(np.uint8)


def pyramid(px: Pixels) -> list[Pixels]:
    return [px, px[::2, ::2], px[::4, ::4]]


def write(path: Path, levels: list[Pixels], descriptions: list[str] | None = None, software: str | None = None, big: bool = False, order: str = "<",
          subifds: bool = False, **options: Any) -> Path:
    """A tiled TIFF of 128 px tiles; all levels but the first are reduced images."""
    options.setdefault("photometric", "rgb")
    with tifffile.TiffWriter(path, bigtiff=big, byteorder=order) as tiff:
        for i, px in enumerate(levels):
            tiff.write(px, tile=(128, 128), metadata=None, subfiletype=1 if i else 0, description=descriptions[i] if descriptions else None,
                       software=software, subifds=len(levels) - 1 if subifds and i == 0 else None, **options)
    return path


def drop_tiles(path: Path, level: int, tiles: list[int], offsets: bool = True) -> Path:
    """Make tiles of a level missing: byte count 0, and offset 0 as sparse files have it."""
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tags = tiff.pages[level].tags
        for name in ("TileByteCounts", "TileOffsets") if offsets else ("TileByteCounts",):
            values = list(tags[name].value)
            for k in tiles:
                values[k] = 0
            tags[name].overwrite(values)
    return path


def philips_xml(spacings: list[float]) -> str:
    """The part of a Philips slide's XML that tells the levels' px spacings in mm."""
    def spacing(mm: float) -> str:
        return f'<Attribute Name="DICOM_PIXEL_SPACING">&quot;{mm}&quot; &quot;{mm}&quot;</Attribute>'
    levels = "".join(f'<DataObject ObjectType="PixelDataRepresentation">{spacing(mm)}</DataObject>' for mm in spacings)
    return ('<?xml version="1.0" encoding="UTF-8" ?><DataObject ObjectType="DPUfsImport"><Attribute Name="PIM_DP_SCANNED_IMAGES"><Array>'
            f'<DataObject ObjectType="DPScannedImage"><Attribute Name="PIM_DP_IMAGE_TYPE">WSI</Attribute>{spacing(spacings[0])}'
            f'<Attribute Name="PIIM_PIXEL_DATA_REPRESENTATION_SEQUENCE"><Array>{levels}</Array></Attribute></DataObject></Array></Attribute></DataObject>')


def padded(px: Pixels) -> Pixels:
    """Filled up with white to whole tiles, as Philips stores its levels."""
    return np.pad(px, ((0, -px.shape[0] % 128), (0, -px.shape[1] % 128), (0, 0)), constant_values=255)


def openslide_on_white(slide: openslide.OpenSlide, x: int, y: int, level: int, w: int, h: int) -> Pixels:
    """OpenSlide's own px, its transparent ones white."""
    rgba = np.asarray(slide.read_region((x, y), level, (w, h)))
    return np.where(rgba[..., 3:] == 0, np.uint8(255), rgba[..., :3])
