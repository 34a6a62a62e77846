"""Slides to the nodes' own disks. `stage` is collective; `copies` knows no MPI."""
from .stage import PHASES, run

__all__ = ["PHASES", "run"]
