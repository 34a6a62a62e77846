"""Which threads a rank gets."""
from __future__ import annotations

from mpicamnet.train.engine import start_tensorflow


def test_tensorflow_has_the_threads_of_the_config_and_not_all_cores() -> None:
    tf, _ = start_tensorflow(1)
    assert tf.config.threading.get_intra_op_parallelism_threads() == 1
    assert tf.config.threading.get_inter_op_parallelism_threads() == 1
