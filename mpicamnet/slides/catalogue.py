"""The slides of a config, in their fixed order: found by layout, filtered, each with its outlines and its stage.

One rank calls this and tells the others. Only the folders that a layout names are listed, so that a large tree on a shared file system is
not walked.
"""
from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

from ..config import Data
from ..errors import UserError
from . import layouts, table
from .record import SlideRecord, background_of


def catalogue(data: Data) -> list[SlideRecord]:
    """The slides that a config names, by centre, patient and node, else by name.

    Raises UserError where the folder or table is missing or holds no slide, two slides have one name, or a filter names what is not there.
    """
    if data.layout == "csv":
        where = data.csv or ""
        found = table.slides_of_table(data)
    else:
        where = data.root or ""
        found = layouts.LAYOUTS[data.layout](data)
    if not found:
        raise UserError("there are no slides", where, layouts.WANTED[data.layout])
    twice = [name for name, n in Counter(r.name for r in found).items() if n > 1]
    if twice:
        paths = " and ".join(r.path for r in found if r.name == twice[0])
        raise UserError(f"two slides are called {twice[0]}", paths, "names must differ, as files and rows are named after them: rename one")
    found = [replace(r, background=background_of(r.stage, r.annotation)) for r in found]
    if data.centers is not None:
        found = _filtered(found, "data.centers", data.centers, lambda r: r.center, where)
    if data.patients is not None:
        found = _filtered(found, "data.patients", data.patients, lambda r: r.patient, where)
    if data.slides is not None:
        found = _filtered(found, "data.slides", data.slides, lambda r: r.name, where)
    return sorted(found, key=lambda r: (r.center, r.patient, r.node, r.name))


def _filtered(records: list[SlideRecord], key: str, wanted: Iterable[int | str], of: Callable[[SlideRecord], int | str],
              where: str) -> list[SlideRecord]:
    there = {of(r) for r in records}
    for value in wanted:
        if value not in there:
            names, numbers = sorted(t for t in there if isinstance(t, str)), sorted(t for t in there if isinstance(t, int))
            if isinstance(value, str):
                near = difflib.get_close_matches(value, names, 1, 0.0)
                mend = f"did you mean {near[0]}?" if near else "there is none"
            else:
                at = value
                mend = f"the nearest is {min(numbers, key=lambda t: abs(t - at))}" if numbers else "there is none"
            raise UserError(f"`{key}` names {value}, which is not there", where, mend)
    kept = set(wanted)
    return [r for r in records if of(r) in kept]
