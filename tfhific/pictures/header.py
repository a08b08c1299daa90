"""What must be known about an image file before Pillow decodes it, read from the file itself.

Pillow states the size only after it has set up its decoder, trips over damage that does not matter,
takes no notice of some that does, and does not tell how many bits a PNG's samples had.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from tfhific.pictures.boxes import read_avif_colours
from tfhific.pictures.jpeg import read_jpeg_start
from tfhific.pictures.kinds import PNG_SIGNATURE, START_BYTES, kind_of
from tfhific.pictures.png import PngFile, read_png
from tfhific.pictures.profile import profile_of_code_points, unread_code_points

__all__ = ["PNG_SIGNATURE", "Header", "read_header"]


@dataclass(frozen=True)
class Header:
    """Facts from the file's own header; None where the format does not say or is not looked at.

    Attributes:
      format: Pillow's name of the format; None when the first bytes are those of none we read.
      size: (width, height) in pixels.
      bit_depth: bits per sample of a PNG.
      colour_key: the sample values a PNG declares transparent: one for grey, three for RGB, at
        `bit_depth`.
      unread: a name for a kind that is not read.
      profile: ICC profile for a picture that has none of its own, made from what the file states.
      info: what belongs into Pillow's `info`, where Pillow is not to read it itself.
      png: a PNG's chunks.
    """

    format: str | None = None
    size: tuple[int, int] | None = None
    bit_depth: int | None = None
    colour_key: tuple[int, ...] | None = None
    unread: str | None = None
    profile: bytes | None = None
    info: dict[str, object] = field(default_factory=dict)
    png: PngFile | None = None


def read_header(stream: BinaryIO) -> Header:
    """Tells the format of a file from its first bytes, and reads its header where that helps.

    Leaves the stream at its beginning.

    Raises:
      DamagedPngError: a PNG that is cut short, or damaged where it matters.
    """
    try:
        start = stream.read(START_BYTES)
        kind, unread = kind_of(start)
        if kind == "PNG":
            png = read_png(stream)
            return Header(
                kind,
                size=(png.width, png.height),
                bit_depth=png.depth,
                colour_key=png.key,
                unread=png.unread,
                profile=png.profile,
                info=png.info,
                png=png,
            )
        if kind == "WEBP":
            return Header(kind, size=_webp_size(start))
        if kind == "JPEG":
            found = read_jpeg_start(stream)
            return Header(kind, size=found.size, unread=found.unread)
        if kind == "AVIF":
            return _avif(stream)
        return Header(kind, unread=unread)
    finally:
        stream.seek(0)


def _avif(stream: BinaryIO) -> Header:
    colours = read_avif_colours(stream)
    if colours.cropped:
        return Header("AVIF", unread="AVIF of which only a part is to be shown (clean aperture)")
    if colours.primaries is None or colours.transfer is None:
        return Header("AVIF")
    points = colours.primaries, colours.transfer
    return Header(
        "AVIF", unread=unread_code_points(*points), profile=profile_of_code_points(*points)
    )


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
