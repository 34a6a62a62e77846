"""From colour to stain: optical density, the two stain vectors of a picture, and how much haematoxylin and eosin each px holds."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

# Haematoxylin and eosin, red, green, blue. A. C. Ruifrok and D. A. Johnston, Anal Quant Cytol Histol 23:291, 2001.
REFERENCE: Floats = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
REFERENCE /= np.linalg.norm(REFERENCE, axis=1, keepdims=True)
GLASS = 0.065  # optical density (base 10) below which there is bare glass: Macenko's 0.15 in base e
TAIL = 1.0  # per cent of px beyond each of the two extreme directions: Macenko's alpha
FEWEST = 500  # stained px that a plane of two stains can be fitted to
NEAR = 25.0  # degrees: haematoxylin of a stained slide lies within this of the reference
APART = 12.0  # degrees: where the two directions lie closer, the picture shows one stain only


@dataclass(frozen=True)
class Stains:
    """`vectors` float64 (2, 3): unit directions of haematoxylin and eosin in optical density; `source`: where they come from."""

    vectors: Floats
    source: Literal["picture", "reference"]


def optical_density(rgb: npt.NDArray[np.uint8]) -> Floats:
    """Optical density, base 10, float64 (..., 3), of RGB uint8 (..., 3): 0 for white light, 2.4 for black."""
    table = -np.log10((np.arange(256) + 1.0) / 256)
    return np.asarray(table[rgb])


def stain_vectors(density: Floats) -> Stains:
    """The haematoxylin and eosin directions of one picture, from optical densities (..., 3).

    The two extreme directions, but for `TAIL` per cent, in the plane of the two largest components. A picture of too few stained px, or
    whose px show no two stains, is given the reference directions, and `source` says so.

    M. Macenko et al., A method for normalizing histology slides for quantitative analysis, ISBI 2009.
    """
    px = density.reshape(-1, 3)
    px = px[px.mean(axis=1) > GLASS]  # not of each channel, as Macenko has it: thin eosin takes hardly any red
    reference = Stains(REFERENCE, "reference")
    if len(px) < FEWEST:
        return reference
    about = px - px.mean(axis=0)
    covariance = np.einsum("ni,nj->ij", about, about) / (len(px) - 1)  # not by BLAS, whose sums depend on its threads
    plane = np.linalg.eigh(covariance)[1][:, [2, 1]]
    plane = plane * np.where(plane[0] < 0, -1.0, 1.0)
    along = px @ plane
    low, high = np.percentile(np.arctan2(along[:, 1], along[:, 0]), [TAIL, 100 - TAIL])
    pair = [plane @ np.array([np.cos(a), np.sin(a)]) for a in (low, high)]
    h, e = sorted(pair, key=lambda v: -float(v[0]))  # haematoxylin takes more of the red light
    if _degrees(h, REFERENCE[0]) > NEAR or _degrees(h, e) < APART or min(h.min(), e.min()) < -0.05:
        return reference
    return Stains(np.stack([h, e]), "picture")


def amounts(density: Floats, vectors: Floats) -> Floats:
    """Optical density of haematoxylin and of eosin at each px, float64 (..., 2), by least squares; can be a little below 0."""
    return np.asarray(density @ np.linalg.pinv(vectors))


def _degrees(a: Floats, b: Floats) -> float:
    return float(np.degrees(np.arccos(np.clip(a @ b, -1, 1))))
