"""What a run would do, before it is queued: slides, blocks, windows, bytes, memory. Starts no MPI and reads no level-0 pixels."""
from __future__ import annotations

import sys
from pathlib import Path

from . import config as cfg
from .errors import DONE, SLIDES_FAILED, SlideError, UserError
from .words import size


def print_plan(config_path: Path, overrides: list[str], ranks: int) -> int:
    """Print the plan for `ranks` ranks; returns the exit code that a run would begin with. Raises UserError as a run would."""
    from .patches.plan import SlidePlan, plan_slide
    from .patches.units import unit_rows, units_of
    from .slides import catalogue
    from .train import first_weights

    config = cfg.load(config_path, overrides)
    records = catalogue(config.data)
    start = first_weights(config.train, config.data.patch)
    extract, patch = config.extract, config.data.patch
    plans: list[SlidePlan] = []
    failed = 0
    for i, record in enumerate(records):
        try:
            plans.append(plan_slide(record, i, config, extract.stride or patch))
        except SlideError as e:
            failed += 1
            print(f"mpicamnet: warning: slide left out: {e}", file=sys.stderr)
    if not plans:
        raise UserError("not one slide can be used", config.data.root or config.data.csv, "see the lines above")
    windows = sum(int(p.windows.sum()) for p in plans)
    units = units_of([p.windows for p in plans], [p.index for p in plans], patch)
    if extract.sampling == "dense":
        rows, sampled = windows, f"dense, every {extract.stride or patch} px"
    else:
        rows = sum(min(extract.per_class, p.places) * ((p.record.background == 0) + p.annotated) for p in plans)
        sampled = f"random, {extract.per_class:,} per class and slide"
    row = {"pixels": patch * patch * 3, "jpeg": patch * patch * 3 // 8, "coords": 0}[extract.storage] + 53
    most = max((extract.buffer << 20) // (patch * patch * 3), unit_rows(patch)) * patch * patch * 3
    memory = (2 * most if extract.storage == "pixels" else most) + (extract.cache << 20) + (300 << 20)
    empty = [p.record.name for p in plans if not p.places]
    lines = [
        ("slides", f"{len(plans)} of {len(records)}" + (f", without tissue: {', '.join(empty[:5])}" if empty else "")),
        ("annotated", f"{sum(p.annotated for p in plans)} with tumour outlines, "
                      f"{sum(p.record.background == 0 and not p.annotated for p in plans)} known negative"),
        ("sampling", f"{sampled}; patches of {patch} px" + (f" at {plans[0].resolution.mpp:.3g} um per px" if plans[0].resolution.mpp else "")),
        ("blocks", f"{len(units):,} with tissue, of {plans[0].grid.block} px"),
        ("windows on tissue", f"{windows:,}"),
        ("rows", f"at most {rows:,} (before the white and black rule)"),
        ("patches.h5", f"at most about {size(rows * row)}"),
        ("network", f"{config.train.model}, from {start or 'random weights'}"),
        ("memory", f"about {size(memory)} per rank"),
        ("ranks", f"{ranks}" + _advice(ranks, len(units) if extract.sampling == "dense" else rows)),
    ]
    for name, text in lines:
        print(f"{name:>18}  {text}")
    return SLIDES_FAILED if failed else DONE


def _advice(ranks: int, pieces: int) -> str:
    return f": more than there is work for; {max(1, pieces)} would do" if ranks > pieces else ""
