"""Counter-based random numbers for many rows at once: what a row draws depends on its name alone, not on who draws it, when, or what else.

NumPy's Philox makes one stream per object, which takes 20 us to make; a row needs a dozen numbers.
"""
from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt

from ..compiled import compiled

ROUNDS = 10
_M0, _M1 = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_W0, _W1 = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)


@compiled
def philox4x32(counters: Any, key: Any) -> Any:
    """Philox4x32-10 of each counter: uint32 (n, 4), key uint32 (2,) -> uint32 (n, 4). Salmon et al., SC 2011."""
    out = np.empty((len(counters), 4), np.uint32)
    for i in range(len(counters)):
        c0, c1, c2, c3 = np.uint64(counters[i, 0]), np.uint64(counters[i, 1]), np.uint64(counters[i, 2]), np.uint64(counters[i, 3])
        k0, k1 = np.uint64(key[0]), np.uint64(key[1])
        for _ in range(ROUNDS):
            p0, p1 = _M0 * c0, _M1 * c2
            c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _LOW, (p0 >> _HALF) ^ c3 ^ k1, p0 & _LOW
            k0, k1 = (k0 + _W0) & _LOW, (k1 + _W1) & _LOW
        out[i, 0], out[i, 1], out[i, 2], out[i, 3] = np.uint32(c0), np.uint32(c1), np.uint32(c2), np.uint32(c3)
    return out


def uniforms(seed: int, word: str, epoch: int, rows: npt.NDArray[np.int64], copies: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.float64]:
    """Numbers in [0, 1) that belong to (seed, word, epoch, row, copy): float64 (n, count).

    `rows`, `copies`: int64 (n,); `copies` below 2**24, `count` at most 1,024.
    """
    key = np.frombuffer(hashlib.sha256(f"{seed}\0{word}".encode()).digest()[:8], "<u4").astype(np.uint32)
    blocks = -(-count // 4)
    counters = np.empty((len(rows), blocks, 4), np.uint32)
    counters[..., 0] = (rows & 0xFFFFFFFF)[:, None]
    counters[..., 1] = (rows >> 32)[:, None]
    counters[..., 2] = epoch
    counters[..., 3] = (copies[:, None] << 8) | np.arange(blocks)
    drawn: npt.NDArray[np.uint32] = philox4x32(counters.reshape(-1, 4), key)
    return np.asarray((drawn.reshape(len(rows), blocks * 4)[:, :count] + 0.5) / 2.0**32, np.float64)
