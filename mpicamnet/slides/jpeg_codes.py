"""Huffman codes as tables to look up (ITU-T T.81, annexes C and F.2.2), for jpeg_tile.py: an entry says all of up to two coefficients.

Most codes, with the bits that follow them, are so short that two coefficients fit into BITS bits, and one look-up then does for both: where in
the block they go, their values, and how many bits they took. What is longer is left to the slow way, code by code.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ..compiled import compiled
from .jpeg_header import Codes

BITS = 10  # 8 KB a table: of 9 to 12, what suits a first-level cache of 32 KB best (measured)
END, LONG = 128, 64  # steps beyond any block: at its end, and where the code, or its value, is longer than BITS


def tables(dc: Codes, ac: Codes) -> tuple[Any, Any, Any, Any]:
    """The tables of one channel: `dc` int32 (2^BITS,), `ac` uint64 (2^BITS,), and `dc_codes`, `ac_codes`, uint16 (2^16,), for the slow way.

    dc: value << 8 | bits, 0 where longer. ac: bits | step << 8 | steps << 16 | value << 32 | value << 48, where `step` leads to the first
    coefficient and `steps` to the last. A lone one stands twice. Where longer, bits is 0, both steps are LONG, and the first value is the code's
    entry in ac_codes, if the code is within BITS. Codes: length << 8 | symbol of the code that begins these 16 bits, 0 if none does.
    """
    dc_codes, ac_codes = np.zeros(1 << 16, np.uint16), np.zeros(1 << 16, np.uint16)
    for codes, out in ((dc, dc_codes), (ac, ac_codes)):
        _spread(np.frombuffer(codes.lengths, np.uint8), np.frombuffer(codes.symbols, np.uint8), out)
    dc_table, ac_table = np.zeros(1 << BITS, np.int32), np.zeros(1 << BITS, np.uint64)
    _fill(dc_codes, ac_codes, dc_table, ac_table)
    return dc_table, ac_table, dc_codes, ac_codes


@compiled
def _spread(lengths: Any, symbols: Any, out: Any) -> None:
    code, k = 0, 0
    for n in range(1, 17):
        for _ in range(lengths[n - 1]):
            out[code << (16 - n):(code + 1) << (16 - n)] = np.uint16(n << 8 | np.int64(symbols[k]))
            code += 1
            k += 1
        code <<= 1


@compiled
def _value(bits: Any, size: Any) -> Any:
    """The number that `size` bits stand for (T.81, F.2.2.1: EXTEND)."""
    return bits - ((1 << size) - 1) if size > 0 and bits < 1 << (size - 1) else bits


@compiled
def _fill(dc_codes: Any, ac_codes: Any, dc: Any, ac: Any) -> None:
    for i in range(1 << BITS):
        code: Any = np.int64(dc_codes[i << (16 - BITS)])
        n, size = code >> 8, code & 15
        if code > 0 and n + size <= BITS:
            dc[i] = np.int32(_value((i >> (BITS - n - size)) & ((1 << size) - 1), size) << 8 | (n + size))
        used, count, step, steps = 0, 0, 0, 0
        first: Any = 0
        last: Any = 0
        while count < 2 and steps < END:
            rest = (i << used) & ((1 << BITS) - 1)
            code = np.int64(ac_codes[rest << (16 - BITS)])
            n, run, size = code >> 8, (code >> 4) & 15, code & 15
            if code == 0 or n + size > BITS - used:
                break
            last = _value((rest >> (BITS - n - size)) & ((1 << size) - 1), size)
            if size > 0:
                steps += run + 1
            elif run == 15:
                steps += 16
            else:  # end of block
                steps += END
            used += n + size
            count += 1
            if count == 1:
                step, first = steps, last
        if count == 0:
            code = np.int64(ac_codes[i << (16 - BITS)])
            step, steps, first = LONG, LONG, code if code >> 8 <= BITS else 0
        ac[i] = np.uint64(used | step << 8 | steps << 16 | (first & 0xFFFF) << 32 | (last & 0xFFFF) << 48)
