"""What is wrong with a plan: one line each, with how to mend it."""
from __future__ import annotations

from collections.abc import Sequence

from ..config import Config
from ..words import size
from .estimate import Estimate, training_ranks
from .work import Work

SPARE = 1.1  # free space that a run should find, over what it writes


def too_many_ranks(work: Work, ranks: int) -> str:
    if ranks <= work.pieces or work.pieces == 0:
        return ""
    return f"{ranks:,} ranks are more than there is work for: {work.pieces:,} would do; ask the queue for fewer, or lower extract.block"


def no_space(need: float, free: float, folder: str) -> str:
    """`need`: bytes that are still to be written."""
    if need * SPARE <= free:
        return ""
    return f"{folder} has {size(free)} free, and the run writes about {size(need)}: choose another `work`, or extract.storage jpeg or coords"


def no_memory(todo: Sequence[Estimate], ranks: int, cores: int, memory: float) -> str:
    """A node like this one is taken to hold as many ranks as it has cores. `memory`: of the node, bytes."""
    if not todo:
        return ""
    worst = max(todo, key=lambda e: e.memory)
    together = min(ranks, cores)
    if worst.memory * together <= memory:
        return ""
    fits = max(1, int(memory // worst.memory))
    key = {"train": "train.batch", "infer": "infer.batch", "explain": "explain.batch", "extract": "extract.buffer"}.get(worst.stage, "data.patch")
    return f"{worst.stage} takes about {size(worst.memory)} a rank, {size(worst.memory * together)} on a node with {together:,} ranks, and one like this has " \
        f"{size(memory)}: start {fits:,} on a node, or lower {key}"


def batch_too_large(work: Work, config: Config, ranks: int) -> str:
    ranks = training_ranks(config, ranks)
    together = config.train.batch * ranks
    if work.train == 0 or together <= work.train:
        return ""
    return f"training would refuse: a step takes {together:,} rows ({config.train.batch:,} on each of {ranks:,} ranks), and about {work.train:,} train: " \
        "lower train.batch, or set train.ranks"


def nothing_to_train(work: Work) -> str:
    if work.refusal:
        return f"training would refuse: {work.refusal}"
    for part, rows in (("train", work.train), ("val", work.val)):
        if rows == 0:
            return f"training would refuse: about 0 labelled rows in data.split.{part}: name slides that have outlines or are known to be negative"
    return ""
