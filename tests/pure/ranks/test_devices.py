"""Which rank of a node has which GPU."""
from __future__ import annotations

import pytest

from mpicamnet.ranks.communicators import device_of
from mpicamnet.train.engine import memory_share


@pytest.mark.parametrize(("devices", "per_device", "expected"), [
    (["0", "1"], 1, ["0", "1", "-1", "-1", "-1"]),
    (["0", "1"], 2, ["0", "1", "0", "1", "-1"]),
    (["GPU-a"], 5, ["GPU-a"] * 5),
    ([], 2, ["-1"] * 5),
])
def test_devices_are_dealt_out_in_turn_so_that_the_ranks_that_train_keep_theirs(devices: list[str], per_device: int, expected: list[str]) -> None:
    assert [device_of(rank, devices, per_device) for rank in range(5)] == expected


def test_replicas_divide_a_gpus_memory_and_leave_room_for_the_driver() -> None:
    """A V100 of 32,510 MiB and five replicas: 95 % of it less 500 MiB each is 28,384.5 MiB, a fifth of which is 5,676."""
    assert memory_share(32_510, 5) == 5_676
