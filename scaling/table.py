"""The tidy table that all commands share: one row per case, repeat, stage and phase, as CSV."""
from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mpicamnet.errors import UserError


@dataclass(frozen=True)
class Row:
    """A phase of a stage of a run. Seconds are the least, mean and most over ranks; items and bytes are sums. Phase `wall` and `cpu` of stage
    `process`: the whole process from outside, the latter summed over ranks. `slides`, `tiles`: slides read, patches made or judged in the run."""

    commit: str
    config_digest: str
    host: str
    cores: int
    load: float  # processes that wanted a core when the run began
    date: str
    study: str
    label: str
    ranks: int
    slides: int
    side: int
    tiles: int
    repeat: int
    stage: str
    phase: str
    seconds_min: float
    seconds_mean: float
    seconds_max: float
    bytes: int
    items: int


FIELDS = [f.name for f in dataclasses.fields(Row)]
_KINDS = {"int": int, "float": float, "str": str}


def append(path: Path, rows: Iterable[Row]) -> None:
    """Add rows to the table; a new one begins with the names of the columns."""
    new = not path.exists()
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        if new:
            writer.writerow(FIELDS)
        writer.writerows(dataclasses.astuple(r) for r in rows)


def read(path: Path) -> list[Row]:
    """All rows of the table; raises UserError where it is not one of ours."""
    if not path.exists():
        raise UserError("nothing was measured yet", path, "run `python -m scaling strong` and `python -m scaling weak` first")
    with path.open(newline="", encoding="utf-8") as f:
        reader = csv.DictReader(f)
        if reader.fieldnames != FIELDS:
            raise UserError("the columns are not those of this version", path, "move the file away and measure again")
        try:
            return [Row(**{field.name: _KINDS[str(field.type)](line[field.name]) for field in dataclasses.fields(Row)}) for line in reader]
        except ValueError as e:
            raise UserError(f"a row cannot be read ({e})", path, "take the row out") from None
