"""The plan in short, which `run` begins with: only what costs nothing to know. Extraction says its rows and bytes once it has seen the slides."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..config import Config
from ..slides import SlideRecord
from ..timings import likeness, read_timings
from ..words import duration, size
from .space import free_space


def brief(config: Config, records: Sequence[SlideRecord], stages: Sequence[str], ranks: int) -> list[str]:
    """Lines of what lies ahead: `stages`, of `records`, on `ranks` ranks."""
    paths = [Path(r.path) for r in records]
    read = sum(p.stat().st_size for p in paths if p.is_file())
    lines = [f"plan: {', '.join(stages)}; {len(records):,} slides, {size(read)}; {size(free_space(Path(config.work)))} free in {config.work}"]
    last = {t.stage: t for t in read_timings(Path(config.work) / "timing.jsonl")[0]}
    like = [last[s] for s in stages if s in last and last[s].like == likeness(s, config)]
    if like:
        lines.append("  last time: " + ", ".join(f"{t.stage} {duration(t.seconds)} on {t.ranks:,}" for t in like) + f" (now {ranks:,} rank{'s' * (ranks > 1)})")
    return lines
