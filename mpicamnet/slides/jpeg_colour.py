"""From samples to RGB, for jpeg_tile.py: "fancy" upsampling (jdsample.c) and colours (jdcolor.c), to the bit."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..compiled import compiled
from .jpeg_dct import mod32, word

MADE_OF = ("jpeg_dct.py", "0f85623e365e")  # see synth/noise.py

_i32, _i16, _u64, _u32, _u16, _u8 = np.int32, np.int16, np.uint64, np.uint32, np.uint16, np.uint8
_0, _1, _2, _3, _15, _16, _64 = (_u64(v) for v in (0, 1, 2, 3, 15, 16, 64))
# 2^16 times 0.402, -0.228, -0.34414 and 0.28586: jdcolor.c's factors less whole ones, which are added apart, so that 16 bits hold them.
_F402, _F228, _F344, _F285 = mod32(26345), mod32(-14942), mod32(-22554), mod32(18734)
_half = _u32(1 << 15)


@compiled
def _rgb_byte(v: Any) -> Any:
    return _u8(min(max(_i16(v), _i16(0)), _i16(255)))


@compiled
def _whole(v: Any) -> Any:
    """An int32, as uint32, of 2^-16, rounded."""
    return _u16(_i32(_u32(v + _half)) >> _i32(16))


@compiled
def paint(bytes_: Any, first: Any, last: Any, height: Any, width: Any, h: Any, v: Any, rgb: Any, stride: Any, colours: Any, sums: Any, wide: Any,
          out: Any) -> None:
    """Lines `first` to `last` of the tile: colours upsampled, and all of it made RGB.

    `bytes_` holds two MCU rows, in turn. `colours`: where Cb and Cr begin, and their stride. A colour's sample weighs 3/4, its neighbour 1/4, in
    either direction; beyond the edge lies the sample at the edge.
    """
    samples, lines, space = (width + h - _1) // h, (height + v - _1) // v, stride + _64
    for line in range(first, last):
        near = _u64(line) // v
        far = near
        if v == _2:
            if _u64(line) & _1 == _0:
                far = near - _1 if near > _0 else near
            elif near + _1 < lines:
                far = near + _1
        for c in range(2):
            a, b = colours[c] + (near & _15) * colours[2], colours[c] + (far & _15) * colours[2]
            to = space * _u64(c)
            if h == _1:
                for j in range(samples):
                    wide[to + _u64(j)] = bytes_[a + _u64(j)]
                continue
            middle = to + _1
            if v == _2:
                for j in range(samples):
                    sums[middle + _u64(j)] = _u16(_u16(bytes_[a + _u64(j)]) * _u16(3) + _u16(bytes_[b + _u64(j)]))
            else:
                for j in range(samples):
                    sums[middle + _u64(j)] = _u16(bytes_[a + _u64(j)])
            sums[to] = sums[middle]
            sums[middle + samples] = sums[to + samples]
            if v == _2:
                for j in range(samples):
                    i, k = to + _u64(j), to + _2 * _u64(j)
                    this = _u16(sums[i + _1] * _u16(3))
                    wide[k] = _u8(_u16(_u16(_u16(this + sums[i]) + _u16(8)) >> _u16(4)))
                    wide[k + _1] = _u8(_u16(_u16(_u16(this + sums[i + _2]) + _u16(7)) >> _u16(4)))
            else:
                for j in range(samples):
                    i, k = to + _u64(j), to + _2 * _u64(j)
                    this = _u16(sums[i + _1] * _u16(3))
                    wide[k] = _u8(_u16(_u16(_u16(this + sums[i]) + _u16(1)) >> _u16(2)))
                    wide[k + _1] = _u8(_u16(_u16(_u16(this + sums[i + _2]) + _u16(2)) >> _u16(2)))
        at, to = (_u64(line) & (v * _16 - _1)) * stride, _u64(line) * width * _3
        if rgb:
            for j in range(width):
                i, k = _u64(j), to + _3 * _u64(j)
                out[k], out[k + _1], out[k + _2] = bytes_[at + i], wide[i], wide[space + i]
            continue
        for j in range(width):
            i, k = _u64(j), to + _3 * _u64(j)
            luma = _u16(bytes_[at + i])
            cb, cr = _u16(_u16(wide[i]) - _u16(128)), _u16(_u16(wide[space + i]) - _u16(128))
            blue, red = word(_i16(cb)), word(_i16(cr))
            out[k] = _rgb_byte(_u16(luma + _u16(_whole(_u32(red * _F402)) + cr)))
            out[k + _1] = _rgb_byte(_u16(luma + _u16(_whole(_u32(_u32(blue * _F344) + _u32(red * _F285))) - cr)))
            out[k + _2] = _rgb_byte(_u16(luma + _u16(_u16(_whole(_u32(blue * _F228)) + cb) + cb)))
