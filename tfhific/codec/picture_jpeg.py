"""JPEG files, marker by marker: their kind, and whether all samples are there.

libjpeg fills what is missing of a scan with grey, and Pillow passes that on as if nothing were
wrong so long as the end marker stands behind it. Whether a scan is complete shows when something
else is put behind its last byte: a complete one decodes to the same picture.
"""

from __future__ import annotations

import itertools
import os
import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np
from PIL import Image

from tfhific.codec.picture_pieces import Pieces

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
# Nothing that begins a marker, and no pattern that Huffman codes would decode to nothing.
_OTHER_BITS = bytes((37 * k + 11) * (k + 3) % 251 for k in range(512))
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


def with_end(stream: BinaryIO) -> tuple[Pieces, Pieces] | None:
    """Two ways to end a JPEG that has no end marker; None if more than that is missing.

    All samples are there if, and only if, both decode to the same picture.
    """
    held: dict[int, list[int]] = {}
    progressive, scan = False, None
    for marker, start, length in _segments(stream, scans=True):
        if marker == _EOI:
            return None
        if marker in _FRAMES:
            stream.seek(start)
            frame = stream.read(length)
            progressive = marker in _PROGRESSIVE
            number = frame[5] if len(frame) > 5 else 0
            held = {c: [1] * _COEFFICIENTS for c in frame[6 : 6 + 3 * number : 3]}
        scan = start + length if marker == _SOS else None
        if marker == _SOS:
            stream.seek(start)
            _note_scan(held, stream.read(length), progressive)
    if scan is None or not held or any(any(bits) for bits in held.values()):
        return None
    total = _without_padding(stream)
    return _ended(stream, total, b""), _ended(stream, total, _OTHER_BITS)


def with_other_end(stream: BinaryIO) -> Pieces | None:
    """The JPEG with something else between its first picture's last scan and its end marker.

    It decodes to the same picture if, and only if, that scan is complete. None where there is no
    end marker behind a scan.
    """
    after_scan = False
    for marker, start, _ in _segments(stream, scans=True):
        if marker == _EOI:
            return _ended(stream, start - 2, _OTHER_BITS) if after_scan else None
        after_scan = marker == _SOS
    return None


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
    """Where the file ends but for zeros, which cameras' file systems leave behind."""
    end = stream.seek(0, os.SEEK_END)
    while end > 0:
        size = min(end, 1 << 16)
        stream.seek(end - size)
        block = stream.read(size)
        kept = block.rstrip(b"\0")
        end -= size - len(kept)
        if kept:
            return end + (kept.endswith(b"\xff") and len(kept) < len(block))
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
