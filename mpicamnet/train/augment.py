"""What a row looks like in an epoch: turned, and stained, lit and coloured a little differently, as if by another laboratory and scanner.

In this order: one of the eight symmetries; haematoxylin, eosin and residual jittered in optical density (Tellez et al., IEEE Trans Med Imaging
37:2126, 2018); brightness; contrast; saturation; hue. What a row draws depends on (seed, epoch, row, copy) alone. Kernels run without the GIL,
and hold planes of float32, so that all but the table look-ups become vector instructions.
"""
from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ..compiled import compiled
from ..config import Augment
from .philox import uniforms

SYMMETRIES = 8
# Optical density (R, G, B) of haematoxylin, eosin and DAB: Ruifrok & Johnston, Anal Quant Cytol Histol 23:291, 2001.
RGB_FROM_HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_HED_FROM_RGB = np.linalg.inv(RGB_FROM_HED)
_STEPS = 512  # steps of the tables per unit of natural optical density: half a step is a quarter of a grey level at most
_DENSITY = (-np.log(np.maximum(np.arange(256), 0.25) / 255) * _STEPS).astype(np.float32)
_LIGHT = (255 * np.exp(-np.arange(8 * _STEPS) / _STEPS)).astype(np.float32)
_zero, _one, _two, _three = np.uint64(0), np.uint64(1), np.uint64(2), np.uint64(3)


@dataclass(frozen=True)
class Looks:
    """How b patches are to look. `symmetry` int64 (b,): see `symmetry`. `mix` float32 (b, 3, 3), `shift` float32 (b, 3): optical density
    (natural, in 1/512) becomes density @ mix + shift. `tone` float32 (b, 4): brightness added (grey levels), factors of contrast and
    saturation, hue added (sixths of the circle). `stained`, `toned`: whether any of it changes anything."""

    symmetry: npt.NDArray[np.int64]
    mix: npt.NDArray[np.float32]
    shift: npt.NDArray[np.float32]
    tone: npt.NDArray[np.float32]
    stained: bool
    toned: bool


def looks(augment: Augment, seed: int, epoch: int, rows: npt.NDArray[np.int64], copies: npt.NDArray[np.int64]) -> Looks:
    """How rows (b,) look in an epoch; `copies` (b,) counts how often the same row came before in that epoch."""
    drawn = uniforms(seed, "augment", epoch, rows, copies, 11)
    symmetry = np.floor(drawn[:, 0] * SYMMETRIES).astype(np.int64) if augment.flips else np.zeros(len(rows), np.int64)
    either = 2 * drawn - 1
    sizes = np.array([augment.brightness * 255, augment.contrast, augment.saturation, augment.hue * 6])
    tone = either[:, 7:11] * sizes + np.array([0, 1, 1, 0])
    mix, shift = stain_jitter(1 + augment.stain * either[:, 1:4], augment.stain * either[:, 4:7])
    return Looks(symmetry, mix, shift, tone.astype(np.float32), augment.stain > 0, bool(sizes.any()))


def stain_jitter(alpha: npt.NDArray[np.float64], beta: npt.NDArray[np.float64]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """`mix` (b, 3, 3) and `shift` (b, 3) of `Looks` that make the stains of a px s into alpha s + beta.

    `alpha`, `beta` (b, 3): for haematoxylin, eosin, residual; s is the decadic optical density by the matrix of Ruifrok and Johnston, and may be
    below 0: it is not cut there, which would not leave px as they are where alpha is 1 and beta 0.
    """
    mix = np.einsum("ij,bj,jk->bik", _HED_FROM_RGB, alpha, RGB_FROM_HED)
    shift = beta @ RGB_FROM_HED * (math.log(10) * _STEPS)
    return mix.astype(np.float32), shift.astype(np.float32)


def looking(px: npt.NDArray[np.uint8], places: npt.NDArray[np.int64], looks: Looks) -> npt.NDArray[np.uint8]:
    """Patches `px[places]` as they are to look: uint8 (n, p, p, 3), int64 (b,) -> uint8 (b, p, p, 3)."""
    out = np.empty((len(places), *px.shape[1:]), np.uint8)
    _look(px, places, looks.symmetry, looks.mix, looks.shift, looks.tone, looks.stained, looks.toned, _DENSITY, _LIGHT, out)
    return out


@compiled
def _walk(which: int, n: int) -> Any:
    """Where a symmetry begins, and its step down and to the right, in bytes of the patch that it turns; uint64."""
    turn = which % 4
    if turn == 0:
        at, down, right = 0, n, 1
    elif turn == 1:
        at, down, right = n - 1, -1, n
    elif turn == 2:
        at, down, right = n * n - 1, -n, -1
    else:
        at, down, right = n * (n - 1), 1, -n
    if which >= 4:
        at, right = at + (n - 1) * right, -right
    # Unsigned, and steps back wrap around: with signed indices Numba guards against negative ones.
    return np.uint64(3 * at), np.uint64(3 * down), np.uint64(3 * right)


@compiled
def _look(px: Any, places: Any, symmetry: Any, mix: Any, shift: Any, tone: Any, stained: bool, toned: bool, density: Any, light: Any, out: Any) -> None:
    n = px.shape[1]
    planes = np.empty((3, n * n), np.float32)
    for i in range(len(places)):
        source, target = px[places[i]].reshape(3 * n * n), out[i].reshape(3 * n * n)
        at, down, right = _walk(symmetry[i], n)
        if not stained and not toned:
            _turn(source, at, down, right, n, target)
            continue
        red, green, blue = planes[0], planes[1], planes[2]
        _spread(source, at, down, right, n, red, green, blue)
        if stained:
            _stain(red, green, blue, mix[i], shift[i], density, light)
        if toned:
            for plane in (red, green, blue):
                _tone(plane, tone[i, 0], tone[i, 1])
            _colour(red, green, blue, tone[i, 2], tone[i, 3])
        _store(red, green, blue, target)


@compiled
def _turn(source: Any, at: Any, down: Any, right: Any, n: int, target: Any) -> None:
    k = _zero
    for _ in range(n):
        p = at
        for _ in range(n):
            target[k], target[k + _one], target[k + _two] = source[p], source[p + _one], source[p + _two]
            k, p = k + _three, p + right
        at = at + down


@compiled
def _spread(source: Any, at: Any, down: Any, right: Any, n: int, red: Any, green: Any, blue: Any) -> None:
    k = _zero
    for _ in range(n):
        p = at
        for _ in range(n):
            red[k], green[k], blue[k] = source[p], source[p + _one], source[p + _two]
            k, p = k + _one, p + right
        at = at + down


@compiled
def _stain(red: Any, green: Any, blue: Any, mix: Any, shift: Any, density: Any, light: Any) -> None:
    a, b, c, d, e, f, g, h, i = (mix[0, 0], mix[0, 1], mix[0, 2], mix[1, 0], mix[1, 1], mix[1, 2], mix[2, 0], mix[2, 1], mix[2, 2])
    half, low, most = np.float32(0.5), np.float32(0), np.float32(len(light) - 1)
    x, y, z = shift[0] + half, shift[1] + half, shift[2] + half
    for k in range(len(red)):
        u, v, w = density[np.uint8(red[k])], density[np.uint8(green[k])], density[np.uint8(blue[k])]
        red[k] = light[np.uint32(min(max(u * a + v * d + w * g + x, low), most))]
        green[k] = light[np.uint32(min(max(u * b + v * e + w * h + y, low), most))]
        blue[k] = light[np.uint32(min(max(u * c + v * f + w * i + z, low), most))]


@compiled
def _tone(plane: Any, brightness: Any, contrast: Any) -> None:
    """Add brightness; move from the channel's mean by the factor of contrast. The mean is of sixteenths: a sum of integers has no order."""
    low, most, half, sixteen = np.float32(0), np.float32(255), np.float32(0.5), np.float32(16)
    total = np.int64(0)
    for k in range(len(plane)):
        total += np.int32(plane[k] * sixteen + half)
    mean = np.float32(total / (16 * len(plane)))
    add = mean + brightness
    for k in range(len(plane)):
        plane[k] = min(max((plane[k] - mean) * contrast + add, low), most)


@compiled
def _colour(red: Any, green: Any, blue: Any, saturation: Any, hue: Any) -> None:
    """Saturation times a factor, and the hue turned, in HSV (Smith 1978); without branches, so that it becomes vector instructions."""
    zero, one, two, three, four, five, six = (np.float32(0), np.float32(1), np.float32(2), np.float32(3), np.float32(4), np.float32(5), np.float32(6))
    sixth = one / six
    for k in range(len(red)):
        r, g, b = red[k], green[k], blue[k]
        value = max(r, max(g, b))
        chroma = value - min(r, min(g, b))
        per = one / chroma if chroma > zero else zero
        h = hue + ((g - b) * per if value == r else (two + (b - r) * per if value == g else four + (r - g) * per))
        chroma = min(chroma * saturation, value)
        h5, h3, h1 = five + h, three + h, one + h
        h5, h3, h1 = h5 - six * np.floor(h5 * sixth), h3 - six * np.floor(h3 * sixth), h1 - six * np.floor(h1 * sixth)
        red[k] = value - chroma * max(zero, min(min(h5, four - h5), one))
        green[k] = value - chroma * max(zero, min(min(h3, four - h3), one))
        blue[k] = value - chroma * max(zero, min(min(h1, four - h1), one))


@compiled
def _store(red: Any, green: Any, blue: Any, target: Any) -> None:
    half, low, most = np.float32(0.5), np.float32(0), np.float32(255)
    for k in range(len(red)):
        j = _three * np.uint64(k)
        target[j] = np.uint8(min(max(red[k], low), most) + half)
        target[j + _one] = np.uint8(min(max(green[k], low), most) + half)
        target[j + _two] = np.uint8(min(max(blue[k], low), most) + half)
