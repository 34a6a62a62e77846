"""What was found, and the table that says so."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..terminal import on_terminal

Level = Literal["good", "look", "bad"]
COLOURS: dict[Level, str] = {"good": "green", "look": "yellow", "bad": "red"}


@dataclass(frozen=True)
class Finding:
    """`what` was looked at, what was `found`, and, where it is not good, how to mend it."""

    level: Level
    what: str
    found: str
    mend: str = ""


def print_table(findings: list[Finding]) -> None:
    """A line per finding, coloured on a terminal, with what to do under those that are not good."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    watched = on_terminal()
    console = Console(force_terminal=watched, width=None if watched else 160)
    table = Table(box=None, pad_edge=False, show_header=False)
    for f in findings:
        table.add_row(Text(f.level, COLOURS[f.level]), f.what, Text(f.found).append("\n" + f.mend if f.mend else "", "bold"))
    console.print(table)
