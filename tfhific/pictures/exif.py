"""EXIF blocks kept beside a picture whose orientation has been applied.

A block is edited in place instead of being written anew: maker notes hold offsets that are only
right where the camera put them.
"""

from __future__ import annotations

import struct

from PIL import Image

EXIF_PREFIX = b"Exif\x00\x00"
ORIENTATION = 0x0112
_UPRIGHT = 1
_SHORT = 3
_LONG = 4
_EXIF_FOLDER = 0x8769
_GPS_FOLDER = 0x8825
# Offset and length of the thumbnail in the second folder: as JPEG, or as strips of samples.
_THUMBNAIL_TAGS = ((0x0201, 0x0202), (0x0111, 0x0117))
# What a TIFF file's own folder says about the picture, as opposed to how its samples are stored.
_DESCRIPTIVE_TAGS = (
    0x010E,  # description
    0x010F,  # camera maker
    0x0110,  # camera model
    0x011A,  # horizontal resolution
    0x011B,  # vertical resolution
    0x0128,  # resolution unit
    0x0131,  # software
    0x0132,  # date and time
    0x013B,  # artist
    0x8298,  # copyright
)


def upright_exif(block: bytes) -> bytes | None:
    """Returns an EXIF block that says "upright" and holds no thumbnail.

    Args:
      block: a TIFF structure, with or without the six bytes `Exif\\0\\0` in front.

    Returns:
      The block, always with the six bytes in front, or None when its structure is too damaged
      for its orientation to be known.
    """
    blob = bytearray(block[len(EXIF_PREFIX) :] if block.startswith(EXIF_PREFIX) else block)
    try:
        _edit(blob)
    except (struct.error, ValueError):
        return None
    cleaned = EXIF_PREFIX + bytes(blob)
    return cleaned if _orientation(cleaned) in (None, _UPRIGHT) else None


def exif_of_tiff(tags: Image.Exif) -> bytes | None:
    """Collects from a TIFF file's tags what describes the picture, as an EXIF block or None."""
    kept = Image.Exif()
    for tag in _DESCRIPTIVE_TAGS:
        if tag in tags:
            kept[tag] = tags[tag]
    for tag in (_EXIF_FOLDER, _GPS_FOLDER):
        folder = tags.get_ifd(tag)
        if folder:
            kept[tag] = folder
    return kept.tobytes() if len(kept) else None


def _edit(blob: bytearray) -> None:
    order = {b"II": "<", b"MM": ">"}.get(bytes(blob[:2]))
    if order is None:
        raise ValueError("no byte order")
    magic, first = struct.unpack_from(order + "HI", blob, 2)
    if magic != 42:
        raise ValueError("no TIFF structure")
    entries, end = _folder(blob, order, first)
    if end + 4 <= len(blob):
        second = struct.unpack_from(order + "I", blob, end)[0]
        struct.pack_into(order + "I", blob, end, 0)
        if second:
            _erase_thumbnail(blob, order, second, first_free=end + 4)
    # Last, so that erasing a thumbnail that claims to lie here cannot undo it.
    for offset in entries:
        if struct.unpack_from(order + "H", blob, offset)[0] == ORIENTATION:
            struct.pack_into(order + "HIHH", blob, offset + 2, _SHORT, 1, _UPRIGHT, 0)


def _folder(blob: bytearray, order: str, start: int) -> tuple[range, int]:
    """Offsets of a folder's entries, and of the pointer to the next folder behind them."""
    count = struct.unpack_from(order + "H", blob, start)[0]
    end = start + 2 + 12 * count
    if start < 8 or end > len(blob):
        raise ValueError("the folder lies outside the block")
    return range(start + 2, end, 12), end


def _erase_thumbnail(blob: bytearray, order: str, start: int, first_free: int) -> None:
    try:
        entries, _ = _folder(blob, order, start)
    except (struct.error, ValueError):
        return
    values = {}
    for offset in entries:
        tag, kind, count = struct.unpack_from(order + "HHI", blob, offset)
        if count == 1 and kind in (_SHORT, _LONG):
            code = order + ("H" if kind == _SHORT else "I")
            values[tag] = struct.unpack_from(code, blob, offset + 8)[0]
    for where, length in _THUMBNAIL_TAGS:
        begin, end = values.get(where, 0), values.get(where, 0) + values.get(length, 0)
        if not first_free <= begin < end <= len(blob):
            continue
        if end == len(blob):
            del blob[begin:]
        else:
            blob[begin:end] = bytes(end - begin)


def _orientation(block: bytes) -> int | None:
    exif = Image.Exif()
    try:
        exif.load(block)
        return exif.get(ORIENTATION)
    except Exception:  # Pillow's parser raises whatever a damaged block makes it trip over
        return -1
