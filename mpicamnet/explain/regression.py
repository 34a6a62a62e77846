"""Ridge regression of many targets at once, in the space of rows: one eigendecomposition serves every strength, target and permutation.

A layer has up to 100,000 activations and a few hundred patches, so everything is made from the inner products of rows (the dual form):
fits, leave-one-out errors, predictions of held-out rows, and sensitivities.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STRENGTHS = 10.0 ** np.arange(-6, 3)  # ridge strengths, in units of the mean eigenvalue of the rows' inner products
FLAT = 1e-10  # eigenvalues below this share of the largest are round-off


def inner_products(activations: npt.NDArray[Any], columns: int = 1 << 14) -> Floats:
    """Inner products of rows about their mean, float64 (n, n), of activations (n, d); `columns` at a time are widened to float64."""
    n, d = activations.shape
    out = np.zeros((n, n))
    for first in range(0, d, columns):
        part = activations[:, first:first + columns].astype(np.float64)
        part -= part.mean(axis=0)
        out += part @ part.T
    return out


@dataclass(frozen=True)
class Basis:
    """Rows that are fitted: eigenvectors `u` (n, r) and eigenvalues `s2` (r,) of their centred inner products, and the row means (n,) that centring
    took away."""

    u: Floats
    s2: Floats
    means: Floats

    @property
    def strengths(self) -> Floats:
        """The strengths to choose from."""
        return np.asarray(STRENGTHS * (self.s2.mean() if len(self.s2) else 1.0))


def basis(products: Floats) -> Basis:
    """The basis of rows with the inner products (n, n), about any origin."""
    means = products.mean(axis=0)
    s2, u = np.linalg.eigh(products - means - means[:, None] + means.mean())
    keep = s2 > FLAT * max(float(s2[-1]), np.finfo(float).tiny)
    return Basis(u[:, keep], s2[keep], means)


def chosen_strengths(rows: Basis, targets: Floats, strengths: Floats) -> Floats:
    """Of `strengths`, for each of the targets (n, t) the one of the least squared leave-one-out error, float64 (t,).

    e_i / (1 - h_ii) is the error at a row left out (Allen's PRESS); what scikit-learn's RidgeCV does.
    """
    n = len(targets)
    about = targets - targets.mean(axis=0)
    turned = rows.u.T @ about
    errors = []
    for strength in strengths:
        kept = rows.s2 / (rows.s2 + strength)
        left = 1 - 1 / n - (rows.u ** 2) @ kept
        error = (about - rows.u @ (kept[:, None] * turned)) / np.maximum(left, 1e-12)[:, None]
        errors.append((error ** 2).mean(axis=0))
    return np.asarray(strengths[np.argmin(errors, axis=0)])


def weights(rows: Basis, targets: Floats, strengths: Floats) -> Floats:
    """Dual weights a (n, t) of ridge fits of the targets (n, t), each of its strength (t,): the regression vector is X' a, X centred."""
    turned = rows.u.T @ (targets - targets.mean(axis=0))
    return np.asarray(rows.u @ (turned / (rows.s2[:, None] + strengths)))


def held_out_errors(products: Floats, targets: Floats, folds: list[Ints]) -> Floats:
    """Target less prediction for rows that were held out, float64 (n, t), of targets (n, t).

    `folds`: the rows that are held out, in turn; each row once. The strength is chosen anew within the rows that fit, so nothing of the held-out
    ones is known.
    """
    wrong = np.empty_like(targets)
    for out in folds:
        fit = np.setdiff1d(np.arange(len(targets)), out)
        rows = basis(products[np.ix_(fit, fit)])
        w = weights(rows, targets[fit], chosen_strengths(rows, targets[fit], rows.strengths))
        cross = products[np.ix_(out, fit)]
        cross = cross - rows.means - cross.mean(axis=1, keepdims=True) + rows.means.mean()
        wrong[out] = targets[out] - targets[fit].mean(axis=0) - cross @ w
    return wrong


def r_squared(errors: Floats, targets: Floats) -> Floats:
    """1 - squared error / squared distance from the mean, float64 (t,), over all rows (n, t); below 0 where predictions are worse than the mean."""
    return np.asarray(1 - (errors ** 2).sum(axis=0) / ((targets - targets.mean(axis=0)) ** 2).sum(axis=0))


def folds_by_group(groups: Ints, folds: int, seed: int) -> list[Ints]:
    """Cut rows into `folds` parts, groups (slides, or patients) undivided: the rows of each part, int64.

    Patches of one slide share stain, scanner and often the very tissue: with a slide on both sides R2 would tell how well slides are recognised.
    Where there are fewer groups than folds there are as many folds as groups; of a single group rows are dealt singly, in an order by seed.
    """
    from sklearn.model_selection import GroupKFold, KFold

    n, parts = len(groups), min(folds, len(np.unique(groups)))
    cut: Any = GroupKFold(parts) if parts > 1 else KFold(min(folds, n), shuffle=True, random_state=seed)
    return [np.asarray(out, np.int64) for _, out in cut.split(np.zeros(n), groups=groups if parts > 1 else None)]
