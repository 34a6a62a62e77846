"""Which devices and threads a rank gets."""
from __future__ import annotations

from mpicamnet.train.engine import device_of, start_tensorflow


def test_each_rank_of_a_node_has_a_device_of_its_own() -> None:
    assert [device_of(["gpu0", "gpu1"], place) for place in range(3)] == [["gpu0"], ["gpu1"], ["gpu0"]]
    assert device_of([], 1) == []


def test_tensorflow_has_the_threads_of_the_config_and_not_all_cores() -> None:
    tf, _ = start_tensorflow(1)
    assert tf.config.threading.get_intra_op_parallelism_threads() == 1
    assert tf.config.threading.get_inter_op_parallelism_threads() == 1
