"""Baseline JPEG (ITU-T T.81) with three channels, decoded by kernels: px are libjpeg-turbo's, to the bit, in two thirds of its time.

Row of MCUs by row of MCUs, so that all stays in the processor's nearest caches: Huffman codes (annex F.2.2), inverse DCT (libjpeg's accurate
integers, jidctint.c), upsampling ("fancy", jdsample.c) and colours (jdcolor.c). A stream that has anything wrong or unusual in it is declined, to
be decoded by libjpeg-turbo.

Coefficients lie by frequency: those of LANES neighbouring blocks side by side, so that the DCT is arithmetic on whole vectors. Places and sizes are
unsigned (see patches/filter.py), and so are sums that may grow beyond 16 or 32 bits: only then does LLVM see that nothing above them is needed, and
keeps the vectors narrow. Whole loops are in one function on purpose: Numba counts references to each array at each call, which costs as much as a
block does. All kernels are in one file since Numba keeps `decode` until this file changes.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ..compiled import compiled, inlined
from .jpeg_codes import BITS, END

LANES = 16  # blocks side by side
CHUNK = 65 * LANES  # what they take; the last row takes what lies beyond a block: an end of block, or damage
PAD = 2048  # bytes beyond a scan's data that may be read: more than an MCU of 6 x 64 of the longest codes can take before it is noticed
FIELDS = 6  # of a line of `blocks` and `planes`, see decode
EOI = np.uint8(0xD9)

_i64, _i32, _i16, _u64, _u32, _u16, _u8 = np.int64, np.int32, np.int16, np.uint64, np.uint32, np.uint16, np.uint8
_0, _1, _2, _3, _4, _5, _6, _7, _8 = (_u64(v) for v in range(9))
_15, _16, _24, _32, _40, _48, _56, _63, _64, _255 = (_u64(v) for v in (15, 16, 24, 32, 40, 48, 56, 63, 64, 255))
_fields, _lanes, _chunk, _end = _u64(FIELDS), _u64(LANES), _u64(CHUNK), _u64(END)
_top, _wider = _u64(64 - BITS), _u64(16 - BITS)
_R1, _R2, _R3, _R4, _R5, _R6, _R7 = (_u64(8 * k * LANES) for k in range(1, 8))  # from row to row of a block
_L1, _L2, _L3, _L4, _L5, _L6, _L7 = (_u64(k * LANES) for k in range(1, 8))  # from column to column
_marker = _u8(0xFF)


@compiled
def _unstuffed(source: Any, at: Any, target: Any) -> Any:
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
def _load(data: Any, at: Any) -> Any:
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
def _scan(data: Any, end: Any, state: Any, dc: Any, ac: Any, dc_codes: Any, ac_codes: Any, blocks: Any, first: Any, last: Any, places: Any,
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
            bits |= _load(data, byte) >> have
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
                for _ in range(1):
                    e = ac[table + (bits >> _top)]
                    bits |= _load(data, byte) >> have
                    byte += (_63 - have) >> _3
                    have |= _56
                    coefficients[at + places[k + (e >> _8 & _255)]] = _i16(_i64(e) >> 32)
                    k += e >> _16 & _255
                    coefficients[at + places[k]] = _i16(_i64(e) >> 48)
                    bits <<= e & _63
                    have -= e & _63
                    if k >= _63:
                        break
                    e = ac[table + (bits >> _top)]
                    coefficients[at + places[k + (e >> _8 & _255)]] = _i16(_i64(e) >> 32)
                    k += e >> _16 & _255
                    coefficients[at + places[k]] = _i16(_i64(e) >> 48)
                    bits <<= e & _63
                    have -= e & _63
                    if k >= _63:
                        break
                    e = ac[table + (bits >> _top)]
                    coefficients[at + places[k + (e >> _8 & _255)]] = _i16(_i64(e) >> 32)
                    k += e >> _16 & _255
                    coefficients[at + places[k]] = _i16(_i64(e) >> 48)
                    bits <<= e & _63
                    have -= e & _63
                    if k >= _63:
                        break
                    e = ac[table + (bits >> _top)]
                    coefficients[at + places[k + (e >> _8 & _255)]] = _i16(_i64(e) >> 32)
                    k += e >> _16 & _255
                    coefficients[at + places[k]] = _i16(_i64(e) >> 48)
                    bits <<= e & _63
                    have -= e & _63
                if k < _63:
                    continue
                if k == _63 or k - _end < _63:  # an end of block after the last coefficient is not this block's
                    break
                # One coefficient by its code: it is too long for the table, or it is the block's last, and the entry's second is the next block's.
                k -= e >> _16 & _255
                code = _0
                if e & _63 == _0:
                    bits |= _load(data, byte) >> have
                    byte += (_63 - have) >> _3
                    have |= _56
                    code = e >> _32 & _u64(0xFFFF)
                else:
                    place = byte * _8 - have - (e & _63)
                    byte = (place >> _3) + _7
                    bits = _load(data, place >> _3) << (place & _7)
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
def _ended(state: Any, end: Any) -> Any:
    """Whether all data is used up, but for the bits that fill the last byte."""
    used = state[_0] * _8 - state[_2]
    return used <= end * _8 and end * _8 < used + _8


def _mod32(constant: int) -> Any:
    return _u32(constant & 0xFFFFFFFF)


# jidctint.c's constants (13 bits), paired as in jidctint-avx2.asm: all sums are then of products of 16 bits.
_E541, _E765, _E1847, _O298, _O390, _O899, _O1175, _O1501, _O1961, _O2053, _O2562, _O3072 = (
    4433, 6270, 15137, 2446, 3196, 7373, 9633, 12299, 16069, 16819, 20995, 25172)
_A22, _A26, _A32, _A36 = _mod32(_E541), _mod32(_E541 - _E1847), _mod32(_E541 + _E765), _mod32(_E541)
_B33, _B34, _B44 = _mod32(_O1175 - _O1961), _mod32(_O1175), _mod32(_O1175 - _O390)
_C07, _C01, _C15, _C13 = _mod32(_O298 - _O899), _mod32(-_O899), _mod32(_O2053 - _O2562), _mod32(-_O2562)
_C23, _C25, _C31, _C37 = _mod32(_O3072 - _O2562), _mod32(-_O2562), _mod32(_O1501 - _O899), _mod32(-_O899)
_HALF, _13, _ROUND1, _SHIFT1, _ROUND2, _SHIFT2 = _u32(1 << 15), _u32(13), _u32(1 << 10), _i32(11), _u32(1 << 17), _i32(18)


@compiled
def _w(x: Any) -> Any:
    return _u32(_i32(x))


@inlined
def _dct(x: Any, half: Any, shift: Any) -> Any:
    """Eight samples of a row or column, int32, from int16 coefficients."""
    t2 = _u32(_u32(_w(x[2]) * _A22) + _u32(_w(x[6]) * _A26))
    t3 = _u32(_u32(_w(x[2]) * _A32) + _u32(_w(x[6]) * _A36))
    t0, t1 = _u32(_w(_i16(x[0] + x[4])) << _13), _u32(_w(_i16(x[0] - x[4])) << _13)
    e0, e3 = _u32(_u32(t0 + t3) + half), _u32(_u32(t0 - t3) + half)
    e1, e2 = _u32(_u32(t1 + t2) + half), _u32(_u32(t1 - t2) + half)
    z3, z4 = _w(_i16(x[7] + x[3])), _w(_i16(x[5] + x[1]))
    y3, y4 = _u32(_u32(z3 * _B33) + _u32(z4 * _B34)), _u32(_u32(z3 * _B34) + _u32(z4 * _B44))
    o0 = _u32(_u32(_u32(_w(x[7]) * _C07) + _u32(_w(x[1]) * _C01)) + y3)
    o1 = _u32(_u32(_u32(_w(x[5]) * _C15) + _u32(_w(x[3]) * _C13)) + y4)
    o2 = _u32(_u32(_u32(_w(x[3]) * _C23) + _u32(_w(x[5]) * _C25)) + y3)
    o3 = _u32(_u32(_u32(_w(x[1]) * _C31) + _u32(_w(x[7]) * _C37)) + y4)
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
def _samples(coefficients: Any, quantisers: Any, planes: Any, row: Any, work: Any, samples: Any) -> Any:
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
                    samples[to + _u64(lane)] = _u64(_four(y[0], y[1], y[2], y[3])) | _u64(_four(y[4], y[5], y[6], y[7])) << _32
    return wild & _u16(0xC000) == _u16(0)


@compiled
def _rgb_byte(v: Any) -> Any:
    return _u8(min(max(_i16(v), _i16(0)), _i16(255)))


@compiled
def _whole(v: Any) -> Any:
    """An int32, as uint32, of 2^-16, rounded."""
    return _u16(_i32(_u32(v + _HALF)) >> _i32(16))


# 2^16 times 0.402, -0.228, -0.34414 and 0.28586: jdcolor.c's factors less whole ones, which are added apart, so that 16 bits hold them.
_F402, _F228, _F344, _F285 = _mod32(26345), _mod32(-14942), _mod32(-22554), _mod32(18734)


@compiled
def _paint(bytes_: Any, first: Any, last: Any, height: Any, width: Any, h: Any, v: Any, rgb: Any, stride: Any, colours: Any, sums: Any, wide: Any,
           out: Any) -> None:
    """Lines `first` to `last` of the tile: colours upsampled, and all of it made RGB.

    `colours`: where Cb and Cr begin, and their stride. A colour's sample weighs 3/4, its neighbour 1/4, in either direction; beyond the edge lies
    the sample at the edge.
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
            a, b = colours[c] + near * colours[2], colours[c] + far * colours[2]
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
        at, to = _u64(line) * stride, _u64(line) * width * _3
        if rgb:
            for j in range(width):
                i, k = _u64(j), to + _3 * _u64(j)
                out[k], out[k + _1], out[k + _2] = bytes_[at + i], wide[i], wide[space + i]
            continue
        for j in range(width):
            i, k = _u64(j), to + _3 * _u64(j)
            luma = _u16(bytes_[at + i])
            cb, cr = _u16(_u16(wide[i]) - _u16(128)), _u16(_u16(wide[space + i]) - _u16(128))
            blue, red = _w(_i16(cb)), _w(_i16(cr))
            out[k] = _rgb_byte(_u16(luma + _u16(_whole(_u32(red * _F402)) + cr)))
            out[k + _1] = _rgb_byte(_u16(luma + _u16(_whole(_u32(_u32(blue * _F344) + _u32(red * _F285))) - cr)))
            out[k + _2] = _rgb_byte(_u16(luma + _u16(_u16(_whole(_u32(blue * _F228)) + cb) + cb)))


@compiled
def decode(source: Any, start: Any, shape: Any, restart: Any, rgb: Any, dc: Any, ac: Any, dc_codes: Any, ac_codes: Any, quantisers: Any, blocks: Any,
           planes: Any, places: Any, data: Any, coefficients: Any, work: Any, samples: Any, sums: Any, wide: Any, out: Any) -> bool:
    """Decode a tile; False: nothing was wrong with the header, but this is not for us, and `out` holds anything.

    Parameters
    ----------
    source, start
        uint8 (n,): the stream, and the byte where its scan begins.
    shape
        uint64 (4,): height and width of the tile, luma's sampling factors across and down.
    restart
        MCUs in a restart interval; 0: there are none.
    dc, ac, dc_codes, ac_codes
        As in jpeg_codes.py, one table after the other.
    quantisers
        int16 (192,): of each channel, row by row.
    blocks
        uint64 (FIELDS n,): for each block of an MCU, where its row of blocks is in `coefficients`, blocks of that row in an MCU, which of them this
        is, where its table begins in `ac`, its channel, and where the table of the block after it begins.
    planes
        uint64 (FIELDS n,): for each row of blocks of an MCU row, where it is in `coefficients`, how many chunks it takes, where it goes in
        `samples` in the first MCU row, the stride there, its quantiser in `quantisers`, and lines of samples from an MCU row to the next.
    places
        uint64 (256,): the offset of a coefficient in its chunk, from its place in zigzag order; beyond 63, that of the chunk's last row.
    data, coefficients, work, samples, sums, wide
        Room: uint8 (n + PAD,), int16, int16 (64 LANES,), uint64 (eight bytes of a line each), uint16 and uint8 (2, stride + 64).
    out
        uint8 (height width 3,).
    """
    height, width, h, v = shape[0], shape[1], shape[2], shape[3]
    across, down = (width + h * _8 - _1) // (h * _8), (height + v * _8 - _1) // (v * _8)
    bytes_ = samples.view(np.uint8)
    stride, state, colours = planes[3] * _8, np.zeros(6, np.uint64), np.zeros(3, np.uint64)
    colours[0], colours[1], colours[2] = planes[v * _fields + _2] * _8, planes[(v + _1) * _fields + _2] * _8, planes[v * _fields + _3] * _8
    end, at, marker = _unstuffed(source, _u64(start), data)
    state[0], state[1], state[2] = _7, _load(data, _0), _56
    left, count, painted = _u64(restart), _u8(0), _0
    for row in range(down):
        for j in range(coefficients.shape[0]):
            coefficients[j] = 0
        mcu = _0
        while mcu < across:
            if restart > 0 and left == _0:
                if not _ended(state, end) or marker != _u8(_u8(0xD0) + count):
                    return False
                end, at, marker = _unstuffed(source, at, data)
                state[:] = _0
                state[0], state[1], state[2] = _7, _load(data, _0), _56
                left, count = _u64(restart), _u8((count + _u8(1)) & _u8(7))
            last = min(mcu + left, across) if restart > 0 else across
            if not _scan(data, end, state, dc, ac, dc_codes, ac_codes, blocks, mcu, last, places, coefficients):
                return False
            left -= last - mcu
            mcu = last
        if not _samples(coefficients, quantisers, planes, _u64(row), work, samples):
            return False
        ready = min((_u64(row) + _1) * v * _8, height)
        if v == _2 and _u64(row) + _1 < down:
            ready -= _1  # that line wants the next MCU row
        _paint(bytes_, painted, ready, height, width, h, v, rgb, stride, colours, sums, wide, out)
        painted = ready
    return _ended(state, end) and marker == EOI
