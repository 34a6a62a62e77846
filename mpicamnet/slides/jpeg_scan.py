"""From the bytes of a scan to coefficients (ITU-T T.81, annex F.2.2), for jpeg_tile.py."""
from __future__ import annotations

from typing import Any

import numpy as np

from ..compiled import compiled
from .jpeg_codes import BITS, END
from .jpeg_dct import CHUNK, LANES

MADE_OF = ("jpeg_codes.py", "jpeg_dct.py", "39aa99cc3219")  # see synth/noise.py

FIELDS = 6  # of a line of `blocks`, see jpeg_tile.py
PAD = 2048  # bytes beyond a scan's data that may be read: more than an MCU of 6 x 64 of the longest codes can take before it is noticed

_i64, _i16, _u64, _u8 = np.int64, np.int16, np.uint64, np.uint8
_0, _1, _2, _3, _4, _5, _6, _7, _8 = (_u64(v) for v in range(9))
_15, _16, _24, _32, _40, _48, _56, _63, _64, _255 = (_u64(v) for v in (15, 16, 24, 32, 40, 48, 56, 63, 64, 255))
_fields, _lanes, _chunk, _end = _u64(FIELDS), _u64(LANES), _u64(CHUNK), _u64(END)
_top, _wider = _u64(64 - BITS), _u64(16 - BITS)
_marker = _u8(0xFF)


@compiled
def unstuffed(source: Any, at: Any, target: Any) -> Any:
    """Copy entropy-coded data without its stuffed zeros (B.1.1.5) up to a marker. Bytes copied, where the marker ends, and its code (0: no marker)."""
    n, to = _u64(source.shape[0]), _0
    while at < n:
        if at + _64 <= n:
            found = _u8(0)
            for j in range(64):
                byte = source[at + _u64(j)]
                target[to + _u64(j)] = byte
                found |= _u8(byte == _marker)
            if found == _u8(0):
                at += _64
                to += _64
                continue
            while source[at] != _marker:
                at += _1
                to += _1
        elif source[at] != _marker:
            target[to] = source[at]
            at += _1
            to += _1
            continue
        if at + _1 >= n:
            break
        if source[at + _1] != _u8(0):
            return to, at + _2, source[at + _1]
        target[to] = _marker
        at += _2
        to += _1
    return to, n, _u8(0)


@compiled
def load(data: Any, at: Any) -> Any:
    """64 bits from byte `at` on: one instruction."""
    return (_u64(data[at]) << _56 | _u64(data[at + _1]) << _48 | _u64(data[at + _2]) << _40 | _u64(data[at + _3]) << _32
            | _u64(data[at + _4]) << _24 | _u64(data[at + _5]) << _16 | _u64(data[at + _6]) << _8 | _u64(data[at + _7]))


@compiled
def _extended(bits: Any, size: Any) -> Any:
    """The number that the first `size` (1 to 15) of these 64 bits stand for (F.2.2.1: EXTEND)."""
    value = _i64(bits >> (_64 - size))
    return value - (_i64(_1 << size) - 1) if value < _i64(_1 << (size - _1)) else value


@compiled
def _long_dc(bits: Any, code: Any) -> Any:
    """A DC difference as dc's entries are, by its code; 0: no code."""
    n, size = code >> _8, code & _15
    if code == _0:
        return _i64(0)
    return (_extended(bits << n, size) if size != _0 else _i64(0)) << 8 | _i64(n + size)


@compiled
def scan(data: Any, end: Any, state: Any, dc: Any, ac: Any, dc_codes: Any, ac_codes: Any, blocks: Any, first: Any, last: Any, places: Any,
         coefficients: Any) -> Any:
    """Decode MCUs `first` to `last` of a row; False at the first thing that is wrong.

    `state`: byte, bits in hand, how many (at least BITS, none wrong), and the three DC predictions. Bits come in while the look-up that needs none
    of them is under way; four look-ups go by until that is needed again.
    """
    byte, bits, have = state[_0], state[_1], state[_2]
    count = _u64(blocks.shape[0]) // _fields
    table = blocks[_3]
    for mcu in range(first, last):
        for block in range(count):
            b = _fields * _u64(block)
            column = _u64(mcu) * blocks[b + _1] + blocks[b + _2]
            at = blocks[b] + column // _lanes * _chunk + column % _lanes
            channel, following = blocks[b + _4] + _3, blocks[b + _5]
            difference = _i64(dc[table + (bits >> _top)])
            bits |= load(data, byte) >> have
            byte += (_63 - have) >> _3
            have |= _56
            if difference == 0:
                difference = _long_dc(bits, _u64(dc_codes[(table << _wider) + (bits >> _48)]))
                if difference == 0:
                    return False
            value = _i64(state[channel]) + (difference >> 8)
            if value > 32767 or value < -32768:
                return False
            state[channel] = _u64(value)
            coefficients[at] = _i16(value)
            n = _u64(difference) & _63
            bits <<= n
            have -= n
            k = _0  # where the last coefficient was
            while k < _63:
                for step in range(4):
                    e = ac[table + (bits >> _top)]
                    if step == 0:
                        bits |= load(data, byte) >> have
                        byte += (_63 - have) >> _3
                        have |= _56
                    coefficients[at + places[k + (e >> _8 & _255)]] = _i16(_i64(e) >> 32)
                    k += e >> _16 & _255
                    coefficients[at + places[k]] = _i16(_i64(e) >> 48)
                    bits <<= e & _63
                    have -= e & _63
                    if k >= _63:
                        break
                if k < _63:
                    continue
                if k == _63 or k - _end < _63:  # an end of block after the last coefficient is not this block's
                    break
                # One coefficient by its code: it is too long for the table, or it is the block's last, and the entry's second is the next block's.
                k -= e >> _16 & _255
                code = _0
                if e & _63 == _0:
                    bits |= load(data, byte) >> have
                    byte += (_63 - have) >> _3
                    have |= _56
                    code = e >> _32 & _u64(0xFFFF)
                else:
                    place = byte * _8 - have - (e & _63)
                    byte = (place >> _3) + _7
                    bits = load(data, place >> _3) << (place & _7)
                    have = _56 - (place & _7)
                if code == _0:
                    code = _u64(ac_codes[(table << _wider) + (bits >> _48)])
                    if code == _0:
                        return False
                n, run, size = code >> _8, code >> _4 & _15, code & _15
                if size != _0:
                    k += run + _1
                    if k > _63:
                        return False
                    coefficients[at + places[k]] = _i16(_extended(bits << n, size))
                    n += size
                elif run == _15:
                    k += _16
                else:
                    k = _end
                bits <<= n
                have -= n
            if k > _63 and k < _end:
                return False
            table = following
        if byte > end + _8:
            return False
    state[_0], state[_1], state[_2] = byte, bits, have
    return True


@compiled
def ended(state: Any, end: Any) -> Any:
    """Whether all data is used up, but for the bits that fill the last byte."""
    used = state[_0] * _8 - state[_2]
    return used <= end * _8 and end * _8 < used + _8
