"""Whose turn it is on a node, on 1 to 4 ranks."""
from __future__ import annotations

import pytest

from mpicamnet.ranks import Communicators, Turn
from tests.launch import on_ranks


def takes(comms: Communicators) -> list[bool]:
    """What the ranks are told, one after the other, while the first has taken its turn; while it has one that it did not ask for; after that."""
    turn, found = Turn(comms.node), []
    for forced in (False, True):
        if comms.node.rank == 0:
            found.append(True if forced else turn.take())
        if forced and comms.node.rank == 0:
            turn.__enter__()
        comms.node.Barrier()
        if comms.node.rank != 0:
            found.append(turn.take())
        comms.node.Barrier()
        if comms.node.rank == 0:
            turn.__exit__(None, None, None)
        comms.node.Barrier()
    for rank in range(comms.node.size):
        if rank == comms.node.rank:
            found.append(turn.take())
            with turn:
                pass
        comms.node.Barrier()
    turn.close()
    return found


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_a_turn_is_one_ranks_and_ends_with_the_with(ranks: int) -> None:
    first, *others = on_ranks(ranks, takes)
    assert first == [True, True, True]
    assert others == [[False, False, True]] * (ranks - 1)
