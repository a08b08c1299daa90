"""JPEG files, marker by marker: their kind, and whether all samples are there.

libjpeg fills what is missing of a scan with grey, and Pillow passes that on as if nothing were
wrong so long as the end marker stands behind it. Whether a scan is complete shows when something
else is put behind its last byte: a complete one decodes to the same picture.
"""

from __future__ import annotations

import itertools
import os
import re
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from tfhific.pictures.pieces import Pieces

_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)
_FRAMES = {
    0xC0: None,
    0xC1: None,
    0xC2: None,
    0xC3: "lossless JPEG",
    0xC5: "hierarchical JPEG",
    0xC6: "hierarchical JPEG",
    0xC7: "hierarchical JPEG",
    0xC9: None,
    0xCA: None,
    0xCB: "lossless JPEG",
    0xCD: "hierarchical JPEG",
    0xCE: "hierarchical JPEG",
    0xCF: "hierarchical JPEG",
    0xF7: "JPEG-LS",
}
_PROGRESSIVE = (0xC2, 0xCA)
_MAX_SEGMENTS = 100_000
_COEFFICIENTS = 64
_TAIL_BYTES = 1 << 12
_RESTART = re.compile(rb"\xff[\xd0-\xd7]")
# No marker begins in them. libjpeg puts zeros where bits are missing; no Huffman code is all ones.
_MIXED = bytes((37 * k + 11) * (k + 3) % 251 for k in range(256))
_OTHER_BITS = (b"\xfe" + _MIXED, b"\x5a" + _MIXED[::-1])
_GREY, _GREY_TOLERANCE = 128, 2


@dataclass(frozen=True)
class JpegStart:
    """Size in pixels, None if no frame header was found; a name for a kind not read, or None."""

    size: tuple[int, int] | None = None
    unread: str | None = None


def read_jpeg_start(stream: BinaryIO) -> JpegStart:
    """Reads a JPEG as far as its frame header."""
    for marker, start, length in _segments(stream):
        if marker not in _FRAMES:
            continue
        stream.seek(start)
        header = stream.read(min(length, 6))
        if len(header) < 6:
            break
        bits, height, width, components = struct.unpack(">BHHB", header)
        unread = _FRAMES[marker]
        if unread is None and bits != 8:
            unread = f"{bits}-bit JPEG"
        if unread is None and components not in (1, 3, 4):
            unread = f"JPEG of {components} components"
        if unread is None and height == 0:
            unread = "JPEG that states its height behind its samples"
        return JpegStart((width, height), unread)
    return JpegStart()


def has_end(stream: BinaryIO) -> bool:
    """Whether an end marker stands behind the first picture's scans."""
    end = stream.seek(0, os.SEEK_END)
    stream.seek(max(end - _TAIL_BYTES, 0))
    # So do nearly all files end; of others every scan must be looked through.
    return stream.read().rstrip(b"\0").endswith(bytes([0xFF, _EOI])) or _scans(stream).ended


def with_end(stream: BinaryIO) -> list[Pieces]:
    """Ways to end a JPEG that has no end marker; none if more than that is missing.

    All samples are there if, and only if, all decode to the same picture.
    """
    scans = _scans(stream)
    if scans.ended or scans.last is None or scans.bits_to_come:
        return []
    end = _without_padding(stream)
    return [
        _ended(stream, end, between) for between in (b"", *_other_bits(stream, scans.last, end))
    ]


def with_other_ends(stream: BinaryIO) -> list[Pieces]:
    """The JPEG with something else between its first picture's last scan and its end marker.

    All decode to the same picture if, and only if, that scan is complete. None where there is no
    end marker behind a scan.
    """
    scans = _scans(stream)
    if not scans.ended or scans.last is None:
        return []
    others = _other_bits(stream, scans.last, scans.end)
    return [_ended(stream, scans.end, between) for between in others]


def scans_are_missing(stream: BinaryIO) -> bool:
    """Whether some coefficients' bits are in none of a progressive JPEG's scans."""
    return _scans(stream).bits_to_come


def may_lack_samples(image: Image.Image) -> bool:
    """Whether a corner looks like what libjpeg puts in place of missing samples.

    Any corner: the file's last pixel may have been turned to it.
    """
    width, height = image.size
    for x, y in itertools.product({0, width - 1}, {0, height - 1}):
        pixel = np.array(image.getpixel((x, y)), np.float64, ndmin=1)
        if len(pixel) == 3:  # a neighbour's colours reach into a block; its brightness does not
            pixel = pixel @ np.array([[0.299], [0.587], [0.114]])
        if (np.abs(pixel - _GREY) <= _GREY_TOLERANCE).all():
            return True
    return False


def _ended(stream: BinaryIO, end: int, between: bytes) -> Pieces:
    return Pieces([(stream, 0, end), between + bytes([0xFF, _EOI])])


@dataclass(frozen=True)
class _Scans:
    """Where the first picture's last scan begins (its samples) and where that picture ends."""

    last: int | None
    end: int
    ended: bool
    bits_to_come: bool


def _scans(stream: BinaryIO) -> _Scans:
    held: dict[int, list[int]] = {}
    progressive, last = False, None
    for marker, start, length in _segments(stream, scans=True):
        if marker in _FRAMES:
            stream.seek(start)
            frame = stream.read(length)
            progressive = marker in _PROGRESSIVE
            number = frame[5] if len(frame) > 5 else 0
            held = {c: [1] * _COEFFICIENTS for c in frame[6 : 6 + 3 * number : 3]}
        to_come = not held or any(any(bits) for bits in held.values())
        if marker == _EOI:
            return _Scans(last, start - 2, True, to_come)
        last = start + length if marker == _SOS else None
        if marker == _SOS:
            stream.seek(start)
            _note_scan(held, stream.read(length), progressive)
    to_come = not held or any(any(bits) for bits in held.values())
    return _Scans(last, 0, False, to_come)


def _other_bits(stream: BinaryIO, start: int, end: int) -> list[bytes]:
    """What may stand behind a scan's samples, different from its first bit on.

    With the restarts that would follow: up to one of them, libjpeg skips what it does not expect.
    """
    stream.seek(start)
    restarts = _RESTART.findall(stream.read(end - start))
    following = (restarts[-1][1] - _RESTARTS[0] + 1) % 8 if restarts else 0
    marks = [bytes([0xFF, _RESTARTS[(following + k) % 8]]) for k in range(8)]
    return [b"".join(part for mark in marks for part in (bits, mark)) for bits in _OTHER_BITS]


def _note_scan(held: dict[int, list[int]], header: bytes, progressive: bool) -> None:
    """Marks the bits of each component's coefficients that are still to come after a scan."""
    number = header[0] if header else 0
    if len(header) < 4 + 2 * number:
        return
    first, last, bits = header[1 + 2 * number : 4 + 2 * number]
    for component in header[1 : 1 + 2 * number : 2]:
        if component in held:
            span = range(first, min(last, _COEFFICIENTS - 1) + 1) if progressive else range(64)
            for k in span:
                held[component][k] = bits & 15 if progressive else 0


def _without_padding(stream: BinaryIO) -> int:
    """Where the file ends but for zeros, left by file systems, and half an end marker."""
    end = stream.seek(0, os.SEEK_END)
    while end > 0:
        size = min(end, 1 << 16)
        stream.seek(end - size)
        block = stream.read(size)
        kept = block.rstrip(b"\0")
        end -= size - len(kept)
        if kept.endswith(b"\xff"):
            return end + 1 if len(kept) < len(block) else end - 1
        if kept:
            return end
    return 0


def _segments(stream: BinaryIO, scans: bool = False):
    """Marker, content's position and length of each segment as far as the structure is right.

    Args:
      scans: go on behind a scan, and up to the end marker; a segment that the file is too short for
        is then the last, as one of marker 0.
    """
    total = stream.seek(0, os.SEEK_END)
    position = 2
    for _ in range(_MAX_SEGMENTS):
        stream.seek(position)
        head = stream.read(4)
        if len(head) < 2 or head[0] != 0xFF:
            # Garbage between segments: libjpeg looks for the next marker.
            position = _next_marker(stream, position)
            if position < 0:
                return
            continue
        marker = head[1]
        if marker == 0xFF:
            position += 1
            continue
        if marker in (_SOI, _TEM, 0) or marker in _RESTARTS:
            position += 2
            continue
        if marker == _EOI:
            yield _EOI, position + 2, 0
            return
        length = struct.unpack(">H", head[2:])[0] if len(head) == 4 else 0
        if length < 2 or position + 2 + length > total:
            if scans:
                yield 0, position, 0
            return
        yield marker, position + 4, length - 2
        position += 2 + length
        if marker == _SOS:
            if not scans:
                return
            position = _next_marker(stream, position)
            if position < 0:
                return


def _next_marker(stream: BinaryIO, position: int) -> int:
    """Where the next marker that is no restart begins; -1 if there is none."""
    stream.seek(position)
    block = b""
    while True:
        more = stream.read(1 << 20)
        block += more
        at = block.find(b"\xff")
        while 0 <= at < len(block) - 1:
            if block[at + 1] not in (0, 0xFF, _TEM) and block[at + 1] not in _RESTARTS:
                return position + at
            at = block.find(b"\xff", at + 1)
        if not more:
            return -1
        kept = 1 if at >= 0 else 0
        position += len(block) - kept
        block = block[len(block) - kept :]
