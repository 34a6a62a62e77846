"""Baseline JPEG (ITU-T T.81) with three channels, decoded by kernels: px are libjpeg-turbo's, to the bit, in less of its time.

Row of MCUs by row of MCUs, so that all stays in the processor's nearest caches: Huffman codes (jpeg_scan.py), inverse DCT (jpeg_dct.py), upsampling
and colours (jpeg_colour.py). A stream that has anything wrong or unusual in it is declined, to be decoded by libjpeg-turbo.

Places and sizes are unsigned (see patches/filter.py), and so are sums that may grow beyond 16 or 32 bits: only then does LLVM see that nothing above
them is needed, and keeps the vectors narrow. Whole loops are in one function on purpose: Numba counts references to each array at each call, which
costs as much as a block does.
"""
from __future__ import annotations

from typing import Any

import numpy as np

from ..compiled import compiled
from .jpeg_colour import paint
from .jpeg_dct import FIELDS, samples_of
from .jpeg_scan import ended, load, scan, unstuffed

MADE_OF = ("jpeg_codes.py", "jpeg_colour.py", "jpeg_dct.py", "jpeg_scan.py", "1370c9923962")  # see synth/noise.py

_u64, _u8 = np.uint64, np.uint8
_0, _1, _2, _3, _7, _8, _56 = (_u64(v) for v in (0, 1, 2, 3, 7, 8, 56))
_fields = _u64(FIELDS)
_EOI, _RST0 = _u8(0xD9), _u8(0xD0)


@compiled
def decode(source: Any, start: Any, shape: Any, restart: Any, rgb: Any, dc: Any, ac: Any, dc_codes: Any, ac_codes: Any, quantisers: Any, blocks: Any,
           planes: Any, places: Any, data: Any, coefficients: Any, work: Any, samples: Any, sums: Any, wide: Any, out: Any) -> Any:
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
        uint64 (6 n,): for each block of an MCU, where its row of blocks is in `coefficients`, blocks of that row in an MCU, which of them this
        is, where its table begins in `ac`, its channel, and where the table of the block after it begins.
    planes
        uint64 (6 n,): for each row of blocks of an MCU row, where it is in `coefficients`, how many chunks it takes, where it goes in
        `samples` in even MCU rows, the stride there (both by eight samples), its quantiser in `quantisers`, and its lines in an MCU row.
    places
        uint64 (256,): the offset of a coefficient in its chunk, from its place in zigzag order; beyond 63, that of the chunk's last row.
    data, coefficients, work, samples, sums, wide
        Room: uint8 (n + PAD,), int16, int16 (64 LANES,), uint32 (two MCU rows, four bytes of a line each), uint16 and uint8 (2, stride + 64).
    out
        uint8 (height width 3,).
    """
    height, width, h, v = shape[0], shape[1], shape[2], shape[3]
    across, down = (width + h * _8 - _1) // (h * _8), (height + v * _8 - _1) // (v * _8)
    bytes_ = samples.view(np.uint8)
    stride, state, colours = planes[3] * _8, np.zeros(6, np.uint64), np.zeros(3, np.uint64)
    colours[0], colours[1], colours[2] = planes[v * _fields + _2] * _8, planes[(v + _1) * _fields + _2] * _8, planes[v * _fields + _3] * _8
    end, at, marker = unstuffed(source, _u64(start), data)
    state[0], state[1], state[2] = _7, load(data, _0), _56
    left, count, painted = _u64(restart), _u8(0), _0
    for row in range(down):
        for j in range(coefficients.shape[0]):
            coefficients[j] = 0
        mcu = _0
        while mcu < across:
            if restart > 0 and left == _0:
                if not ended(state, end) or marker != _u8(_RST0 + count):
                    return False
                end, at, marker = unstuffed(source, at, data)
                state[:] = _0
                state[0], state[1], state[2] = _7, load(data, _0), _56
                left, count = _u64(restart), _u8((count + _u8(1)) & _u8(7))
            last = min(mcu + left, across) if restart > 0 else across
            if not scan(data, end, state, dc, ac, dc_codes, ac_codes, blocks, mcu, last, places, coefficients):
                return False
            left -= last - mcu
            mcu = last
        if not samples_of(coefficients, quantisers, planes, _u64(row) & _1, work, samples):
            return False
        ready = min((_u64(row) + _1) * v * _8, height)
        if v == _2 and _u64(row) + _1 < down:
            ready -= _1  # that line wants the next MCU row
        paint(bytes_, painted, ready, height, width, h, v, rgb, stride, colours, sums, wide, out)
        painted = ready
    return ended(state, end) and marker == _EOI
