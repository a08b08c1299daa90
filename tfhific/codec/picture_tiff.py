"""Whether a TIFF file is all there, told before libtiff sees it.

libtiff, inside Pillow, reports what it misses on the process's standard error, where Python can
neither catch nor silence it.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

import numpy as np

from tfhific.codec.picture_header import TruncatedError

_BITS_PER_SAMPLE = 258
_COMPRESSION = 259
_STRIP_OFFSETS, _STRIP_LENGTHS = 273, 279
_TILE_OFFSETS, _TILE_LENGTHS = 324, 325
_COLOUR_MAP = 320
_JPEG_TABLES = 347
_NEEDED = (
    _BITS_PER_SAMPLE,
    _COMPRESSION,
    _STRIP_OFFSETS,
    _STRIP_LENGTHS,
    _TILE_OFFSETS,
    _TILE_LENGTHS,
    _COLOUR_MAP,
    _JPEG_TABLES,
)
_UNCOMPRESSED = 1
# Bytes of one value by its type.
_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
_UNSIGNED_TYPES = (1, 3, 4, 16)


def check_tiff_is_whole(stream: BinaryIO) -> None:
    """Checks that the first page's folder, tables and compressed samples lie inside the file.

    Uncompressed samples are left to Pillow, which reads them itself and needs no lengths; so are
    tags that do not matter for decoding. Leaves the stream at its beginning. Allocates no more
    than the file is long.

    Raises:
      TruncatedError: something lies beyond the end of the file.
    """
    total = stream.seek(0, os.SEEK_END)
    stream.seek(0)
    try:
        values = _first_folder(stream, total)
    except struct.error as error:
        raise TruncatedError("the file ends before its first folder does") from error
    finally:
        stream.seek(0)
    if values.get(_COMPRESSION, np.array([_UNCOMPRESSED]))[0] == _UNCOMPRESSED:
        return
    for offsets, lengths in ((_STRIP_OFFSETS, _STRIP_LENGTHS), (_TILE_OFFSETS, _TILE_LENGTHS)):
        if offsets not in values or lengths not in values:
            continue
        number = min(len(values[offsets]), len(values[lengths]))
        starts, sizes = values[offsets][:number], values[lengths][:number]
        # Each alone first: 64-bit sums of what a hostile file holds could wrap around.
        if ((starts > total) | (sizes > total) | (starts + sizes > total)).any():
            raise TruncatedError("the file ends before its samples do")


def _first_folder(stream: BinaryIO, total: int) -> dict[int, np.ndarray]:
    """The integers, uint64, of the tags needed for decoding that have some."""
    start = stream.read(16)
    order = "<" if start[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", start, 2)[0] == 43
    first = struct.unpack_from(order + ("Q" if big else "I"), start, 8 if big else 4)[0]
    count_code, entry_code, inline = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    entry_bytes = struct.calcsize(order + entry_code) + inline
    _seek(stream, first, total)
    count_bytes = struct.calcsize(order + count_code)
    count = struct.unpack(order + count_code, stream.read(count_bytes))[0]
    if first + count_bytes + count * entry_bytes > total:
        raise TruncatedError("the file ends before its first folder does")
    folder = stream.read(count * entry_bytes)
    values = {}
    for offset in range(0, len(folder), entry_bytes):
        tag, kind, number = struct.unpack_from(order + entry_code, folder, offset)
        # The first of several counts, so that a hostile folder is not read over and over.
        if tag not in _NEEDED or tag in values or kind not in _TYPE_BYTES or number == 0:
            continue
        length = number * _TYPE_BYTES[kind]
        data = folder[offset + entry_bytes - inline : offset + entry_bytes]
        where = None
        if length > inline:
            where = struct.unpack(order + ("Q" if big else "I"), data)[0]
            if where + length > total:
                raise TruncatedError("the file ends before the tables in its first folder do")
        if kind in _UNSIGNED_TYPES:
            if where is not None:
                _seek(stream, where, total)
                data = stream.read(length)
            values[tag] = np.frombuffer(data[:length], f"{order}u{_TYPE_BYTES[kind]}")
            values[tag] = values[tag].astype(np.uint64)
    return values


def _seek(stream: BinaryIO, position: int, total: int) -> None:
    if position >= total:
        raise TruncatedError("the file ends before its first folder does")
    stream.seek(position)
