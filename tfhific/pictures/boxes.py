"""What the boxes of an AVIF file (ISO/IEC 14496-12 and 23008-12) say about its colours."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

# The boxes that describe a picture are small; its samples lie elsewhere.
_MAX_DESCRIPTION_BYTES = 1 << 24
_MAX_BOXES = 10_000
_CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl")
_SAMPLE_ENTRY_BYTES = 78


@dataclass(frozen=True)
class AvifColours:
    """Colours by code points of ITU-T H.273, Nones where there are none; and a clean aperture.

    Attributes:
      primaries, transfer: the code points.
      cropped: whether only a part of the picture is to be shown.
    """

    primaries: int | None = None
    transfer: int | None = None
    cropped: bool = False


def read_avif_colours(stream: BinaryIO) -> AvifColours:
    """Reads the colours of an AVIF's main picture; of a sequence, those of its track.

    What is damaged counts as absent: Pillow will tell.
    """
    total = stream.seek(0, os.SEEK_END)
    stream.seek(8)
    sequence = stream.read(4) == b"avis"
    colours = AvifColours()
    position = 0
    for _ in range(_MAX_BOXES):
        if position >= total:  # a length may be anything below 2^64
            break
        stream.seek(position)
        head = stream.read(16)
        if len(head) < 8:
            break
        length, kind = struct.unpack(">I4s", head[:8])
        skip = 8
        if length == 1 and len(head) == 16:
            length, skip = struct.unpack(">Q", head[8:])[0], 16
        length = length or total - position
        if length < skip:
            break
        if kind in (b"meta", b"moov") and length <= _MAX_DESCRIPTION_BYTES:
            stream.seek(position + skip)
            content = stream.read(length - skip)
            if kind == b"meta" and not sequence:
                return _of_item(content[4:])
            if kind == b"moov":
                colours = next(_of_tracks(content), colours)
                if sequence:
                    return colours
        position += length
    return colours


def _boxes(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = 0
    while at + 8 <= len(content):
        length, kind = struct.unpack_from(">I4s", content, at)
        length = length or len(content) - at
        if length < 8 or at + length > len(content):
            return
        yield kind, content[at + 8 : at + length]
        at += length


def _of_item(meta: bytes) -> AvifColours:
    boxes = dict(_boxes(meta))
    shared = dict(_boxes(boxes.get(b"iprp", b"")))
    properties = list(_boxes(shared.get(b"ipco", b"")))
    main = boxes.get(b"pitm", b"")
    main_id = int.from_bytes(main[4:8] if main[:1] != b"\0" else main[4:6], "big")
    try:
        indexes = _associations(shared.get(b"ipma", b"")).get(main_id, [])
    except (struct.error, IndexError):
        indexes = []
    own = [properties[k - 1] for k in indexes if 0 < k <= len(properties)]
    # A picture put together from tiles may have its colours with these.
    primaries, transfer = _code_points(own) or _code_points(properties) or (None, None)
    return AvifColours(primaries, transfer, cropped=any(kind == b"clap" for kind, _ in own))


def _associations(content: bytes) -> dict[int, list[int]]:
    """From items to the numbers, from 1, of their properties."""
    wide_ids, wide = content[0] > 0, content[3] & 1
    count = struct.unpack_from(">I", content, 4)[0]
    at = 8
    found: dict[int, list[int]] = {}
    for _ in range(min(count, _MAX_BOXES)):
        item = struct.unpack_from(">I" if wide_ids else ">H", content, at)[0]
        at += 4 if wide_ids else 2
        number = content[at]
        code = f">{number}{'H' if wide else 'B'}"
        indexes = struct.unpack_from(code, content, at + 1)
        at += 1 + struct.calcsize(code)
        # The highest bit says that readers must know the property.
        found.setdefault(item, []).extend(k & (0x7FFF if wide else 0x7F) for k in indexes)
    return found


def _of_tracks(content: bytes) -> Iterator[AvifColours]:
    for kind, inner in _boxes(content):
        if kind in _CONTAINERS:
            yield from _of_tracks(inner)
        elif kind == b"stsd":
            for entry, fields in _boxes(inner[8:]):
                points = _code_points(list(_boxes(fields[_SAMPLE_ENTRY_BYTES:])))
                if entry == b"av01" and points:
                    yield AvifColours(*points)


def _code_points(properties: list[tuple[bytes, bytes]]) -> tuple[int, int] | None:
    for kind, content in properties:
        if kind == b"colr" and content[:4] == b"nclx" and len(content) >= 10:
            primaries, transfer = struct.unpack_from(">HH", content, 4)
            return primaries, transfer
    return None
