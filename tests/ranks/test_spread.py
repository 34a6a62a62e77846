"""Pieces that one rank reads arrive everywhere, in order; a failure of any rank is told to all, and nobody is left waiting."""
from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mpicamnet.errors import UserError
from mpicamnet.ranks import Communicators, among, node_leaders, spread
from tests.launch import on_ranks

SIZES = [5, 7, 1, 0, 300_000, 2, 9, 4]


def carry(comms: Communicators, root: int, fail_in: str, rank: int) -> dict[str, Any]:
    read: list[int] = []
    got: list[tuple[int, int]] = []

    def fill(k: int, piece: Any) -> None:
        read.append(k)
        if fail_in == "read" and k == 4:
            raise OSError(5, "Input/output error")
        piece[:] = k + 1

    def take(k: int, piece: Any) -> None:
        if fail_in == "put" and k == 2 and comms.world.rank == rank:
            raise UserError("no luck", "disk", "another")
        assert len(piece) == SIZES[k] and np.all(piece == k + 1)
        got.append((k, len(piece)))

    error = ""
    try:
        spread(comms.world, root, SIZES, fill, take)
    except Exception as e:
        error = f"{type(e).__name__}: {e}"
    comms.world.Barrier()
    return {"read": read, "got": got, "error": error}


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_every_piece_is_read_once_and_put_everywhere_in_order(ranks: int) -> None:
    root = ranks - 1
    outcomes = on_ranks(ranks, carry, root, "", -1)
    assert [o["read"] for o in outcomes] == [list(range(len(SIZES))) if r == root else [] for r in range(ranks)]
    assert all(o["got"] == [[k, n] for k, n in enumerate(SIZES)] and not o["error"] for o in outcomes)


@pytest.mark.parametrize("ranks", [1, 2, 3])
@pytest.mark.parametrize(("fail_in", "words"), [("read", "UserError: input/output error"), ("put", "UserError: no luck: disk: another")])
def test_a_failure_of_one_rank_is_raised_on_all(ranks: int, fail_in: str, words: str) -> None:
    outcomes = on_ranks(ranks, carry, 0, fail_in, ranks - 1)
    assert all(o["error"].startswith(words) for o in outcomes), outcomes


def groups(comms: Communicators) -> list[int]:
    leaders = node_leaders(comms.world, comms.node)
    part = among(comms.world, (0, 2))
    return [leaders.size if leaders is not None else 0, part.size if part is not None else 0, part.rank if part is not None else -1]


def test_a_node_has_one_leader_and_a_group_only_its_members() -> None:
    assert on_ranks(4, groups) == [[1, 2, 0], [0, 0, -1], [0, 2, 1], [0, 0, -1]]
