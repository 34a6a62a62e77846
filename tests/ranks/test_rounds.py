"""Rounds on 1 to 7 ranks: same outcome, every failure told to all, nobody left waiting."""
from __future__ import annotations

import os
import signal
import time
from typing import Any

import numpy as np
import pytest

from mpicamnet.errors import STOPPED, UserError
from mpicamnet.ranks import Clock, Communicators, Rounds, Share, Signals, Standing, agree
from tests.launch import on_ranks

WEIGHTS = [3, 1, 4, 1, 5, 2, 6, 5, 3, 5, 1, 1]


class Odd:
    """Keeps the odd numbers below each block's weight; the list of all, in block order, is what every number of ranks must give."""

    def __init__(self, fail_in: str = "", rank: int = -1, me: int = 0, stop_at: int = -1):
        self.put_down: list[tuple[int, list[int]]] = []
        self.marks: list[tuple[int, int]] = []
        self.fail_in, self.failing, self.stop_at = fail_in, rank == me, stop_at

    def work(self, share: Share) -> list[int]:
        if self.fail_in == "work" and self.failing:
            raise UserError("no luck", "block", "try again")
        if share.start <= self.stop_at < share.stop:
            os.kill(os.getpid(), signal.SIGUSR1)
        return [100 * b + i for b in range(share.start, share.stop) for i in range(WEIGHTS[b]) if i % 2]

    def sizes(self, outcome: list[int] | None) -> tuple[int]:
        return (len(outcome or []),)

    def put(self, outcome: list[int], before: Any, total: Any) -> None:
        if self.fail_in == "put" and self.failing:
            raise OSError(28, "No space left on device")
        self.put_down.append((int(before[0]), outcome))

    def finished(self, blocks: int, before: Any) -> None:
        if self.fail_in == "finished":
            raise ValueError("a fault")
        self.marks.append((blocks, int(before[0])))


def walk(comms: Communicators, most: int, start: int, begun: int, fail_in: str = "", rank: int = -1, stop_at: int = -1) -> dict[str, Any]:
    task = Odd(fail_in, rank, comms.world.rank, stop_at)
    rounds: Rounds[list[int]] = Rounds(comms.world, np.array(WEIGHTS, np.int64), most, Clock(), Signals())
    error = ""
    try:
        total = rounds.run(task, start, np.array([begun]), lambda now: None).tolist()
    except Exception as e:
        error, total = f"{type(e).__name__} {getattr(e, 'code', '')}: {e}", []
    agree(comms.world, None)  # nobody is still waiting elsewhere
    return {"rows": task.put_down, "marks": task.marks, "total": total, "error": error}


def put_together(outcomes: list[dict[str, Any]]) -> list[int]:
    placed = sorted((at, rows) for o in outcomes for at, rows in o["rows"] if rows)
    out: list[int] = []
    for at, rows in placed:
        assert at == len(out), "a gap or an overlap"
        out += rows
    return out


EXPECTED = [100 * b + i for b, w in enumerate(WEIGHTS) for i in range(w) if i % 2]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7, 14])
def test_any_number_of_ranks_gives_the_same_rows_at_the_same_places(ranks: int) -> None:
    for most in (6, 9, 1000):
        outcomes = on_ranks(ranks, walk, most, 0, 0)
        assert put_together(outcomes) == EXPECTED
        assert all(o["total"] == [len(EXPECTED)] for o in outcomes)
        assert outcomes[0]["marks"][-1] == [len(WEIGHTS), len(EXPECTED)]


def test_marks_name_only_blocks_that_are_put_and_a_later_start_goes_on_from_any_of_them() -> None:
    whole = on_ranks(2, walk, 6, 0, 0)
    for blocks, rows in whole[0]["marks"]:
        assert rows == sum(w // 2 for w in WEIGHTS[:blocks])
    blocks, rows = whole[0]["marks"][1]
    rest = on_ranks(3, walk, 9, blocks, rows)
    assert sorted(sum((r for o in rest for _, r in o["rows"]), [])) == EXPECTED[rows:]


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize(("fail_in", "words"), [("work", "UserError 2: no luck: block: try again"), ("put", "UserError 74: no space left on device"),
                                                ("finished", "RankFault : rank 0:")])
def test_a_failure_anywhere_is_raised_on_all_ranks_in_the_same_words(ranks: int, fail_in: str, words: str) -> None:
    outcomes = on_ranks(ranks, walk, 6, 0, 0, fail_in, ranks - 1)
    assert all(o["error"].startswith(words) for o in outcomes), outcomes


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_a_signal_to_one_rank_stops_all_and_what_was_done_is_marked(ranks: int) -> None:
    outcomes = on_ranks(ranks, walk, 6, 0, 0, "", -1, 2)
    assert all(f"UserError {STOPPED}" in o["error"] for o in outcomes), outcomes
    blocks, rows = outcomes[0]["marks"][-1]
    assert 2 < blocks < len(WEIGHTS)
    assert put_together(outcomes) == EXPECTED[:rows]


class Busy(Odd):
    """The first rank works half a second on its second share, and nudges; notes when that work ended, and when each rank began to put its first outcome."""

    def __init__(self, me: int):
        super().__init__()
        self.slow, self.shares, self.ended, self.placed = me == 0, 0, 0.0, 0.0
        self.nudge: Any = None

    def work(self, share: Share) -> list[int]:
        self.shares += 1
        if self.slow and self.shares == 2:
            until = time.monotonic() + 0.5
            while time.monotonic() < until:
                self.nudge()
            self.ended = time.monotonic()
        return super().work(share)

    def put(self, outcome: list[int], before: Any, total: Any) -> None:
        self.placed = self.placed or time.monotonic()
        super().put(outcome, before, total)


def busy(comms: Communicators) -> tuple[float, float]:
    task = Busy(comms.world.rank)
    rounds: Rounds[list[int]] = Rounds(comms.world, np.array(WEIGHTS, np.int64), 6, Clock(), Signals())
    task.nudge = rounds.nudge
    rounds.run(task, 0, np.array([0]), lambda now: None)
    return task.ended, task.placed


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_a_rank_that_nudges_while_it_works_long_keeps_no_other_from_putting_what_it_has(ranks: int) -> None:
    """Open MPI hands what ranks tell each other through the first rank, and only while that one calls it."""
    (ended, _), *others = on_ranks(ranks, busy)
    assert all(placed < ended - 0.2 for _, placed in others)


class Passing(Odd):
    """Works for 40 ms, putting what is pending in the midst of it, which takes 50 ms more on the last rank. `fail_in`: what fails, once, in the midst of
    work ("put" on the last rank, "finished")."""

    def __init__(self, comm: Any, fail_in: str):
        super().__init__()
        self.fails, self.failed_at = fail_in, -1
        self.last, self.working, self.inside = comm.rank == comm.size - 1, False, 0
        self.longer = 0.05 if self.last and fail_in != "finished" else 0.0  # the first rank marks, and must not be ahead of what it is told
        self.nudge: Any = None

    def work(self, share: Share) -> list[int]:
        outcome, until, before = super().work(share), time.perf_counter() + 0.04, self.inside
        self.working = True
        while time.perf_counter() < until + self.longer * (self.inside > before):
            self.nudge(lambda total: True)
            time.sleep(0.001)
        self.working = False
        return outcome

    def put(self, outcome: list[int], before: Any, total: Any) -> None:
        self.inside += self.working
        time.sleep(self.longer)
        if self.fails == "put" and self.last and self.working:
            self.fails, self.failed_at = "", int(before[0])
            raise OSError(28, "No space left on device")
        super().put(outcome, before, total)

    def finished(self, blocks: int, before: Any) -> None:
        if self.fails == "finished" and self.working:
            self.fails, self.failed_at = "", int(before[0])
            raise OSError(28, "No space left on device")
        super().finished(blocks, before)


def passing(comms: Communicators, fail_in: str) -> dict[str, Any]:
    task = Passing(comms.world, fail_in)
    heard: list[Standing] = []
    rounds: Rounds[list[int]] = Rounds(comms.world, np.array(WEIGHTS, np.int64), 6, Clock(), Signals())
    task.nudge, error = rounds.nudge, ""
    try:
        rounds.run(task, 0, np.array([0]), heard.append)
    except Exception as e:
        error = str(e)
    agree(comms.world, None)
    return {"rows": task.put_down, "marks": task.marks, "inside": task.inside, "error": error, "over": [now.over for now in heard],
            "failed_at": task.failed_at}


@pytest.mark.parametrize("ranks", [1, 2, 3, 4, 7])
def test_what_is_put_in_the_midst_of_work_lies_where_it_would_and_is_no_part_of_the_work(ranks: int) -> None:
    outcomes = on_ranks(ranks, passing, "")
    assert put_together(outcomes) == EXPECTED
    assert outcomes[0]["marks"][-1] == [len(WEIGHTS), len(EXPECTED)]
    for blocks, rows in outcomes[0]["marks"]:
        assert rows == sum(w // 2 for w in WEIGHTS[:blocks])
    inside = sum(o["inside"] for o in outcomes)
    assert inside == 0 if ranks == 1 else inside > len(outcomes[0]["rows"]) // 2  # a rank alone puts at once
    if ranks == 2:
        assert max(outcomes[0]["over"]) < 1.2  # it would be 90 over (90 + 40) / 2


@pytest.mark.parametrize(("ranks", "what"), [(2, "put"), (3, "put"), (4, "put"), (2, "finished")])  # on more ranks too few rounds for a mark in the midst
def test_what_fails_once_in_the_midst_of_work_is_told_to_all_and_nothing_after_it_is_marked(ranks: int, what: str) -> None:
    """Else the file would be said to be whole, with a hole in it."""
    outcomes = on_ranks(ranks, passing, what)
    failed_at = max(o["failed_at"] for o in outcomes)
    assert failed_at >= 0
    assert all("no space left on device" in o["error"] for o in outcomes), outcomes
    assert all(rows <= failed_at for _, rows in outcomes[0]["marks"])


class Tired(Odd):
    """Sleeps 20 ms over each share on one rank, and 2 ms on the others."""

    def work(self, share: Share) -> list[int]:
        time.sleep(0.02 if self.failing else 0.002)
        return super().work(share)


def told(comms: Communicators, tired: int) -> list[Any]:
    heard: list[Standing] = []
    rounds: Rounds[list[int]] = Rounds(comms.world, np.array(WEIGHTS, np.int64), 6, Clock(), Signals())
    rounds.run(Tired("", tired, comms.world.rank), 0, np.array([0]), heard.append)
    return [[now.blocks, now.sums.tolist(), now.slowest, now.over] for now in heard]


@pytest.mark.parametrize("ranks", [1, 2, 3])
def test_after_each_round_all_ranks_know_how_far_they_are_and_which_has_worked_longest(ranks: int) -> None:
    every = on_ranks(ranks, told, ranks - 1)
    assert all(one == every[0] for one in every)
    for blocks, sums, slowest, over in every[0]:
        assert sums == [sum(w // 2 for w in WEIGHTS[:blocks])]  # odd numbers below each weight
        assert slowest == ranks - 1
        assert over == 1 if ranks == 1 else 1.2 < over < ranks  # 20 over (20 + 2) / 2 and (20 + 2 + 2) / 3 are 1.8 and 2.5, where sleeping takes no longer
    assert every[0][-1][0] == len(WEIGHTS)


class Slow(Odd):
    """Sleeps 1 ms per unit of weight, and four times as long on the last rank; counts the weight that was handed to it."""

    def __init__(self, comm: Any):
        super().__init__()
        self.pause, self.had = 0.004 if comm.rank == comm.size - 1 else 0.001, 0

    def work(self, share: Share) -> list[int]:
        self.had += 5 * len(share)
        time.sleep(5 * len(share) * self.pause)
        return []


def uneven(comms: Communicators, beforehand: bool) -> int:
    task = Slow(comms.world)
    rounds: Rounds[list[int]] = Rounds(comms.world, np.full(120, 5, np.int64), 20, Clock(), Signals(), beforehand)
    rounds.run(task, 0, np.array([0]), lambda now: None)
    return task.had


@pytest.mark.parametrize("ranks", [2, 3, 4])
def test_a_slow_rank_is_handed_less_unless_shares_must_be_known_beforehand(ranks: int) -> None:
    """At a quarter of the speed, 1 / (1 + 4 (ranks - 1)) of the work would be its part: a fifth, a ninth, a thirteenth; it is never quite so little."""
    assert on_ranks(ranks, uneven, True) == [600 // ranks] * ranks
    *others, last = on_ranks(ranks, uneven, False)
    assert sum(others) + last == 600
    assert last < 0.75 * 600 / ranks < min(others)
