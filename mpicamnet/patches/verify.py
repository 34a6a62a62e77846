"""Does patches.h5 still hold what was written? Every row's digest is computed anew, by all ranks. Collective."""
from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from ..errors import UserError
from ..ranks import Comm, fence
from .schema import SCHEMA, row_digests
from .store import content_digest

AT_ONCE = 32 << 20  # bytes of rows


def verify(path: Path, comm: Comm) -> int:
    """The number of rows, every one of which holds; collective.

    Raises UserError on all ranks where a row's bytes do not give its digest, or the digests not the file's.
    """
    told = np.zeros(2, np.int64)  # rows that do not hold, rows
    first = -1
    with fence(comm, path), _opened(path) as f:
        rows = len(f["slide"])
        mine = range(rows * comm.rank // comm.size, rows * (comm.rank + 1) // comm.size)
        bad = broken_rows(f, mine)
        told[:] = len(bad), rows
        first = int(bad[0]) if len(bad) else -1
        if comm.rank == 0 and content_digest(f["row_digest"], rows) != str(f.attrs["content_digest"]):
            raise UserError("the digests of the rows do not give the file's", path, "it was changed after it was made: `mpicamnet extract` makes it anew "
                            "once it is removed")
    counts, firsts = comm.allgather(int(told[0])), comm.allgather(first)
    if sum(counts):
        row = next(r for r in firsts if r >= 0)
        raise UserError(f"{sum(counts):,} of {told[1]:,} rows do not give their digests, the first is row {row:,}", path,
                        "the file was damaged after it was made: remove it, and `mpicamnet extract` makes it anew")
    return int(told[1])


def broken_rows(f: h5py.File, rows: range) -> npt.NDArray[np.int64]:
    """The rows among `rows` whose content does not give their digest, int64."""
    names = f["slides/name"][...]
    patch = f["pixels"].shape[1] if "pixels" in f else 0
    step = max(1, AT_ONCE // max(1, patch * patch * 3))
    bad = [np.zeros(0, np.int64)]
    for first in range(rows.start, rows.stop, step):
        last = min(rows.stop, first + step)
        slide = f["slide"][first:last]
        xy, label, payloads = f["xy"][first:last], f["label"][first:last], _payloads(f, first, last)
        digests = np.zeros((last - first, 16), np.uint8)
        cuts = [0, *(np.flatnonzero(np.diff(slide)) + 1).tolist(), len(slide)]
        for a, b in zip(cuts, cuts[1:], strict=False):
            digests[a:b] = row_digests(bytes(names[slide[a]]), xy[a:b], label[a:b], payloads[a:b])
        bad.append(first + np.flatnonzero((digests != f["row_digest"][first:last]).any(axis=1)))
    return np.concatenate(bad)


def _payloads(f: h5py.File, first: int, last: int) -> Any:
    if "pixels" in f:
        return f["pixels"][first:last].reshape(last - first, -1)
    if "jpeg" in f:
        ends = f["jpeg/offset"][first:last + 1].astype(np.int64)
        data = f["jpeg/bytes"][ends[0]:ends[-1]].tobytes()
        return [data[a:b] for a, b in zip(ends[:-1] - ends[0], ends[1:] - ends[0], strict=True)]
    return [None] * (last - first)


def _opened(path: Path) -> h5py.File:
    try:
        f = h5py.File(path, "r")
    except FileNotFoundError:
        raise UserError("there is no patches.h5", path, "run `mpicamnet extract` first") from None
    except OSError as e:
        raise UserError("this is not a whole HDF5 file", path, "remove it, and `mpicamnet extract` makes it anew (" + " ".join(str(e).split())[:80] + ")") \
            from None
    if str(f.attrs.get("schema")) != SCHEMA:
        f.close()
        raise UserError(f"this file is of schema {f.attrs.get('schema')}, not {SCHEMA}", path, "run `mpicamnet extract` with this version")
    return f
