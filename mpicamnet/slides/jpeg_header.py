"""What stands before the scan of a baseline JPEG: frame, tables and scan header (ITU-T T.81, annex B), of the one kind that jpeg_tile.py decodes.

All that is unusual, or wrong, is None: libjpeg-turbo is asked then, which knows all kinds and says what is wrong.
"""
from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

ZIGZAG = np.array([0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6, 7, 14, 21, 28, 35, 42, 49, 56,
                   57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63])  # T.81, figure 5
SOF0, SOF1, DHT, EOI, SOS, DQT, DRI, COM = 0xC0, 0xC1, 0xC4, 0xD9, 0xDA, 0xDB, 0xDD, 0xFE


@dataclass(frozen=True)
class Codes:
    """A Huffman table: how many codes there are of 1 to 16 bits, and what they stand for, in order (T.81, B.2.4.2)."""
    lengths: bytes
    symbols: bytes


@dataclass(frozen=True)
class Header:
    """`sampling`: luma's factors, across and down; those of both colours are 1. `quantisers`: int16 (3, 64), row by row; one for each channel, as
    `dc` and `ac`. `restart`: MCUs in a restart interval, 0: there are none. `scan`: the byte where the scan's data begins."""
    width: int
    height: int
    sampling: tuple[int, int]
    quantisers: npt.NDArray[np.int16]
    dc: tuple[Codes, Codes, Codes]
    ac: tuple[Codes, Codes, Codes]
    restart: int
    scan: int


@dataclass
class _Read:
    """What the segments said up to here."""
    quantisers: dict[int, bytes] = field(default_factory=dict)
    codes: dict[int, Codes] = field(default_factory=dict)  # 0 to 3: DC, 16 to 19: AC
    restart: int = 0
    frame: bytes = b""


def header_of(data: bytes, tables: bytes | None) -> Header | None:
    """The header of a JPEG stream, of which `tables` (TIFF's JPEGTables, tag 347: an abbreviated stream) may hold a part."""
    read = _Read()
    if tables is not None and _segments(tables, read) != (EOI, len(tables)):
        return None
    marker, end = _segments(data, read)
    if marker != SOS:
        return None
    return _header(read, _segment(data, end) or b"", end + 2 + int.from_bytes(data[end + 2:end + 4], "big"))


def _segments(data: bytes, read: _Read) -> tuple[int, int]:
    """Read the segments up to SOS or EOI; which, and where it is (SOS) or ends (EOI). (0, 0): something unusual."""
    if data[:2] != b"\xff\xd8":
        return 0, 0
    at = 2
    while at + 2 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == EOI:
            return EOI, at + 2
        segment = _segment(data, at)
        if segment is None:
            return 0, 0
        if marker == SOS:
            return SOS, at
        if marker == DQT:
            fine = _quantisers(segment, read.quantisers)
        elif marker == DHT:
            fine = _codes(segment, read.codes)
        elif marker == DRI:
            fine, read.restart = len(segment) == 2, int.from_bytes(segment, "big")
        elif marker in (SOF0, SOF1):
            fine, read.frame = not read.frame, segment
        else:
            # The colours are the TIFF's to tell, and JFIF's and Adobe's words on them (APP0, APP14) are not heard.
            fine = marker == COM or 0xE0 <= marker <= 0xEF
        if not fine:
            return 0, 0
        at += 4 + len(segment)
    return 0, 0


def _segment(data: bytes, at: int) -> bytes | None:
    """What the segment of the marker at byte `at` holds; None if it is not whole."""
    size = int.from_bytes(data[at + 2:at + 4], "big")
    return data[at + 4:at + 2 + size] if size >= 2 and at + 2 + size <= len(data) else None


def _quantisers(segment: bytes, into: dict[int, bytes]) -> bool:
    if len(segment) % 65:
        return False
    for at in range(0, len(segment), 65):
        if segment[at] > 3:  # 16 bits, or no such table
            return False
        into[segment[at]] = segment[at + 1:at + 65]
    return True


def _codes(segment: bytes, into: dict[int, Codes]) -> bool:
    while segment:
        lengths, place = segment[1:17], segment[0]
        count = sum(lengths)
        symbols = segment[17:17 + count]
        if place & 0xEC or len(symbols) < count or count > 256:
            return False
        code = 0
        for n, many in enumerate(lengths, 1):
            code += many
            if many and code >= 1 << n:  # more codes than there are, or one of ones only
                return False
            code <<= 1
        if place < 16 and symbols and max(symbols) > 15:
            return False
        into[place] = Codes(lengths, symbols)
        segment = segment[17 + count:]
    return True


def _header(read: _Read, scan: bytes, start: int) -> Header | None:
    frame = read.frame
    if len(frame) != 15 or frame[0] != 8 or frame[5] != 3 or len(scan) != 10 or scan[0] != 3 or scan[7:] != b"\0\x3f\0":
        return None
    channels = [frame[6 + 3 * c:9 + 3 * c] for c in range(3)]  # its name, sampling and quantiser
    chosen = [scan[1 + 2 * c:3 + 2 * c] for c in range(3)]  # its name, DC and AC table
    names = [name for name, _, _ in channels]
    if len(set(names)) != 3 or names != [name for name, _ in chosen]:
        return None
    if channels[0][1] not in (0x11, 0x21, 0x22) or any(c[1] != 0x11 for c in channels[1:]):
        return None
    try:
        quantisers = [read.quantisers[c[2]] for c in channels]
        dc = [read.codes[which >> 4] for _, which in chosen]
        ac = [read.codes[16 + (which & 15)] for _, which in chosen]
    except KeyError:
        return None
    rows = np.zeros((3, 64), np.int16)
    for c, values in enumerate(quantisers):
        rows[c, ZIGZAG] = np.frombuffer(values, np.uint8)
    height, width = int.from_bytes(frame[1:3], "big"), int.from_bytes(frame[3:5], "big")
    sampling = channels[0][1] >> 4, channels[0][1] & 15
    return Header(width, height, sampling, rows, (dc[0], dc[1], dc[2]), (ac[0], ac[1], ac[2]), read.restart, start)
