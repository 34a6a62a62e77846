"""From the coefficients of a row of MCUs to samples, for jpeg_tile.py: libjpeg's accurate inverse DCT (jidctint.c), to the bit.

Coefficients lie by frequency: those of LANES neighbouring blocks side by side, so that the DCT is arithmetic on whole vectors.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ..compiled import compiled, inlined

LANES = 16  # blocks side by side
CHUNK = 65 * LANES  # what they take; the last row takes what lies beyond a block: an end of block, or damage
FIELDS = 6  # of a line of `planes`, see jpeg_tile.py

_i32, _i16, _u64, _u32, _u16 = np.int32, np.int16, np.uint64, np.uint32, np.uint16
_1, _2, _3, _4, _5, _8, _16, _24, _32, _40, _48, _56 = (_u64(v) for v in (1, 2, 3, 4, 5, 8, 16, 24, 32, 40, 48, 56))
_fields, _lanes, _chunk = _u64(FIELDS), _u64(LANES), _u64(CHUNK)
_R1, _R2, _R3, _R4, _R5, _R6, _R7 = (_u64(8 * k * LANES) for k in range(1, 8))  # from row to row of a block
_L1, _L2, _L3, _L4, _L5, _L6, _L7 = (_u64(k * LANES) for k in range(1, 8))  # from column to column


def mod32(constant: int) -> Any:
    return _u32(constant & 0xFFFFFFFF)


# jidctint.c's constants (13 bits), paired as in jidctint-avx2.asm: all sums are then of products of 16 bits.
_E541, _E765, _E1847, _O298, _O390, _O899, _O1175, _O1501, _O1961, _O2053, _O2562, _O3072 = (
    4433, 6270, 15137, 2446, 3196, 7373, 9633, 12299, 16069, 16819, 20995, 25172)
_A22, _A26, _A32, _A36 = mod32(_E541), mod32(_E541 - _E1847), mod32(_E541 + _E765), mod32(_E541)
_B33, _B34, _B44 = mod32(_O1175 - _O1961), mod32(_O1175), mod32(_O1175 - _O390)
_C07, _C01, _C15, _C13 = mod32(_O298 - _O899), mod32(-_O899), mod32(_O2053 - _O2562), mod32(-_O2562)
_C23, _C25, _C31, _C37 = mod32(_O3072 - _O2562), mod32(-_O2562), mod32(_O1501 - _O899), mod32(-_O899)
_13, _ROUND1, _SHIFT1, _ROUND2, _SHIFT2 = _u32(13), _u32(1 << 10), _i32(11), _u32(1 << 17), _i32(18)


@compiled
def word(x: Any) -> Any:
    return _u32(_i32(x))


@inlined
def _dct(x: Any, half: Any, shift: Any) -> Any:
    """Eight samples of a row or column, int32, from int16 coefficients."""
    t2 = _u32(_u32(word(x[2]) * _A22) + _u32(word(x[6]) * _A26))
    t3 = _u32(_u32(word(x[2]) * _A32) + _u32(word(x[6]) * _A36))
    t0, t1 = _u32(word(_i16(x[0] + x[4])) << _13), _u32(word(_i16(x[0] - x[4])) << _13)
    e0, e3 = _u32(_u32(t0 + t3) + half), _u32(_u32(t0 - t3) + half)
    e1, e2 = _u32(_u32(t1 + t2) + half), _u32(_u32(t1 - t2) + half)
    z3, z4 = word(_i16(x[7] + x[3])), word(_i16(x[5] + x[1]))
    y3, y4 = _u32(_u32(z3 * _B33) + _u32(z4 * _B34)), _u32(_u32(z3 * _B34) + _u32(z4 * _B44))
    o0 = _u32(_u32(_u32(word(x[7]) * _C07) + _u32(word(x[1]) * _C01)) + y3)
    o1 = _u32(_u32(_u32(word(x[5]) * _C15) + _u32(word(x[3]) * _C13)) + y4)
    o2 = _u32(_u32(_u32(word(x[3]) * _C23) + _u32(word(x[5]) * _C25)) + y3)
    o3 = _u32(_u32(_u32(word(x[1]) * _C31) + _u32(word(x[7]) * _C37)) + y4)
    return (_i32(_i32(_u32(e0 + o3)) >> shift), _i32(_i32(_u32(e1 + o2)) >> shift), _i32(_i32(_u32(e2 + o1)) >> shift),
            _i32(_i32(_u32(e3 + o0)) >> shift), _i32(_i32(_u32(e3 - o0)) >> shift), _i32(_i32(_u32(e2 - o1)) >> shift),
            _i32(_i32(_u32(e1 - o2)) >> shift), _i32(_i32(_u32(e0 - o3)) >> shift))


@compiled
def _short(v: Any) -> Any:
    return _i16(min(max(v, _i32(-32768)), _i32(32767)))


@compiled
def _byte(v: Any) -> Any:
    return _u16(min(max(_i32(v + _i32(128)), _i32(0)), _i32(255)))


@compiled
def _four(a: Any, b: Any, c: Any, d: Any) -> Any:
    """Four samples around 0 as bytes, the first one lowest."""
    return _u32(_u32(_u16(_byte(a) | _u16(_byte(b) << _u16(8)))) | _u32(_u32(_u16(_byte(c) | _u16(_byte(d) << _u16(8)))) << _u32(16)))


@compiled
def samples_of(coefficients: Any, quantisers: Any, planes: Any, row: Any, work: Any, samples: Any) -> Any:
    """The samples of a row of MCUs, from its coefficients; False where one is beyond what any encoder writes.

    Up to there, sums wrap at 16 bits and saturate where those of libjpeg-turbo's vector instructions (x86) do, so that damaged streams look alike.
    """
    wild = _u16(0)
    for plane in range(_u64(planes.shape[0]) // _fields):
        o = _u64(plane) * _fields
        stride, q = planes[o + _3], planes[o + _4]
        for chunk in range(planes[o + _1]):
            start = planes[o] + _u64(chunk) * _chunk
            for column in range(8):
                c = q + _u64(column)
                q0, q1, q2, q3 = quantisers[c], quantisers[c + _8], quantisers[c + _16], quantisers[c + _24]
                q4, q5, q6, q7 = quantisers[c + _32], quantisers[c + _40], quantisers[c + _48], quantisers[c + _56]
                for lane in range(LANES):
                    to = _u64(column) * _lanes + _u64(lane)
                    i = start + to
                    x = (_i16(coefficients[i] * q0), _i16(coefficients[i + _R1] * q1), _i16(coefficients[i + _R2] * q2),
                         _i16(coefficients[i + _R3] * q3), _i16(coefficients[i + _R4] * q4), _i16(coefficients[i + _R5] * q5),
                         _i16(coefficients[i + _R6] * q6), _i16(coefficients[i + _R7] * q7))
                    wild |= _u16(_u16(x[0] + 8192) | _u16(x[1] + 8192) | _u16(x[2] + 8192) | _u16(x[3] + 8192)
                                 | _u16(x[4] + 8192) | _u16(x[5] + 8192) | _u16(x[6] + 8192) | _u16(x[7] + 8192))
                    y = _dct(x, _ROUND1, _SHIFT1)
                    work[to], work[to + _R1], work[to + _R2], work[to + _R3] = _short(y[0]), _short(y[1]), _short(y[2]), _short(y[3])
                    work[to + _R4], work[to + _R5], work[to + _R6], work[to + _R7] = _short(y[4]), _short(y[5]), _short(y[6]), _short(y[7])
            for line in range(8):
                at = _u64(line) * _R1
                to = planes[o + _2] + (row * planes[o + _5] + _u64(line)) * stride + _u64(chunk) * _lanes
                for lane in range(LANES):
                    i = at + _u64(lane)
                    x = (work[i], work[i + _L1], work[i + _L2], work[i + _L3], work[i + _L4], work[i + _L5], work[i + _L6], work[i + _L7])
                    y = _dct(x, _ROUND2, _SHIFT2)
                    k = _2 * (to + _u64(lane))
                    samples[k], samples[k + _1] = _four(y[0], y[1], y[2], y[3]), _four(y[4], y[5], y[6], y[7])
    return wild & _u16(0xC000) == _u16(0)
