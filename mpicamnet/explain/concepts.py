"""The clinical measures of a patch, in physical units: nuclei, their shape and texture, cavities, staining, and the centre it comes from."""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from .nuclei import ASSUMED_MPP, segment_nuclei
from .stain import GLASS, REFERENCE, amounts, optical_density
from .texture import NAMES, nuclear_texture

Kind = Literal["continuous", "discrete"]
LEVELS = 32  # greys of a co-occurrence matrix: a patch has a few thousand px in nuclei, too few for 256 x 256 counts
STEP = 1.25  # um between the two px of a pair: 5 px at 40x, as in Graziani et al. 2018
LOW_MPP = 2.0  # um per px: 5x, where lumina are looked for
CAVITY = 100.0  # um2: smaller clear spaces are vacuoles and cracks
OUTSIDE = 0.5  # a clear region that takes more than this share of the patch is no lumen but fat, or glass beside the tissue
PX_SAID = (f"um per px is not known: nuclei are looked for as if it were {ASSUMED_MPP}, and lengths, areas and densities are in px")


@dataclass(frozen=True)
class Concept:
    """`unit` with um known, `px_unit` where it is not; `kind` as figure 6 of Graziani et al. 2020 sorts them: counts and classes are discrete."""

    name: str
    unit: str
    px_unit: str
    kind: Kind
    doc: str


CONCEPTS = (
    Concept("nuclei_count", "nuclei", "nuclei", "discrete", "nuclei in the patch, cut ones too"),
    Concept("nuclei_density", "per mm2", "per Mpx", "continuous", "nuclei by area of the patch"),
    Concept("nuclei_area_sum", "um2", "px2", "continuous", "area of all nuclei"),
    Concept("nuclei_area_mean", "um2", "px2", "continuous", "mean area of a nucleus"),
    Concept("nuclei_area_variance", "um4", "px4", "continuous", "variance of the areas of nuclei"),
    Concept("nuclei_eccentricity", "1", "1", "continuous", "mean over nuclei; 0 for a circle, towards 1 for a needle"),
    Concept("nuclei_major_axis", "um", "px", "continuous", "mean major axis of the ellipse of the same moments"),
    Concept("nuclei_perimeter", "um", "px", "continuous", "mean length of the outline"),
    Concept("nuclei_euler", "1", "1", "discrete", "Euler number of all nuclei: pieces (touching nuclei are one) less the holes in them"),
    Concept("nuclei_asm", "1", "1", "continuous", "angular second moment of greys inside nuclei: 1 where all are the same"),
    Concept("nuclei_contrast", f"(grey/{LEVELS})2", f"(grey/{LEVELS})2", "continuous", "mean squared difference of greys 1.25 um apart, inside nuclei"),
    Concept("nuclei_correlation", "1", "1", "continuous", "correlation of greys 1.25 um apart, inside nuclei"),
    Concept("nuclei_homogeneity", "1", "1", "continuous", "mean of 1 / (1 + squared difference) of greys 1.25 um apart, inside nuclei"),
    Concept("cavities", "cavities", "cavities", "discrete", "clear spaces inside tissue (lumina) of at least 100 um2, seen at 2 um per px"),
    Concept("haematoxylin", "OD", "OD", "continuous", "mean optical density of haematoxylin, base 10, reference stain vectors"),
    Concept("eosin", "OD", "OD", "continuous", "mean optical density of eosin, base 10, reference stain vectors"),
)


def concept_names() -> tuple[str, ...]:
    """Names of what `patch_concepts` measures, in its order."""
    return tuple(c.name for c in CONCEPTS)


def center_concepts(centers: npt.NDArray[np.int64]) -> tuple[tuple[Concept, ...], npt.NDArray[np.float64]]:
    """The centre as concepts: for each centre of `centers` (n,) whether a patch comes from it, float64 (n, centres) of 0 and 1.

    A number of a centre is a name, not a measure; so each centre has a concept of its own.
    """
    known = sorted({int(c) for c in centers})
    described = tuple(Concept(f"center_{c}", "0 or 1", "0 or 1", "discrete", f"the slide comes from centre {c}") for c in known)
    return described, np.stack([(centers == c).astype(np.float64) for c in known], axis=1) if known else np.zeros((len(centers), 0))


def patch_concepts(rgb: npt.NDArray[np.uint8], mpp: float | None, nuclei: npt.NDArray[Any] | None = None,
                   stains: npt.NDArray[np.float64] | None = None) -> npt.NDArray[np.float64]:
    """Measure one patch.

    Parameters
    ----------
    rgb : uint8 (h, w, 3), H&E.
    mpp : um per px. None: not known; lengths and areas are in px (`PX_SAID`).
    nuclei : integer labels (h, w), 0 background, e.g. outlines drawn by hand. None: segmented.
    stains : float64 (2, 3), for the segmentation alone; None: those of the patch.

    Returns
    -------
    float64 (k,), in the order of `CONCEPTS`; NaN where a measure has no value, as the mean area where there is no nucleus.
    """
    labels = segment_nuclei(rgb, mpp, stains) if nuclei is None else nuclei
    um = mpp if mpp is not None else 1.0
    seen = mpp if mpp is not None else ASSUMED_MPP
    density = optical_density(rgb)
    haematoxylin, eosin = amounts(density, REFERENCE).reshape(-1, 2).mean(axis=0)
    grey = np.rint(rgb @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    grain = nuclear_texture(grey, labels, max(1, round(STEP / seen)), LEVELS)
    return np.array([*_shapes(labels, um), *(getattr(grain, name) for name in NAMES), cavities(density, seen), haematoxylin, eosin])


def cavities(density: npt.NDArray[np.float64], mpp: float) -> int:
    """Number of clear spaces in a patch, from optical densities (h, w, 3): looked for at `LOW_MPP` um per px, each of at least `CAVITY` um2."""
    from skimage.measure import label

    factor = max(1, round(LOW_MPP / mpp))
    h, w = (n // factor * factor for n in density.shape[:2])
    if not h or not w:
        return 0
    low = density[:h, :w].reshape(h // factor, factor, w // factor, factor, 3).mean(axis=(1, 3))
    regions = label((low < GLASS).all(axis=2), connectivity=1)
    px = np.bincount(regions.ravel())[1:]
    return int(((px * (mpp * factor) ** 2 >= CAVITY) & (px <= OUTSIDE * low.shape[0] * low.shape[1])).sum())


def _shapes(labels: npt.NDArray[Any], um: float) -> list[float]:
    """Count, density, areas (sum, mean, variance), eccentricity, major axis, perimeter, Euler number."""
    from skimage.measure import euler_number, perimeter
    from skimage.segmentation import relabel_sequential

    labels = relabel_sequential(labels)[0]
    n = int(labels.max())
    per = um**2 / 1e6
    if not n:
        return [0.0, 0.0, 0.0, *[math.nan] * 5, 0.0]
    px, major, eccentricity = _ellipses(labels, n)
    area = px * um**2
    outline = np.mean([perimeter(labels[where] == i) for i, where in enumerate(ndimage.find_objects(labels), 1)])
    return [float(n), n / (labels.size * per), float(area.sum()), float(area.mean()), float(area.var()), float(eccentricity.mean()),
            float(major.mean()) * um, float(outline) * um, float(euler_number(labels > 0, connectivity=2))]


def _ellipses(labels: npt.NDArray[Any], n: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Px, major axis (px) and eccentricity of the ellipse of the same moments, of n labels at once; as scikit-image's `regionprops`."""
    y, x = np.nonzero(labels)
    which = labels[y, x]

    def sums(weights: Any) -> npt.NDArray[np.float64]:
        return np.asarray(np.bincount(which, weights, n + 1)[1:], np.float64)

    px = sums(np.ones(len(which)))
    dy, dx = y - (sums(y) / px)[which - 1], x - (sums(x) / px)[which - 1]
    yy, xx, yx = sums(dy * dy) / px, sums(dx * dx) / px, sums(dy * dx) / px
    middle, half = (yy + xx) / 2, np.sqrt((yy - xx) ** 2 / 4 + yx ** 2)
    large, small = middle + half, np.maximum(middle - half, 0)
    eccentricity = np.sqrt(1 - np.divide(small, large, out=np.ones_like(small), where=large > 0))
    return px, 4 * np.sqrt(large), eccentricity
