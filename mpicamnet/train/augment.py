"""The eight flips and rotations of a square: tissue has no up and no left."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..patches.sampling import generator

SYMMETRIES = 8


def symmetry(px: npt.NDArray[np.uint8], which: int) -> npt.NDArray[np.uint8]:
    """One of the eight symmetries of px (h, h, c): `which` % 4 quarter turns, then a mirror where it is 4 or more; 0 changes nothing."""
    turned = np.rot90(px, which % 4)
    return turned[:, ::-1] if which >= 4 else turned


def symmetries(rows: int, seed: int, epoch: int) -> npt.NDArray[np.uint8]:
    """The symmetry of each row of patches.h5 in an epoch, uint8 (rows,): by (seed, epoch, row), whoever reads it and when."""
    return generator(seed, "symmetry", epoch).integers(0, SYMMETRIES, rows, dtype=np.uint8)
