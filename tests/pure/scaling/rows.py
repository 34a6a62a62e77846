"""Rows of the table, made up."""
from __future__ import annotations

from scaling.table import Row


def row(ranks: int, seconds: float, repeat: int = 0, phase: str = "stage", tiles: int = 1000, study: str = "strong", mean: float | None = None) -> Row:
    return Row("c", "d", "h", 2, 0.0, "t", study, "extract", ranks, 1, 4096, tiles, repeat, "extract", phase, seconds, mean or seconds, seconds, 5, tiles)
