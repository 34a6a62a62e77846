"""Fences, gathers and communicators on 1 to 4 ranks."""
from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from mpicamnet.errors import UserError
from mpicamnet.ranks import Communicators, fence, gather_rows, wait_asleep
from tests.launch import begin, end, on_ranks

RANKS = pytest.mark.parametrize("ranks", [1, 2, 3, 4])


def fenced(comms: Communicators, failing: list[int], kind: str) -> str:
    errors = {"user": UserError("bad key", "line 3", "mend it"), "system": PermissionError(13, "Permission denied", "/x"), "fault": KeyError("k")}
    try:
        with fence(comms.world):
            if comms.world.rank in failing:
                raise errors[kind]
    except Exception as e:
        return f"{type(e).__name__}: {e}"
    return "fine"


@RANKS
def test_what_one_rank_raises_inside_a_fence_all_raise(ranks: int) -> None:
    assert on_ranks(ranks, fenced, [], "user") == ["fine"] * ranks
    assert on_ranks(ranks, fenced, [ranks - 1], "user") == ["UserError: bad key: line 3: mend it"] * ranks
    assert on_ranks(ranks, fenced, [0, ranks - 1], "system") == ["UserError: permission denied: /x: choose a `work` that you may write to"] * ranks
    assert all(text.startswith(f"RankFault: rank {ranks - 1}") and "KeyError: 'k'" in text for text in on_ranks(ranks, fenced, [ranks - 1], "fault"))


def spent_in_a_fence(comms: Communicators) -> float:
    begun = time.process_time()
    with fence(comms.world):
        if comms.world.rank == 0:
            time.sleep(1)
    return time.process_time() - begun


def test_ranks_that_wait_in_a_fence_leave_their_core_to_others() -> None:
    assert max(on_ranks(3, spent_in_a_fence)) < 0.5


def gathered(comms: Communicators) -> Any:
    rank = comms.world.rank
    mine = np.full((rank, 2), rank, np.int32)  # rank 0 has none
    on_last = gather_rows(comms.world, mine, root=comms.world.size - 1)
    wait_asleep(comms.world)
    return None if on_last is None else on_last.tolist()


@RANKS
def test_rows_are_gathered_in_rank_order_also_where_a_rank_has_none(ranks: int) -> None:
    expected = [[r, r] for r in range(ranks) for _ in range(r)]
    assert on_ranks(ranks, gathered) == [None] * (ranks - 1) + [expected]


def members(comms: Communicators, most: int | None) -> list[int | None]:
    made = comms.with_members(most)
    return [made.train.size if made.train else None, made.infer.size if made.infer else None, made.node.size]


def test_train_ranks_limits_who_trains_and_no_more() -> None:
    assert on_ranks(3, members, 2) == [[2, 3, 3], [2, 3, 3], [None, 3, 3]]
    assert on_ranks(3, members, None) == [[3, 3, 3]] * 3


def test_an_error_that_no_fence_caught_ends_the_whole_job_with_its_traceback() -> None:
    code = ("import mpicamnet.ranks as r; c = r.start()\n"
            "if c.world.rank == 1: raise RuntimeError('outside')\n"
            "c.world.Barrier()")
    import sys

    p = end(begin(3, sys.executable, "-c", code), 60)
    assert p.returncode == 70
    assert "mpicamnet: fault on rank 1" in p.stderr and "RuntimeError: outside" in p.stderr
