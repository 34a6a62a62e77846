"""`mpicamnet plan`: what a run would do, printed. Reads the slides' masks and outlines, and px of a few hundred windows."""
from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path

from .. import config as cfg
from ..errors import DONE, SLIDES_FAILED, SlideError, UserError
from ..patches.plan import SlidePlan, plan_slide
from ..slides import SlideRecord, catalogue, catalogue_digest
from ..stages import STAGES, state
from ..timings import read_timings
from ..train import first_weights, read_card
from ..words import duration, size
from . import costs, warning
from .estimate import Estimate, by_last, estimates, in_one_process
from .space import free_space
from .work import Work, work_of

TENSORFLOW = ("train", "infer", "explain")


@dataclasses.dataclass(frozen=True)
class Plan:
    """A plan in numbers: all stages, the names of those that are `done`, warnings; `free`: bytes where `work` is; `failed`: slides left out."""

    config: cfg.Config
    records: list[SlideRecord]
    slides: list[SlidePlan]
    failed: list[SlideError]
    start: Path | None
    work: Work
    stages: list[Estimate]
    done: frozenset[str]
    free: float
    warnings: list[str]

    @property
    def todo(self) -> list[Estimate]:
        return [e for e in self.stages if e.stage not in self.done]


def print_plan(config_path: Path, overrides: list[str], ranks: int) -> int:
    """Print the plan for `ranks` ranks; returns the exit code that a run would begin with. Raises UserError as a run would."""
    plan = make_plan(cfg.load(config_path, overrides), ranks)
    for name, text in _heading(plan):
        print(f"{name:>18}  {text}")
    print()
    print(*_table(plan, ranks), sep="\n")
    for line in plan.warnings:
        print(f"warning: {line}")
    return SLIDES_FAILED if plan.failed else DONE


def make_plan(config: cfg.Config, ranks: int) -> Plan:
    """Look at all slides and estimate all stages. Raises UserError where not one slide can be used, or the first weights are not there."""
    records = catalogue(config.data)
    start = first_weights(config.train, config.data.patch)
    slides: list[SlidePlan] = []
    failed: list[SlideError] = []
    for i, record in enumerate(records):
        try:
            slides.append(plan_slide(record, i, config, config.extract.stride or config.data.patch))
        except SlideError as e:
            failed.append(e)
            print(f"mpicamnet: warning: slide left out: {e}", file=sys.stderr)
    if not slides:
        raise UserError("not one slide can be used", config.data.root or config.data.csv, "see the lines above")
    work = work_of(slides, records, config)
    last = {t.stage: t for t in read_timings(Path(config.work) / "timing.jsonl")[0]}
    network = read_card(Path(config.infer.model))[0].model if config.infer.model is not None else config.train.model
    stages = [by_last(e, last.get(e.stage), config, ranks) for e in estimates(work, config, ranks, network)]
    done = _done(config, records)
    first = next((e.stage for e in stages if e.stage in TENSORFLOW and e.stage not in done), None)
    stages = [dataclasses.replace(e, seconds=e.seconds + costs.IMPORTS) if e.stage == first and not e.timed else e for e in stages]
    todo = in_one_process([e for e in stages if e.stage not in done])
    stages = [next((t for t in todo if t.stage == e.stage), e) for e in stages]
    free = free_space(Path(config.work))
    node = os.cpu_count() or 1, float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    said = [warning.too_many_ranks(work, ranks), warning.no_space(sum(e.size for e in todo), free, config.work), warning.no_memory(todo, ranks, *node)]
    if "train" not in done:
        said += [warning.nothing_to_train(work), warning.batch_too_large(work, config, ranks)]
    return Plan(config, records, slides, failed, start, work, stages, done, free, [line for line in said if line])


def _done(config: cfg.Config, records: list[SlideRecord]) -> frozenset[str]:
    digest, done = catalogue_digest(records), set()
    for stage in STAGES:
        try:
            if state(stage, config, digest).done:
                done.add(stage.name)
        except UserError:  # what it reads is not there, or is to be made anew
            continue
    return frozenset(done)


def _heading(plan: Plan) -> list[tuple[str, str]]:
    slides, work, config = plan.slides, plan.work, plan.config
    patch, extract = config.data.patch, config.extract
    empty = [p.record.name for p in slides if not p.places]
    sampled = f"dense, every {extract.stride or patch} px" if extract.sampling == "dense" else f"random, {extract.per_class:,} per class and slide"
    mpp = slides[0].resolution.mpp
    return [
        ("slides", f"{len(slides)} of {len(plan.records)}" + (f", without tissue: {', '.join(empty[:5])}" if empty else "")),
        ("annotated", f"{sum(p.annotated for p in slides)} with tumour outlines, "
                      f"{sum(p.record.background == 0 and not p.annotated for p in slides)} known negative"),
        ("sampling", f"{sampled}; patches of {patch} px" + (f" at {mpp:.3g} um per px" if mpp else "")),
        ("windows on tissue", f"{work.windows:,}"),
        ("rows", f"about {work.rows:,}, at most {work.most:,}: {work.passing:.0%} of some windows looked at are neither too white nor too black"),
        ("training", f"about {work.train:,} rows train, {work.val:,} validate"),
        ("network", f"{config.train.model}, from {plan.start or 'random weights'}"),
    ]


def _table(plan: Plan, ranks: int) -> list[str]:
    """A line per stage, then what all of them take."""
    rows = [("stage", "work", "about", "writes", "a rank's memory")]
    for e in plan.stages:
        rows.append((e.stage, e.work, "done", "", "") if e.stage in plan.done else
                    (e.stage, e.work, duration(e.seconds) + "*" * e.timed, size(e.size), size(e.memory)))
    todo = plan.todo
    if todo:
        rows.append(("all", f"on {ranks:,} rank{'s' * (ranks > 1)}", duration(sum(e.seconds for e in todo)), size(sum(e.size for e in todo)),
                     size(max(e.memory for e in todo))))
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    lines = ["  ".join((row[0].ljust(widths[0]), row[1].ljust(widths[1]), *(row[k].rjust(widths[k]) for k in (2, 3, 4)))).rstrip() for row in rows]
    read = sum(Path(r.path).stat().st_size for r in plan.records if Path(r.path).is_file())
    if todo:
        lines.append(_origin(todo))
    return [*lines, f"files: {size(read)} of slides are read; {plan.config.work} has {size(plan.free)} free"]


def _origin(todo: list[Estimate]) -> str:
    timed = [e.stage for e in todo if e.timed]
    if len(timed) == len(todo):
        return "times and memory (*): from the last run here, scaled by work and ranks"
    ordinary = "of a core of an ordinary machine for each rank; GPUs are not reckoned with"
    return f"times: *from the last run here, scaled by work and ranks; else {ordinary}" if timed else f"times: {ordinary}"
