"""PNG files, chunk by chunk: what must be right for a picture, and what may be damaged.

Critical chunks (IHDR, PLTE, IDAT, IEND), their checksums and their order must be right. An
ancillary chunk that is damaged, cut or of a senseless length counts as absent, as in browsers;
those that are not needed are not looked at, whatever their size. Pillow is given the needed ones
alone.

Where several chunks state the colours, the first of cICP, iCCP, sRGB and gAMA with cHRM counts
(PNG, third edition, 4.3). cHRM without gAMA counts for nothing.
"""

from __future__ import annotations

import os
import struct
import zlib
from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np
from PIL import Image

from tfhific.pictures.kinds import PNG_SIGNATURE
from tfhific.pictures.pieces import Pieces
from tfhific.pictures.profile import (
    are_known,
    profile_of_code_points,
    profile_of_gamma,
    unread_code_points,
)

_GREY, _RGB, _PALETTE = 0, 2, 3
# Bits per sample that go with a colour type, and samples per pixel.
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Adam7: first column and row of each pass, and the steps between its columns and rows.
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_BLOCK = 1 << 20
MAX_PROFILE_BYTES = 1 << 24
"""A profile, or a text that is looked into, inflates to no more, or counts as damaged."""
_MAX_LENGTH = (1 << 31) - 1
_WANTED = (b"tRNS", b"eXIf", b"iCCP", b"cICP", b"sRGB", b"gAMA", b"cHRM")
_TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# What Pillow looks for the orientation in.
_RAW_EXIF, _XMP = b"Raw profile type exif", b"XML:com.adobe.xmp"


class DamagedPngError(ValueError):
    """A critical part is missing or wrong."""


@dataclass(frozen=True)
class PngFile:
    """What a PNG file says.

    Attributes:
      width, height: pixels.
      depth: bits per sample.
      colour_type: 0 grey, 2 RGB, 3 palette, 4 grey with alpha, 6 RGB with alpha.
      interlaced: whether rows come in seven passes.
      key: the sample values that are transparent: one for grey, three for RGB, at `depth`.
      unread: a name for what no reader of 8-bit RGB can show, or None.
      profile: ICC profile, the file's own or made from what it states, or None.
      info: what Pillow would have put beside its image.
      samples: where the first run of IDAT chunks begins and ends.
      pieces: a PNG file for Pillow.
    """

    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: bool
    key: tuple[int, ...] | None
    unread: str | None
    profile: bytes | None
    info: dict[str, object]
    samples: tuple[int, int]
    pieces: Pieces


@dataclass
class _Chunks:
    """The chunks that matter: contents, and where texts lie."""

    held: dict[bytes, bytes] = field(default_factory=dict)
    texts: dict[bytes, tuple[bytes, int, int]] = field(default_factory=dict)
    samples: tuple[int, int] | None = None
    unread: str | None = None


def read_png(stream: BinaryIO) -> PngFile:
    """Reads what stands before, between and behind a PNG's samples.

    Raises:
      DamagedPngError: a critical chunk is missing, wrong or in the wrong place.
    """
    chunks = _walk(stream)
    header = chunks.held.get(b"IHDR", b"")
    if len(header) != 13:
        raise DamagedPngError("its header has another length than 13")
    width, height, depth, colour_type, *methods, interlace = struct.unpack(">IIBBBBB", header)
    if depth not in _DEPTHS.get(colour_type, ()) or any(methods) or interlace > 1:
        raise DamagedPngError("its header names a kind that PNG does not have")
    if chunks.samples is None:
        raise DamagedPngError("it has no samples")
    palette = _palette(chunks.held.get(b"PLTE"), depth, colour_type)
    key, clear = _transparency(chunks.held.get(b"tRNS"), depth, colour_type, len(palette) // 3)
    if palette:
        # Indexes beyond the palette are black, as in libpng.
        palette = _chunk(b"PLTE", palette.ljust(3 << depth, b"\0"))
    start, end = chunks.samples
    before = PNG_SIGNATURE + _chunk(b"IHDR", header) + palette
    before += _chunk(b"tRNS", clear) if clear else b""
    unread, profile = _colours(chunks.held)
    return PngFile(
        width,
        height,
        depth,
        colour_type,
        interlace == 1,
        key,
        chunks.unread or unread,
        profile,
        _info(stream, chunks),
        chunks.samples,
        Pieces([before, (stream, start, end - start), _chunk(b"IEND", b"")]),
    )


def rows_are_missing(file: PngFile, stream: BinaryIO, image: Image.Image) -> bool:
    """Whether the compressed samples end, in order, before the picture does.

    Pillow leaves such rows at zero. So the samples are only counted where the last row of the last
    pass is.

    Args:
      stream: the file.
      image: as Pillow decoded it.
    """
    passes = [
        (x, y, dx, dy)
        for x, y, dx, dy in (_PASSES if file.interlaced else ((0, 0, 1, 1),))
        if x < file.width and y < file.height
    ]
    x, y, dx, dy = passes[-1]
    last = y + (file.height - 1 - y) // dy * dy
    if np.asarray(image.crop((0, last, file.width, last + 1)))[:, x::dx].any():
        return False
    bits = file.depth * _SAMPLES[file.colour_type]
    left = 0
    for x, y, dx, dy in passes:
        columns = -(-(file.width - x) // dx)
        left += -(-(file.height - y) // dy) * (1 + (columns * bits + 7) // 8)
    inflate = zlib.decompressobj()
    for block in _sample_blocks(stream, *file.samples):
        while left > 0 and block and not inflate.eof:
            left -= len(inflate.decompress(block, _BLOCK))
            block = inflate.unconsumed_tail
    return left > 0


def _walk(stream: BinaryIO) -> _Chunks:
    total = stream.seek(0, os.SEEK_END)
    chunks, position, first = _Chunks(), len(PNG_SIGNATURE), True
    in_samples = False
    while True:
        stream.seek(position)
        head = stream.read(8)
        if len(head) < 8:
            raise DamagedPngError("the file ends before the image does")
        length, kind = struct.unpack(">I4s", head)
        start, position = position, position + 12 + length
        if length > _MAX_LENGTH or not kind.isalpha():
            raise DamagedPngError("a chunk's head is senseless")
        if position > total:
            raise DamagedPngError("the file ends before the image does")
        if first and kind != b"IHDR" and kind != b"CgBI":
            raise DamagedPngError("it does not begin with its header")
        first = False
        if kind == b"IDAT":
            if in_samples or chunks.samples is None:
                _check(stream, kind, length)
                chunks.samples = (chunks.samples[0] if chunks.samples else start, position)
            in_samples = True
            continue
        in_samples = False
        if kind == b"IEND":
            return chunks
        if kind in (b"IHDR", b"PLTE"):
            _take_critical(stream, chunks, kind, length)
        elif kind[0] & 0x20 == 0:
            chunks.unread = f"PNG with the critical chunk '{kind.decode()}' of its own"
        elif kind in _WANTED:
            _take_ancillary(stream, chunks, kind, length)
        elif kind in _TEXTS:
            keyword = stream.read(min(length, len(_RAW_EXIF) + 1)).split(b"\0")[0]
            if keyword in (_RAW_EXIF, _XMP):
                chunks.texts[keyword] = (kind, start + 8, length)


def _take_critical(stream: BinaryIO, chunks: _Chunks, kind: bytes, length: int) -> None:
    if kind in chunks.held or (kind == b"PLTE" and chunks.samples):
        raise DamagedPngError(f"a second {kind.decode()}, or one in the wrong place")
    if length > 768:
        raise DamagedPngError(f"its {kind.decode()} is too long")
    chunks.held[kind] = _check(stream, kind, length)


def _take_ancillary(stream: BinaryIO, chunks: _Chunks, kind: bytes, length: int) -> None:
    # eXIf may stand behind the samples; what changes colours may not.
    late = chunks.samples is not None and kind != b"eXIf"
    if late or (kind == b"tRNS" and length > 256):
        return
    content = stream.read(length)
    if _is_sound(stream, kind, content):
        chunks.held[kind] = content


def _check(stream: BinaryIO, kind: bytes, length: int) -> bytes:
    """Compares a critical chunk with its checksum; returns its last part, all of a short one."""
    checksum, part = zlib.crc32(kind), b""
    while length:
        part = stream.read(min(length, _BLOCK))
        if not part:
            break
        checksum = zlib.crc32(part, checksum)
        length -= len(part)
    if struct.pack(">I", checksum) != stream.read(4):
        raise DamagedPngError(f"the checksum of its {kind.decode()} differs")
    return part


def _is_sound(stream: BinaryIO, kind: bytes, content: bytes) -> bool:
    return struct.pack(">I", zlib.crc32(content, zlib.crc32(kind))) == stream.read(4)


def _palette(content: bytes | None, depth: int, colour_type: int) -> bytes:
    if colour_type != _PALETTE:
        return b""
    if not content or len(content) % 3:
        raise DamagedPngError("its palette is missing or of a senseless length")
    return content[: 3 << depth]


def _transparency(
    content: bytes | None, depth: int, colour_type: int, colours: int
) -> tuple[tuple[int, ...] | None, bytes]:
    """The transparent sample values, and the chunk's content for Pillow."""
    if content is None:
        return None, b""
    if colour_type == _PALETTE and 0 < len(content) <= colours:
        return None, content
    wanted = {_GREY: 1, _RGB: 3}.get(colour_type)
    if wanted is None or len(content) != 2 * wanted:
        return None, b""
    mask = (1 << depth) - 1
    return tuple(value & mask for value in struct.unpack(f">{wanted}H", content)), content


def _colours(held: dict[bytes, bytes]) -> tuple[str | None, bytes | None]:
    """A name for colours that are not read, and the profile of those that are."""
    points = held.get(b"cICP", b"")
    if len(points) == 4:
        primaries, transfer, matrix, full_range = points
        if are_known(primaries, transfer) and matrix == 0 and full_range in (0, 1):
            unread = unread_code_points(primaries, transfer)
            if unread is None and full_range == 0:
                unread = "samples of narrow range (cICP)"
            return unread, profile_of_code_points(primaries, transfer)
    profile = _inflated_profile(held.get(b"iCCP", b""))
    if profile or len(held.get(b"sRGB", b"")) == 1:
        return None, profile
    if len(held.get(b"gAMA", b"")) != 4:
        return None, None
    gamma = int.from_bytes(held[b"gAMA"], "big") / 100_000
    chromaticities = None
    if len(held.get(b"cHRM", b"")) == 32:
        values = np.array(struct.unpack(">8i", held[b"cHRM"])) / 100_000
        pairs = [tuple(pair) for pair in values.reshape(4, 2).tolist()]
        chromaticities = (*pairs[1:], pairs[0])  # the file has white first
    return None, profile_of_gamma(gamma, chromaticities)


def _inflated_profile(content: bytes) -> bytes | None:
    _, zero, packed = content.partition(b"\0")
    if not zero or packed[:1] != b"\0":
        return None
    return _inflated(packed[1:])


def _inflated(packed: bytes) -> bytes | None:
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(packed, MAX_PROFILE_BYTES)
    except zlib.error:
        return None
    return data if inflate.eof else None


def _info(stream: BinaryIO, chunks: _Chunks) -> dict[str, object]:
    info: dict[str, object] = {}
    if chunks.held.get(b"eXIf"):
        info["exif"] = b"Exif\0\0" + chunks.held[b"eXIf"]
    for keyword, (kind, start, length) in chunks.texts.items():
        stream.seek(start)
        content = stream.read(length)
        if not _is_sound(stream, kind, content):
            continue
        text = _text(kind, content[len(keyword) + 1 :])
        if text:
            info[keyword.decode()] = text.decode("utf-8", "replace")
    return info


def _text(kind: bytes, content: bytes) -> bytes | None:
    """What stands behind a text chunk's keyword."""
    if kind == b"tEXt":
        return content
    if kind == b"zTXt":
        return _inflated(content[1:]) if content[:1] == b"\0" else None
    parts = content[2:].split(b"\0", 2)  # behind flag and method: language, keyword, text
    if len(parts) < 3:
        return None
    return _inflated(parts[2]) if content[:1] == b"\1" else parts[2]


def _sample_blocks(stream: BinaryIO, start: int, end: int):
    while start < end:
        stream.seek(start)
        length = int.from_bytes(stream.read(4), "big")
        stream.seek(start + 8)
        left = length
        while left:
            block = stream.read(min(left, _BLOCK))
            if not block:
                return
            left -= len(block)
            yield block
        start += 12 + length


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(kind))
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
