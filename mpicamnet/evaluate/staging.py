"""From lesions to a slide's class, from its slides' classes to a patient's pN stage, and how well two gradings agree."""
from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

CLASSES = ("negative", "itc", "micro", "macro")  # of a slide, in order
PN_STAGES = ("pN0", "pN0(i+)", "pN1mi", "pN1", "pN2")  # of a patient, in order
MICRO_MM, MACRO_MM = 0.2, 2.0
MANY_NODES = 4  # positive nodes from which on pN1 becomes pN2


def slide_class(longest_axis_mm: float | None) -> str:
    """negative without a lesion (None); itc below 0.2 mm, micro below 2 mm, macro from there on, by its largest lesion's longest axis."""
    if longest_axis_mm is None:
        return "negative"
    return "itc" if longest_axis_mm < MICRO_MM else "micro" if longest_axis_mm < MACRO_MM else "macro"


def pn_stage(classes: Sequence[str]) -> str:
    """The pN stage of a patient by Camelyon17's rules.

    Parameters
    ----------
    classes
        negative, itc, micro or macro of each of the patient's nodes (five in the challenge; any number here).

    Returns
    -------
    str
        pN0: no metastasis; pN0(i+): isolated tumour cells only; pN1mi: micrometastases, no macrometastasis; with a macrometastasis pN1 where
        one to three nodes hold metastases (micro or macro), pN2 where four or more do.

    Raises ValueError for no node, and for another class. Source: Bandi et al., IEEE TMI 38 (2019), table I.
    """
    if len(classes) == 0:
        raise ValueError("a patient without nodes has no stage")
    unknown = [c for c in classes if c not in CLASSES]
    if unknown:
        raise ValueError(f"`{unknown[0]}` is no class of a slide: they are {', '.join(CLASSES)}")
    found = list(classes)
    macro, micro = found.count("macro"), found.count("micro")
    if macro:
        return "pN1" if macro + micro < MANY_NODES else "pN2"
    return "pN1mi" if micro else "pN0(i+)" if "itc" in found else "pN0"


def quadratic_kappa(true: npt.ArrayLike, predicted: npt.ArrayLike, times: npt.ArrayLike | None = None) -> float | None:
    """Cohen's kappa with quadratic weights: 1 where two gradings agree, 0 where they agree no more than by chance.

    Parameters
    ----------
    true, predicted
        Grades as whole numbers (n,), e.g. places in PN_STAGES; a grade that nobody gives changes nothing.
    times
        Whole numbers (n,): how often each row counts [once].

    Returns
    -------
    float or None
        None where it does not exist: no rows, or all of them have one grade on both sides.

    Source: Cohen, Psychological Bulletin 70 (1968); equals scikit-learn's cohen_kappa_score(weights="quadratic").
    """
    a, b = np.asarray(true, np.int64), np.asarray(predicted, np.int64)
    w = np.ones(len(a), np.int64) if times is None else np.asarray(times, np.int64)
    # With weights (i - j)^2 the disagreement by chance, that of independent draws, is a matter of sums; over whole numbers it is exact.
    n, disagreement = int(w.sum()), int((w * (a - b) ** 2).sum())
    chance = n * int((w * (a * a + b * b)).sum()) - 2 * int((w * a).sum()) * int((w * b).sum())
    return 1 - n * disagreement / chance if chance else None
