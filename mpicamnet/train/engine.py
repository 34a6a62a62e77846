"""TensorFlow, started quietly and with as many threads as the config says; nothing imports it before `start_tensorflow` is called."""
from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

from ..errors import UserError
from ..ranks import Comm
from ..ranks.fence import RankFault

CONTEXT = 500  # MiB that a process takes on a GPU beside its tensors

_threads: int | None = None  # what TensorFlow was started with in this process: it cannot be changed afterwards


def start_tensorflow(threads: int, replicas: int = 1) -> tuple[Any, Any]:
    """The modules (tensorflow, keras), with `threads` threads within an operation and operations one by one.

    `replicas`: ranks that share each GPU; where there are several, each takes its share of the memory, for as long as the process lives.

    Raises UserError where this process has started TensorFlow with another number of threads.
    """
    global _threads
    if _threads is not None and _threads != threads:
        raise UserError(f"`threads` is {threads} here and was {_threads} in the stage before", "train.threads, infer.threads",
                        "TensorFlow takes one number in one process: make them equal, or run the stages apart")
    first = _threads is None
    if first:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    with _silence() if first else contextlib.nullcontext():
        import keras
        import tensorflow as tf
    if first:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(1)
        tf.config.experimental.enable_op_determinism()
        for gpu in tf.config.list_physical_devices("GPU"):
            if replicas == 1:
                tf.config.experimental.set_memory_growth(gpu, True)
            else:
                limit = memory_share(_gpu_memory(), replicas)
                tf.config.set_logical_device_configuration(gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=limit)])
        _threads = threads
    return tf, keras


def memory_share(total: int, replicas: int) -> int:
    """MiB of a GPU's `total` that each of `replicas` may take: what the driver needs for each process stays free."""
    return int(total * 0.95 - replicas * CONTEXT) // replicas


def _gpu_memory() -> int:
    """MiB of the GPU that this process was given."""
    asked = ["nvidia-smi", "--query-gpu=memory.total", "--format=csv,noheader,nounits", f"--id={os.environ['CUDA_VISIBLE_DEVICES']}"]
    try:
        return int(subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True).stdout)
    except (OSError, ValueError, subprocess.SubprocessError) as e:
        raise UserError("the memory of the GPU is not known, and several ranks are to divide it", "nvidia-smi",
                        f"set infer.ranks_per_device to 1 ({type(e).__name__})") from None


@contextlib.contextmanager
def _silence() -> Generator[None, None, None]:
    """Swallow what C++ writes to stderr: TensorFlow greets at import, before its own log level holds. On an error all of it is shown."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said:
        kept = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


@contextlib.contextmanager
def precision(keras: Any, policy: str) -> Generator[None, None, None]:
    """Layers made in here compute in `policy` (Keras' name of it)."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


@contextlib.contextmanager
def horovod(comm: Comm, timeline: Path | None = None) -> Generator[Any, None, None]:
    """Horovod's TensorFlow module, at work on `comm`; collective over it. Rank 0 writes what it does to `timeline`.

    No setting of Horovod but the timeline is made here: after HOROVOD_FUSION_THRESHOLD or HOROVOD_CYCLE_TIME it cannot be started twice in one
    process (0.28.1 crashes in ParameterManager).

    Errors that all ranks raise together end Horovod in order; after a fault of one rank the whole job is aborted, and waiting for it here
    would hang.
    """
    import horovod.tensorflow as hvd

    os.environ.pop("HOROVOD_TIMELINE", None)
    if timeline is not None:  # on all ranks, which agree on it; rank 0 writes
        os.environ["HOROVOD_TIMELINE"] = str(timeline)
    hvd.init(comm=comm)
    try:
        yield hvd
    except (UserError, RankFault):
        hvd.shutdown()
        raise
    hvd.shutdown()
