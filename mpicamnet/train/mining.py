"""Hard-negative mining: after some epochs, the normal rows that the network calls tumour are from then on drawn more often.

The rows found stand in train/last/mined.npz, written before the next step is taken: a run that goes on later has other weights, and would find
others.
"""
from __future__ import annotations

import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ..config import Mining
from ..errors import UserError
from ..job import Job
from ..ranks import Comm, fence
from .feed import Feed
from .order import Order, Rows
from .scoring import Forward, logits_of

FILE = "last/mined.npz"


def with_hard_rows(job: Job, comm: Comm, forward: Forward, feed: Feed, order: Order, epoch: int, begun: bool) -> Order:
    """The order of `epoch` (from 0) and of those after it; collective over `comm`.

    Where this epoch is the first after `train.mining.after` and has not `begun`, the normal rows are scored; the result does not depend on the
    number of ranks. In later epochs, and where it has begun, it is read back.
    """
    mining, path = job.config.train.mining, job.work / "train" / FILE
    if mining.after is None or epoch < mining.after:
        return order
    normal = order.rows[order.label == 0]
    hard: Rows | None = None
    if epoch == mining.after and not begun:
        logits = logits_of(comm, job.signals, forward, feed, normal)
        with fence(comm, path):
            if logits is not None:
                hard = normal[false_positives(logits, mining)]
                _write(path, job.digest, hard)
                job.log.say(f"  mined: {len(hard):,} of {len(normal):,} normal patches are called tumour; each is now taken {mining.boost} times as often")
    else:
        with fence(comm, path):
            if comm.rank == 0:
                hard = _read(path, job.digest)
    found: Rows = comm.bcast(hard, root=0)
    return replace(order, hard=found, boost=mining.boost)


def false_positives(logits: npt.NDArray[np.float32], mining: Mining) -> npt.NDArray[np.bool_]:
    """Which normal rows (n,) have a probability of tumour above the threshold."""
    return np.asarray(0.5 * (1 + np.tanh(logits.astype(np.float64) / 2)) > mining.threshold)


def _write(path: Path, digest: str, hard: Rows) -> None:
    partial = path.with_name(path.name + ".partial")
    path.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("wb") as f:
        np.savez(f, digest=np.array(digest), hard=hard)
        f.flush()
        os.fsync(f.fileno())
    partial.replace(path)


def _read(path: Path, digest: str) -> Rows:
    try:
        with np.load(path) as z:
            if str(z["digest"]) == digest:
                return np.asarray(z["hard"], np.int64)
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        pass
    raise UserError("what was mined for this training is not there", path, f"remove {path.parent}: training then begins anew") from None
