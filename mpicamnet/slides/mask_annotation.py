"""Tumour masks as TIFF pyramids (as ASAP writes them from Camelyon's XML): px of 1, or above 2, are tumour; 2 marks normal areas."""
from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from ..errors import SlideError

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

MOST_PIXELS = 64 << 20  # the finest level with no more px than this is outlined


def mask_outlines(path: Path) -> list[BaseGeometry]:
    """The rectangles of which a mask's tumour consists, exact to the px of the level that is read, in level-0 px."""
    import tifffile
    try:
        with tifffile.TiffFile(path) as tiff:
            pages: list[Any] = [p for i, p in enumerate(tiff.pages) if i == 0 or p.subfiletype & 1]  # type: ignore[union-attr]
            small = [p for p in pages if p.imagewidth * p.imagelength <= MOST_PIXELS]
            if not small:
                raise SlideError("the mask has no level small enough to be outlined", path, f"it needs one of at most {MOST_PIXELS:,} px")
            page = max(small, key=lambda p: p.imagewidth)
            scale = pages[0].imagewidth / page.imagewidth, pages[0].imagelength / page.imagelength
            mask = page.asarray()
    except (OSError, ValueError, RuntimeError, IndexError) as e:
        raise SlideError("the mask cannot be read", path, str(e)) from None
    if mask.ndim == 3:
        mask = mask[..., 0]
    if mask.ndim != 2:
        raise SlideError("the mask is no image of one channel", path, f"its shape is {mask.shape}")
    return rectangles((mask == 1) | (mask > 2), *scale)


def rectangles(mask: npt.NDArray[np.bool_], scale_x: float = 1.0, scale_y: float = 1.0) -> list[BaseGeometry]:
    """Rectangles that cover the True px of a mask (h, w), as shapely boxes: runs of a row, joined downwards where they are the same."""
    import shapely
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(edges == 1)
    ends = np.nonzero(edges == -1)[1]
    order = np.lexsort((rows, ends, starts))
    rows, starts, ends = rows[order], starts[order], ends[order]
    if not len(rows):
        return []
    first = np.ones(len(rows), bool)
    first[1:] = (starts[1:] != starts[:-1]) | (ends[1:] != ends[:-1]) | (rows[1:] != rows[:-1] + 1)
    begin = np.flatnonzero(first)
    last = np.append(begin[1:], len(rows)) - 1
    return list(shapely.box(starts[begin] * scale_x, rows[begin] * scale_y, ends[begin] * scale_x, (rows[last] + 1) * scale_y))
