"""From the bytes of a TIFF tile to RGB: which compressions we decode, and how; straight into a buffer where the codec can."""
from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from . import ifd
from .ifd import Directory
from .jpeg_decoder import JpegDecoder
from .slide import Pixels

Decode = Callable[..., Pixels]  # decode(data, out=None or (tile_height, tile_width, 3) uint8)

NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE, J2K_YCBCR, J2K_RGB = 1, 5, 7, 8, 32946, 33003, 33005
RGB, YCBCR = 2, 6
_NAMES = {NONE: "none", 2: "CCITT", 3: "fax", 4: "fax", LZW: "LZW", 6: "old-style JPEG", JPEG: "JPEG", DEFLATE: "deflate", 22610: "JPEG XR",
          OLD_DEFLATE: "deflate", 32773: "PackBits", J2K_YCBCR: "JPEG 2000", J2K_RGB: "JPEG 2000", 34712: "JPEG 2000", 34887: "LERC",
          34925: "LZMA", 34933: "PNG", 34934: "JPEG XR", 50000: "Zstandard", 50001: "WebP", 50002: "JPEG XL", 52546: "JPEG XL"}


def compression_name(number: int) -> str:
    """The name of a TIFF compression, with its number."""
    return f"{_NAMES[number]} ({number})" if number in _NAMES else str(number)


def refusal(d: Directory, vendor: str) -> str:
    """Why this directory's tiles are not ours to decode; "" where they are."""
    compression, photometric = d.number(ifd.COMPRESSION, 1), d.number(ifd.PHOTOMETRIC, -1)
    bits = d.tags.get(ifd.BITS)
    ours = (NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE, J2K_YCBCR, J2K_RGB) if vendor == "aperio" else (NONE, LZW, JPEG, DEFLATE, OLD_DEFLATE)
    if compression not in ours:
        return f"unsupported compression {compression_name(compression)}"
    if bits is None or len(bits) != 3 or set(bits.tolist()) != {8} or d.number(ifd.SAMPLES, 1) != 3 or d.number(ifd.SAMPLE_FORMAT, 1) != 1:
        return "its px are not three channels of 8 bits"
    if photometric != RGB and not (photometric == YCBCR and compression == JPEG) and compression not in (J2K_YCBCR, J2K_RGB):
        return f"its colours are not RGB (photometric interpretation {photometric})"
    if d.number(ifd.PLANAR, 1) != 1 or d.number(ifd.ORIENTATION, 1) != 1 or d.number(ifd.IMAGE_DEPTH, 1) != 1:
        return "its px are laid out in an unusual way (planes, orientation or depth)"
    if d.number(ifd.PREDICTOR, 1) not in (1, 2):
        return f"unsupported predictor {d.number(ifd.PREDICTOR)}"
    return ""


def subsampled(j2k: bytes) -> bool:
    """Whether a JPEG 2000 codestream has a subsampled channel (SIZ marker, ISO 15444-1 A.5.1), which imagecodecs does not expand."""
    if j2k[:4] != b"\xff\x4f\xff\x51" or len(j2k) < 51:
        return True
    (channels,) = struct.unpack(">H", j2k[40:42])
    return channels != 3 or any(j2k[42 + 3 * c + 1:42 + 3 * c + 3] != b"\1\1" for c in range(3))


def decoder(d: Directory) -> Decode:
    """The function that decodes this directory's tiles; what it raises on bad data is RuntimeError or ValueError."""
    import imagecodecs
    compression = d.number(ifd.COMPRESSION, 1)
    shape = (d.number(ifd.TILE_HEIGHT), d.number(ifd.TILE_WIDTH), 3)
    if compression == JPEG:
        return JpegDecoder(shape, d.tags.get(ifd.JPEG_TABLES), d.number(ifd.PHOTOMETRIC) == RGB)
    if compression in (J2K_YCBCR, J2K_RGB):
        return partial(_j2k, imagecodecs.jpeg2k_decode, compression == J2K_YCBCR)
    unpack: Any = {NONE: None, LZW: imagecodecs.lzw_decode}.get(compression, imagecodecs.deflate_decode)
    return partial(_plain, unpack, shape, d.number(ifd.PREDICTOR, 1) == 2)


def _plain(unpack: Callable[..., bytes] | None, shape: tuple[int, int, int], predictor: bool, data: bytes,
           out: Pixels | None = None) -> Pixels:
    size = shape[0] * shape[1] * shape[2]
    raw = data if unpack is None else unpack(data, out=size)
    if len(raw) < size:
        raise ValueError(f"it holds {len(raw)} bytes of {size}")
    px = np.frombuffer(raw, np.uint8, size).reshape(shape)
    if out is None:
        out = np.empty(shape, np.uint8)
    if predictor:
        np.cumsum(px, axis=1, dtype=np.uint8, out=out)
    else:
        out[...] = px
    return out


def _j2k(unpack: Callable[..., Pixels], ycbcr: bool, data: bytes, out: Pixels | None = None) -> Pixels:
    px = unpack(data)
    if px.dtype != np.uint8 or px.ndim != 3:
        raise ValueError("its px are not three channels of 8 bits")
    if ycbcr:
        px = _rgb_of_ycbcr(px)
    if out is None:
        return px
    out[...] = px
    return out


def _rgb_of_ycbcr(px: Pixels) -> Pixels:
    """JFIF's conversion, each channel rounded once and half up: as OpenSlide's tables, to the bit."""
    k = np.arange(256) - 128
    red, blue = (140200 * k + 50000) // 100000, (177200 * k + 50000) // 100000
    green = (-34414 * k[:, None] - 71414 * k[None, :] + 50000) // 100000
    y, cb, cr = px[..., 0].astype(np.int64), px[..., 1], px[..., 2]
    rgb: Pixels = np.clip(np.stack([y + red[cr], y + green[cb, cr], y + blue[cb]], -1), 0, 255).astype(np.uint8)
    return rgb
