"""What must be known about an image file before Pillow decodes it, read from the file itself.

Pillow states the size only after it has set up its decoder, does not mind a PNG whose last chunks
are missing, and does not tell how many bits a PNG's samples had.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_MAGIC = (
    (0, PNG_SIGNATURE, "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (8, b"WEBP", "WEBP"),
    (0, b"GIF87a", "GIF"),
    (0, b"GIF89a", "GIF"),
    (0, b"BM", "BMP"),
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"II+\x00", "TIFF"),
    (0, b"MM\x00+", "TIFF"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftypmif1", "AVIF"),
)
_PNG_GREY = 0
_PNG_RGB = 2
# Code points of ITU-T H.273: transfer functions of high dynamic range.
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}
# An AVIF file's properties precede its data and are small.
_AVIF_PROPERTIES_BYTES = 1 << 16


class TruncatedError(ValueError):
    """The file ends before its structure does."""


@dataclass(frozen=True)
class Header:
    """Facts from the file's own header; None where the format does not say or is not looked at.

    Attributes:
      format: Pillow's name of the format; None when the first bytes are those of none we read.
      size: (width, height) in pixels.
      bit_depth: bits per sample of a PNG.
      colour_key: the sample values a PNG declares transparent: one for grey, three for RGB, at
        `bit_depth`.
      hdr: name of the high dynamic range transfer function the samples use.
    """

    format: str | None = None
    size: tuple[int, int] | None = None
    bit_depth: int | None = None
    colour_key: tuple[int, ...] | None = None
    hdr: str | None = None


def read_header(stream: BinaryIO) -> Header:
    """Tells the format of a file from its first bytes, and reads its header where that helps.

    Leaves the stream at its beginning. Takes memory that does not grow with the file.

    Raises:
      TruncatedError: a PNG without its end.
    """
    try:
        start = stream.read(32)
        kind = next((kind for at, magic, kind in _MAGIC if start.startswith(magic, at)), None)
        if kind == "PNG":
            return _read_png(stream)
        if kind == "WEBP":
            return Header(kind, size=_webp_size(start))
        if kind == "AVIF":
            return Header(kind, hdr=_avif_transfer(start + stream.read(_AVIF_PROPERTIES_BYTES)))
        return Header(kind)
    finally:
        stream.seek(0)


def _read_png(stream: BinaryIO) -> Header:
    total = stream.seek(0, os.SEEK_END)
    position = len(PNG_SIGNATURE)
    size = depth = colour_type = key = transfer = None
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            raise TruncatedError("the file ends before the image does")
        length, kind = struct.unpack(">I4s", head)
        position += 12 + length
        if position > total:
            raise TruncatedError("the file ends before the image does")
        if kind == b"IHDR" and length >= 10:
            width, height, depth, colour_type = struct.unpack(">IIBB", stream.read(10))
            size = (width, height)
        elif kind == b"tRNS" and length >= 6 and colour_type == _PNG_RGB:
            key = struct.unpack(">3H", stream.read(6))
        elif kind == b"tRNS" and length >= 2 and colour_type == _PNG_GREY:
            key = struct.unpack(">H", stream.read(2))
        elif kind == b"cICP" and length == 4:
            transfer = _HDR_TRANSFERS.get(stream.read(4)[1])
        elif kind == b"IEND":
            return Header("PNG", size, depth, key, transfer)


def _webp_size(start: bytes) -> tuple[int, int] | None:
    kind = start[12:16]
    if kind == b"VP8X" and len(start) >= 30:
        return (
            1 + int.from_bytes(start[24:27], "little"),
            1 + int.from_bytes(start[27:30], "little"),
        )
    if kind == b"VP8L" and len(start) >= 25:
        bits = int.from_bytes(start[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(start) >= 30:
        width, height = struct.unpack_from("<HH", start, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


def _avif_transfer(properties: bytes) -> str | None:
    # Box "colr" of type "nclx": primaries, transfer, matrix as 16-bit code points.
    found = properties.find(b"colrnclx")
    if found < 0 or found + 12 > len(properties):
        return None
    return _HDR_TRANSFERS.get(int.from_bytes(properties[found + 10 : found + 12], "big"))
