"""Which patches are measured: so many of each slide, half of them tumour where there are."""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ..patches.sampling import generator


def sampled_rows(slide: npt.NDArray[np.int32], names: tuple[str, ...], label: npt.NDArray[np.int8], per_slide: int, seed: int) -> npt.NDArray[np.int64]:
    """Rows to measure, int64 rising.

    Parameters
    ----------
    slide : int32 (n,): place in `names` of each row's slide. label : int8 (n,): 1 tumour, 0 normal; rows of -1 are not taken.
    per_slide : rows of a slide, half of each class; a slide short of one class gives more of the other.
    seed : of the draw, with the slide's name: what else is in the cohort changes nothing.
    """
    picked = []
    for i, name in enumerate(names):
        rng = generator(seed, "concepts", name)
        tumor, normal = (rng.permutation(np.flatnonzero((slide == i) & (label == c))) for c in (1, 0))
        of_tumor = min(len(tumor), max(per_slide // 2, per_slide - len(normal)))
        picked += [tumor[:of_tumor], normal[:per_slide - of_tumor]]
    return np.sort(np.concatenate([np.zeros(0, np.int64), *picked]).astype(np.int64))
