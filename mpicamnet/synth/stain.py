"""Stains: the colour that haematoxylin and eosin give at a centre, by Beer and Lambert's law."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

# Directions in optical density (red, green, blue) of haematoxylin and eosin. The first three follow the stain groups of Camelyon16 (two
# scanners); the fourth is Ruifrok & Johnston, Anal Quant Cytol Histol 2001.
CENTERS = (
    ((0.56, 0.72, 0.41), (0.15, 0.86, 0.48)),
    ((0.62, 0.75, 0.23), (0.09, 0.93, 0.36)),
    ((0.58, 0.70, 0.42), (0.19, 0.84, 0.50)),
    ((0.65, 0.70, 0.29), (0.07, 0.95, 0.30)),
    ((0.69, 0.64, 0.34), (0.05, 0.90, 0.43)),
)
STRENGTH = ((0.82, 0.82), (0.84, 0.98), (0.80, 0.70), (0.90, 0.80), (0.74, 0.90))
MOST_H, MOST_E = 4.0, 2.5  # concentrations beyond these are drawn as these
STEPS_H, STEPS_E = 512, 256


@dataclass(frozen=True)
class Stain:
    """Optical density per unit of haematoxylin and eosin, and the colour of bare glass (RGB, 0 to 255)."""

    h: tuple[float, float, float]
    e: tuple[float, float, float]
    glass: tuple[float, float, float]

    def table(self) -> npt.NDArray[np.float32]:
        """Transmitted light, (STEPS_H, STEPS_E, 3) float32 in 0 to 255, for concentrations from 0 to MOST_H and MOST_E."""
        h = np.linspace(0, MOST_H, STEPS_H)[:, None, None] * np.array(self.h)
        e = np.linspace(0, MOST_E, STEPS_E)[None, :, None] * np.array(self.e)
        return np.asarray(np.array(self.glass) * np.exp(-h - e), np.float32)


def stain(center: int, seed: int) -> Stain:
    """The stain of one slide of a centre: slides of a centre are alike, centres differ."""
    lab = np.random.Generator(np.random.Philox(key=[center, 0x57A1]))  # the same for every seed: a laboratory is what it is
    day = np.random.Generator(np.random.Philox(key=[seed, 0x57A1]))
    pair, strength = CENTERS[center % len(CENTERS)], STRENGTH[center % len(CENTERS)]
    vectors = []
    for base, gain in zip(pair, strength, strict=True):
        v = np.array(base) + (lab.normal(0, 0.03, 3) if center >= len(CENTERS) else 0) + day.normal(0, 0.012, 3)
        v = np.clip(v, 0.03, None)
        vectors.append(tuple(float(x) for x in v / np.linalg.norm(v) * gain * np.exp(day.normal(0, 0.08))))
    glass = tuple(float(x) for x in np.array([241.5, 240.0, 243.0]) + day.uniform(-0.8, 0.8, 3))
    return Stain(_three(vectors[0]), _three(vectors[1]), _three(glass))


def _three(v: tuple[float, ...]) -> tuple[float, float, float]:
    return v[0], v[1], v[2]
