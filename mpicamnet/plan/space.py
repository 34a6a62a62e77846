"""How much room there is."""
from __future__ import annotations

import shutil
from pathlib import Path


def free_space(work: Path) -> float:
    """Bytes that a user may still write where `work` is, or will be."""
    there = next(p for p in (work.absolute(), *work.absolute().parents) if p.exists())
    return float(shutil.disk_usage(there).free)
