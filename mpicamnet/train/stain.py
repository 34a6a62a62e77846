"""Stain normalisation: a patch's colours brought to those of a stored reference, before any network sees it.

What a network was trained on is what it must be shown, so the method and its reference stand in the model's card, and training, inference and
explanation call the one function `normalised`.

Statistics are those of the patch itself. Those of its slide would be steadier, but are not to be had alike everywhere: training may hold
patches.h5 without the slides, and there a sample by class, where inference meets all tissue; and a sample makes px depend on what else was
drawn. A patch alone gives the same px in training, in any window of inference, and on any number of ranks. The price: a patch with too little
to go by stays as it is. That is one of which less than a twentieth is stained or (Macenko) whose two stains are less than 10 degrees apart; and no
spread or concentration is changed by more than a factor of 3, so that an even patch is not made of noise.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..compiled import compiled

Numbers = tuple[tuple[float, ...], ...]

LEAST_SHARE = 0.05
LEAST_ANGLE = np.deg2rad(10)
MOST_GAIN = 3.0


@dataclass(frozen=True)
class Stain:
    """`method`: none, reinhard or macenko. `reference`: mean and standard deviation of L, a, b (reinhard); optical density (R, G, B) of
    haematoxylin and of eosin, and the most of each (macenko)."""

    method: str
    reference: Numbers = ()


AS_THEY_ARE = Stain("none")
# The stained px of the original program's reference patch (PROCESS_L2, lib/normalizing_patch.npy, MIT licence), whose channels are B, G, R.
REINHARD = Stain("reinhard", ((54.888, 35.049, -32.583), (12.819, 8.498, 9.322)))
# HERef and maxCRef of the authors' program (github.com/mitkovetta/staining-normalization).
MACENKO = Stain("macenko", ((0.5626, 0.7201, 0.4062), (0.2159, 0.8012, 0.5581), (1.9705, 1.0308)))
STAINS = {s.method: s for s in (AS_THEY_ARE, REINHARD, MACENKO)}


def normalised(px: npt.NDArray[np.uint8], stain: Stain) -> npt.NDArray[np.uint8]:
    """Patches uint8 (n, p, p, 3) RGB with their colours at the reference; each by its own statistics.

    reinhard: mean and standard deviation in CIE L*a*b* (Reinhard et al., IEEE Comput Graph Appl 21:34, 2001) of stained px, which alone
    change. macenko: concentrations of the patch's two stains, shown in the reference's (Macenko et al., ISBI 2009). none: `px` itself.
    """
    if stain.method == "none":
        return px
    out = np.empty_like(px)
    reference = [np.array(r, np.float64) for r in stain.reference]
    if stain.method == "reinhard":
        _reinhard(px, reference[0], reference[1], _LINEAR, _ROOTS, _COMPANDED, out)
    else:
        _macenko(px, np.stack(reference[:2]), reference[2], _OD, _SEEN, out)
    return out


# --- Reinhard -------------------------------------------------------------------------------------------------------------------------------

_STAINED = 205  # a px is stained where its darkest channel is at most this: an optical density of 0.15
_WHITE = np.array([0.95047, 1.0, 1.08883])  # D65, 2 degrees
_XYZ_FROM_RGB = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])  # sRGB, ITU-R BT.709
_TO_XYZ = _XYZ_FROM_RGB / _WHITE[:, None]
_TO_RGB = np.linalg.inv(_TO_XYZ)
_SHADES = 1 << 14  # steps of the tables from 0 to 1: a fifth of a grey level where sRGB is steepest


def _linear(v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(v > 0.04045, ((v + 0.055) / 1.055) ** 2.4, v / 12.92)


def _companded(v: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(v > 0.0031308, 1.055 * v ** (1 / 2.4) - 0.055, 12.92 * v)


def _root(t: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.where(t > 0.008856, np.cbrt(t), 7.787 * t + 16 / 116)


# Tables: a cube root takes 20 times as long as a look-up.
_ROOTS = _root(np.arange(_SHADES + 2) / _SHADES)
_LINEAR = _linear(np.arange(256) / 255)
_COMPANDED = np.round(255 * _companded(np.arange(_SHADES + 1) / _SHADES)).astype(np.uint8)


@compiled
def _root_of(t: Any, roots: Any) -> Any:
    """By the table, between its steps along a line."""
    at = min(t, 1.0) * _SHADES
    k = np.uint32(at)
    return roots[k] + (roots[k + np.uint32(1)] - roots[k]) * (at - k)


@compiled
def _power(t: Any) -> Any:
    return t * t * t if t > 0.2068966 else (t - 16 / 116) / 7.787


@compiled
def _reinhard(px: Any, mean: Any, spread: Any, linear: Any, roots: Any, companded: Any, out: Any) -> None:
    count = px.shape[1] * px.shape[2]
    lab = np.empty((count, 3))
    stained = np.empty(count, np.bool_)
    for i in range(len(px)):
        source, target = px[i].reshape(count, 3), out[i].reshape(count, 3)
        target[:] = source
        n, total, squares = 0, np.zeros(3), np.zeros(3)
        for k in range(count):
            red, green, blue = source[k, 0], source[k, 1], source[k, 2]
            stained[k] = min(red, min(green, blue)) <= _STAINED
            if stained[k]:
                r, g, b = linear[red], linear[green], linear[blue]
                x = _root_of(_TO_XYZ[0, 0] * r + _TO_XYZ[0, 1] * g + _TO_XYZ[0, 2] * b, roots)
                y = _root_of(_TO_XYZ[1, 0] * r + _TO_XYZ[1, 1] * g + _TO_XYZ[1, 2] * b, roots)
                z = _root_of(_TO_XYZ[2, 0] * r + _TO_XYZ[2, 1] * g + _TO_XYZ[2, 2] * b, roots)
                lab[k, 0], lab[k, 1], lab[k, 2] = 116 * y - 16, 500 * (x - y), 200 * (y - z)
                for j in range(3):
                    total[j] += lab[k, j]
                    squares[j] += lab[k, j] ** 2
                n += 1
        if n < LEAST_SHARE * count:
            continue
        own = total / n
        gain = np.empty(3)
        for j in range(3):
            own_spread = np.sqrt(max(squares[j] / n - own[j] ** 2, 0.0))
            gain[j] = _bounded(spread[j], own_spread)
        for k in range(count):
            if stained[k]:
                y = ((lab[k, 0] - own[0]) * gain[0] + mean[0] + 16) / 116
                x = y + ((lab[k, 1] - own[1]) * gain[1] + mean[1]) / 500
                z = y - ((lab[k, 2] - own[2]) * gain[2] + mean[2]) / 200
                x, y, z = _power(x), _power(y), _power(z)
                for j in range(3):
                    light = _TO_RGB[j, 0] * x + _TO_RGB[j, 1] * y + _TO_RGB[j, 2] * z
                    target[k, j] = companded[np.uint32(min(max(light, 0.0), 1.0) * _SHADES + 0.5)]


@compiled
def _bounded(wanted: Any, own: Any) -> Any:
    """wanted / own, kept between 1 / MOST_GAIN and MOST_GAIN; `own` may be 0 or less."""
    return MOST_GAIN if own * MOST_GAIN <= wanted else max(wanted / own, 1 / MOST_GAIN)


# --- Macenko --------------------------------------------------------------------------------------------------------------------------------

_LIGHT = 240.0  # transmitted through bare glass
_LEAST_OD = 0.15  # in all channels: px that are clearer say nothing of the stains
_TAIL = 1.0  # per cent of the angles, and of the concentrations, that are taken for outliers
_OD = -np.log((np.arange(256) + 1) / _LIGHT)
_CLEAR = -np.log(255 / _LIGHT)  # optical density of the brightest px
_STEPS = 512  # of the table per unit of optical density
_SEEN = np.minimum(255 * np.exp(-np.arange(8 * _STEPS) / _STEPS) + 0.5, 255).astype(np.uint8)


def stain_vectors(px: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64] | None:
    """Optical density (R, G, B) of unit length of haematoxylin and of eosin in a patch uint8 (h, w, 3): float64 (2, 3); None where it does not say."""
    found: bool
    found, vectors = _vectors(np.ascontiguousarray(_OD[px.reshape(-1, 3)]))
    return np.asarray(vectors) if found else None


@compiled
def _vectors(od: Any) -> Any:
    """Whether stains were found in px of optical density (n, 3), and their vectors (2, 3), haematoxylin first."""
    out = np.zeros((2, 3))
    n = 0
    picked = np.empty_like(od)
    for k in range(len(od)):
        if min(od[k, 0], min(od[k, 1], od[k, 2])) >= _LEAST_OD:
            picked[n] = od[k]
            n += 1
    if n < LEAST_SHARE * len(od) or n < 3:
        return False, out
    own = np.zeros(3)
    for k in range(n):
        own += picked[k]
    own /= n
    cov = np.zeros((3, 3))
    for k in range(n):
        for a in range(3):
            for b in range(3):
                cov[a, b] += (picked[k, a] - own[a]) * (picked[k, b] - own[b])
    _, vectors = np.linalg.eigh(cov / n)
    first, second = vectors[:, 2].copy(), vectors[:, 1].copy()
    if first.sum() < 0:
        first = -first
    if second[0] < 0:
        second = -second
    angles = np.empty(n)
    for k in range(n):
        angles[k] = np.arctan2((picked[k] * second).sum(), (picked[k] * first).sum())
    low, high = np.percentile(angles, _TAIL), np.percentile(angles, 100 - _TAIL)
    if high - low < LEAST_ANGLE:
        return False, out
    a, b = np.cos(low) * first + np.sin(low) * second, np.cos(high) * first + np.sin(high) * second
    if a[0] < b[0]:  # haematoxylin takes more of the red
        a, b = b, a
    out[0], out[1] = a, b
    return True, out


@compiled
def _macenko(px: Any, vectors: Any, most: Any, density: Any, seen: Any, out: Any) -> None:
    count = px.shape[1] * px.shape[2]
    od, amounts = np.empty((count, 3)), np.empty((2, count))
    for i in range(len(px)):
        source, target = px[i].reshape(count, 3), out[i].reshape(count, 3)
        for k in range(count):
            for j in range(3):
                od[k, j] = density[source[k, j]]
        found, own = _vectors(od)
        if not found:
            target[:] = source
            continue
        # Least squares: the two unit vectors are c apart in cosine.
        c = (own[0] * own[1]).sum()
        for k in range(count):
            h = own[0, 0] * od[k, 0] + own[0, 1] * od[k, 1] + own[0, 2] * od[k, 2]
            e = own[1, 0] * od[k, 0] + own[1, 1] * od[k, 1] + own[1, 2] * od[k, 2]
            amounts[0, k], amounts[1, k] = (h - c * e) / (1 - c * c), (e - c * h) / (1 - c * c)
        gain_h = _bounded(most[0], np.percentile(amounts[0], 100 - _TAIL))
        gain_e = _bounded(most[1], np.percentile(amounts[1], 100 - _TAIL))
        for k in range(count):
            h, e = amounts[0, k] * gain_h, amounts[1, k] * gain_e
            for j in range(3):
                step = (h * vectors[0, j] + e * vectors[1, j] - _CLEAR) * _STEPS + 0.5
                target[k, j] = seen[np.uint32(min(max(step, 0.0), len(seen) - 1.0))]
