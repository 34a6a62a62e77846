"""Cohorts drawn by program, from laptop size to 100,000 px square. Light to import: what draws is loaded when it is asked for."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .command import add_arguments, run

if TYPE_CHECKING:
    from .cohort import draw_cohort
    from .shapes import Polygon
    from .slide import draw_slide

__all__ = ["Polygon", "add_arguments", "draw_cohort", "draw_slide", "run"]
_HOMES = {"Polygon": "shapes", "draw_cohort": "cohort", "draw_slide": "slide"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f".{_HOMES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
