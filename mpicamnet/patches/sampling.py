"""Random sampling: the order in which a slide's places are visited is drawn from (seed, slide name, class) and nothing else."""
from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt
import shapely

from ..config import Config, White
from ..slides import tissue_fractions
from .plan import Candidates, SlidePlan, candidates_at, outlines_of, tissue_of
from .rows import Verdicts


def generator(seed: int, *words: object) -> np.random.Generator:
    """Counter-based randomness that belongs to (seed, words): the same on any rank, in any order of asking."""
    text = "\0".join([str(seed), *map(str, words)])
    return np.random.Generator(np.random.Philox(key=int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")))


class Draw:
    """The candidates of one class in one slide, in their drawn order.

    Each px of the tissue mask is one place: a patch centred on a point drawn within it, so that no position comes twice and all tissue is
    equally likely. Places are tested for class and tissue as they are asked for.
    """

    def __init__(self, plan: SlidePlan, config: Config, label: int):
        self._plan, self._config, self._label = plan, config, label
        rng = generator(config.seed, plan.record.name, label)
        mask = tissue_of(plan)
        rows, columns = np.nonzero(mask)
        grid = plan.grid
        width = plan.mask_downsample / grid.downsample
        (x, has_x), (y, has_y) = _points(columns, width, rng), _points(rows, width, rng)
        x, y = x - grid.patch // 2, y - grid.patch // 2
        usable = has_x & has_y & (x >= 0) & (y >= 0) & (x + grid.patch <= grid.width) & (y + grid.patch <= grid.height)
        if label == 1:
            usable &= self._near_tumor(x, y)
        elif plan.record.background != label:
            usable[:] = False  # outside its outlines nobody knows what this slide holds
        x, y = x[usable], y[usable]
        order = rng.permutation(len(x))
        self._x, self._y = x[order], y[order]
        self._at = 0

    def _near_tumor(self, x: npt.NDArray[np.int64], y: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Whether a patch meets the bounding box of a tumour polygon: a quick test before the exact one."""
        near = np.zeros(len(x), bool)
        x0, y0, side = self._plan.grid.level0(x), self._plan.grid.level0(y), self._plan.side
        for left, top, right, bottom in shapely.bounds(shapely.get_parts(outlines_of(self._plan))):
            near |= (x0 < right) & (x0 + side > left) & (y0 < bottom) & (y0 + side > top)
        return near

    @property
    def exhausted(self) -> bool:
        return self._at >= len(self._x)

    def next(self, wanted: int) -> Candidates:
        """At least `wanted` further candidates, or all that are left."""
        found: list[Candidates] = []
        have = 0
        while not self.exhausted and have < wanted:
            run = slice(self._at, self._at + max(2 * (wanted - have), 256))
            self._at = run.stop
            x, y = self._x[run], self._y[run]
            grid, plan = self._plan.grid, self._plan
            fraction = tissue_fractions(tissue_of(plan), plan.mask_downsample, grid.level0(x), grid.level0(y), plan.side)
            on_tissue = fraction >= self._config.tissue.min_fraction
            some = candidates_at(plan, self._config, x[on_tissue], y[on_tissue], fraction[on_tissue])
            found.append(some.take(some.label == self._label))
            have += len(found[-1])
        return Candidates.join(found)


def _points(cells: npt.NDArray[np.int64], width: float, rng: np.random.Generator) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """A whole-number point drawn within each mask px of `width` target px, and whether there is one (a px narrower than 1 may hold none)."""
    first = np.ceil(cells * width).astype(np.int64)
    room = np.ceil((cells + 1) * width).astype(np.int64) - first
    return first + (rng.random(len(cells)) * room).astype(np.int64), room > 0


class Chosen:
    """The first `per_class` candidates of a class that pass the filter, in visiting order."""

    def __init__(self, draw: Draw, config: Config):
        self.draw = draw
        self._extract = config.extract
        self._wanted = config.extract.per_class
        self._threshold = AdaptiveThreshold(config.extract.white)
        self._kept: list[Candidates] = []
        self._have = 0

    @property
    def missing(self) -> int:
        return 0 if self.draw.exhausted else self._wanted - self._have

    def ask(self) -> Candidates:
        """The candidates to look at next: as many as are missing and some more, since the filter will drop some."""
        return self.draw.next(self.missing + self.missing // 8 + 4 if self.missing else 0)

    def judge(self, asked: Candidates, seen: Verdicts) -> None:
        """Take in what the filter saw of what was asked."""
        keep = self._threshold.passes(seen.white) & (seen.black <= np.float32(self._extract.black.max_share)) & ~seen.bad
        picks = np.nonzero(keep)[0][: self._wanted - self._have]
        self._kept.append(asked.take(picks))
        self._have += len(picks)

    def kept(self) -> Candidates:
        return Candidates.join(self._kept)


class AdaptiveThreshold:
    """The white threshold; with `white.increment` it rises after each `white.after` rejections, as in the original program."""

    def __init__(self, white: White):
        self._white, self._now, self._rejected = white, white.max_share, 0

    def passes(self, share: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
        """bool (n,): which of the patches, visited in this order, are not too white."""
        if self._white.increment == 0:
            return share <= np.float32(self._now)
        out = np.zeros(len(share), bool)
        for i, s in enumerate(share):
            out[i] = s <= np.float32(self._now)
            self._rejected += not out[i]
            if not out[i] and self._rejected % self._white.after == 0:
                self._now = min(self._now + self._white.increment, max(self._white.limit, self._white.max_share))
        return out


def arrange(plans: dict[int, SlidePlan], some: dict[tuple[int, int], Candidates]) \
        -> tuple[dict[int, Candidates], dict[tuple[int, int], npt.NDArray[np.int64]]]:
    """Candidates by (slide, class) as candidates by slide in row order (by block, then y, then x).

    Also where each of the given ones stands when the slides' lists are put end to end, int64 (n,) by (slide, class).
    """
    placed: dict[int, Candidates] = {}
    where: dict[tuple[int, int], npt.NDArray[np.int64]] = {}
    base = 0
    for slide in sorted({slide for slide, _ in some}):
        keys = sorted(key for key in some if key[0] == slide)
        joined = Candidates.join([some[key] for key in keys])
        order = np.lexsort((joined.x, joined.y, plans[slide].grid.block_of(joined.x, joined.y)))
        placed[slide] = joined.take(order)
        stands = np.empty(len(order), np.int64)
        stands[order] = base + np.arange(len(order))
        where.update(zip(keys, np.split(stands, np.cumsum([len(some[key]) for key in keys])[:-1]), strict=True))
        base += len(order)
    return placed, where
