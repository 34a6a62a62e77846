"""How much the network's output depends on a concept: signed sensitivities, TCAV, Br, and what chance would give.

Chance is the concept with its values dealt anew to the patches. Three things are asked of it, each with a p-value:

- R2: can the layer tell the concept at all?
- TCAV and Br, as they are published. Of a layer that the output follows linearly all patches have the same sensitivity; then TCAV is 0 or 1 for any
  direction, Br has no value, and neither can tell a concept that matters from one that does not. Nor does Br see that the network goes across a
  concept that the layer holds: mean / std does not tell a small sensitivity from a large one.
- Slope: the mean sensitivity along the regression vector itself, before it is brought to length 1. It is 0 where the network goes across the concept.
  Here what is dealt anew is the part of the concept that the layer cannot tell (its errors on held-out patches): so chance is what the slope of a
  concept that the layer holds as well, but the network does not follow, would be by noise alone (C. J. F. ter Braak, Permutation versus bootstrap
  significance tests in multiple regression and ANOVA, 1992).

A concept is held against the larger of the p-values of R2 and slope: the layer must hold it, and the output must go along it. Patches of a slide are not
independent; p takes them as if they were, and is too small for what differs between slides more than within, as a centre does.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..patches.sampling import generator

Floats = npt.NDArray[np.float64]

ROUND_OFF = 1e-6  # sensitivities that differ by less than this share of their mean are the same


@dataclass(frozen=True)
class Scores:
    """Of t regression vectors, float64 (t,): mean and standard deviation of S over patches, share of S > 0, R2 mean / std (NaN where all S are the
    same)."""

    mean: Floats
    std: Floats
    tcav: Floats
    br: Floats


def scores(along: Floats, lengths: Floats, r2: Floats) -> Scores:
    """TCAV and Br of t regression vectors.

    Parameters
    ----------
    along : float64 (m, t): gradient of the output at each of m patches times each regression vector; signed.
    lengths : float64 (t,): lengths of the vectors.
    r2 : float64 (t,): on held-out rows. Below 0 counts as 0 in Br: it means that nothing was learnt, not that signs turn round.

    S = gradient . v / |v|, never its absolute value; TCAV = share of S > 0 (Kim et al., ICML 2018); Br = R2 mean(S) / std(S) (Graziani et al., iMIMIC
    2018, and Comput Biol Med 123:103865, 2020).
    """
    s = along / np.where(lengths > 0, lengths, 1.0)
    mean, std = s.mean(axis=0), s.std(axis=0)
    same = std <= ROUND_OFF * np.abs(mean)
    br = np.where(same & (mean != 0), np.nan, np.maximum(r2, 0) * mean / np.where(same, 1.0, std))
    return Scores(mean, std, (s > 0).mean(axis=0), br)


def p_value(observed: float, chance: Floats) -> float:
    """Share of chance values at least as large, the observed one counted among them: (1 + count) / (1 + t), so never 0.

    B. Phipson and G. K. Smyth, Stat Appl Genet Mol Biol 9:39, 2010. Chance values that are NaN had no value; 1 where the observed one has none.
    """
    if np.isnan(observed):
        return 1.0
    slack = 1e-9 * abs(observed)  # ties are ties whatever the round-off
    return float((1 + (chance[~np.isnan(chance)] >= observed - slack).sum()) / (1 + len(chance)))


def band(chance: Floats) -> tuple[float, float] | None:
    """Between these lie 95 % of chance values; None where they have none."""
    known = chance[~np.isnan(chance)]
    return (float(np.quantile(known, 0.025)), float(np.quantile(known, 0.975))) if len(known) else None


def benjamini_hochberg(p: Floats) -> Floats:
    """p-values (t,) -> smallest false discovery rate at which each is still called, float64 (t,).

    Y. Benjamini and Y. Hochberg, J R Stat Soc B 57:289, 1995.
    """
    t = len(p)
    order = np.argsort(p, kind="stable")
    rising = p[order] * t / np.arange(1, t + 1)
    out = np.empty(t)
    out[order] = np.minimum(1.0, np.minimum.accumulate(rising[::-1])[::-1])
    return out


def permutations(n: int, times: int, seed: int) -> npt.NDArray[np.int64]:
    """`times` orders of n rows, int64 (n, times), by seed alone: the same for every layer, concept and rank."""
    rng = generator(seed, "permutations")
    return np.stack([rng.permutation(n) for _ in range(times)], axis=1) if times else np.zeros((n, 0), np.int64)
