"""Whose turn it is on a node, on 1 to 4 ranks."""
from __future__ import annotations

import contextlib

import pytest

from mpicamnet.ranks import Communicators, Turn
from tests.launch import on_ranks


def takes(comms: Communicators) -> list[bool]:
    """What each rank is told: the first asks, and the others while it has its turn; the others while it has one unasked; then all, one after the other."""
    node, turn, found = comms.node, Turn(comms.node), []

    def ask(ranks: range) -> None:
        node.Barrier()
        if node.rank in ranks:
            found.append(turn.take())
        node.Barrier()

    first, others = range(1), range(1, node.size)
    ask(first)
    ask(others)
    with turn if node.rank == 0 else contextlib.nullcontext():
        ask(others)
    for rank in range(node.size):
        ask(range(rank, rank + 1))
        if node.rank == rank:
            with turn:
                pass
    turn.close()
    return found


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_a_turn_is_one_ranks_and_ends_with_the_with(ranks: int) -> None:
    first, *others = on_ranks(ranks, takes)
    assert first == [True, True]
    assert others == [[False, False, True]] * (ranks - 1)
