"""Who trains, who validates, who tests: slides, kept apart by centre, patient or slide."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from ..config import Split
from ..errors import UserError
from ..patches.sampling import generator

PARTS = ("train", "val", "test")
Member = int | str


class Named(Protocol):
    """What a split looks at of a slide; `center` and `patient` are -1 where unknown."""

    @property
    def name(self) -> str: ...
    @property
    def center(self) -> int: ...
    @property
    def patient(self) -> int: ...


@dataclass(frozen=True)
class Parts:
    """Places in the list of slides, ascending; int32 each. `val` and `test` may be the same."""

    train: npt.NDArray[np.int32]
    val: npt.NDArray[np.int32]
    test: npt.NDArray[np.int32]


def is_given(split: Split) -> bool:
    """Whether the config says anything of a split."""
    return any(value is not None for value in (split.train, split.val, split.test, split.fractions))


def parts_of(split: Split, slides: Sequence[Named], seed: int) -> Parts:
    """Which slides are in which part.

    Raises
    ------
    UserError
        No split is given; a member that no slide has; a centre, patient or slide that trains and also validates or tests.
    """
    if not is_given(split):
        raise UserError("no split is given", "data.split",
                        "say which centres, patients or slides train, validate and test, or give `fractions`")
    members = [_member(split.by, s) for s in slides]
    wanted = _drawn(split.fractions, members, split.by, seed) if split.fractions is not None else _listed(split, members)
    for part in ("val", "test"):
        both = [m for m in wanted["train"] if m in wanted[part]]
        if both:
            raise UserError(f"{_called(split.by, both[0])} is in train and in {part}", "data.split", "keep it in one of the two")
    places = {part: [i for i, m in enumerate(members) if m in wanted[part]] for part in PARTS}
    _check_patients(places, slides, split.by)
    return Parts(*(np.array(places[part], np.int32) for part in PARTS))


def _member(by: str, slide: Named) -> Member:
    return slide.name if by == "slide" else slide.center if by == "center" else slide.patient


def _called(by: str, member: Member) -> str:
    return f"{'centre' if by == 'center' else by} {member}"


def _listed(split: Split, members: list[Member]) -> dict[str, set[Member]]:
    there = sorted(set(members), key=str if split.by == "slide" else None)
    out: dict[str, set[Member]] = {}
    for part in PARTS:
        listed: list[int | str] = getattr(split, part) or []
        for m in listed:
            if m not in there:
                shown = ", ".join(map(str, there[:8])) + (", ..." if len(there) > 8 else "")
                raise UserError(f"`data.split.{part}` names {_called(split.by, m)}, which no slide has", "data.split", f"there are {shown}")
        out[part] = set(listed)
    return out


def _drawn(fractions: list[float], members: list[Member], by: str, seed: int) -> dict[str, set[Member]]:
    """Members dealt to the parts in an order drawn by the seed alone; a part's share is rounded to whole members."""
    every = sorted(set(members), key=str)
    order = [every[i] for i in generator(seed, "split", by).permutation(len(every))]
    cuts = [0, *(int(np.floor(c * len(every) + 0.5)) for c in np.cumsum(fractions)[:2]), len(every)]
    return {part: set(order[a:b]) for part, a, b in zip(PARTS, cuts, cuts[1:], strict=False)}


def _check_patients(places: dict[str, list[int]], slides: Sequence[Named], by: str) -> None:
    """Slides of one patient look alike: none may train while others of them are the judges."""
    training = {slides[i].patient: slides[i].name for i in places["train"] if slides[i].patient >= 0}
    for part in ("val", "test"):
        for i in places[part]:
            patient = slides[i].patient
            if patient in training:
                raise UserError(f"patient {patient} is in train ({training[patient]}) and in {part} ({slides[i].name})", "data.split",
                                f"split by patient, or take one of the {'two slides' if by == 'slide' else 'two'} out")
