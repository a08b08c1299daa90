"""A TIFF file's folders: what their tags say, every length checked against the file."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

SUBFILE, OLD_SUBFILE = 254, 255
WIDTH, HEIGHT = 256, 257
BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC = 258, 259, 262
FILL_ORDER, MAKE, ORIENTATION = 266, 271, 274
STRIP_OFFSETS, SAMPLES_PER_PIXEL, ROWS_PER_STRIP, STRIP_LENGTHS = 273, 277, 278, 279
PLANAR, PREDICTOR, COLOUR_MAP = 284, 317, 320
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_LENGTHS = 322, 323, 324, 325
SUB_FOLDERS, EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES = 330, 338, 339, 347
YCBCR_COEFFICIENTS, YCBCR_SUBSAMPLING, REFERENCE_BLACK_WHITE = 529, 530, 532
ICC, DNG_VERSION = 34675, 50706
_NEEDED = frozenset(
    (
        *(SUBFILE, OLD_SUBFILE, WIDTH, HEIGHT, BITS_PER_SAMPLE, COMPRESSION, PHOTOMETRIC),
        *(FILL_ORDER, ORIENTATION, STRIP_OFFSETS, SAMPLES_PER_PIXEL, ROWS_PER_STRIP),
        *(STRIP_LENGTHS, PLANAR, PREDICTOR, COLOUR_MAP, TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS),
        *(TILE_LENGTHS, SUB_FOLDERS, EXTRA_SAMPLES, SAMPLE_FORMAT, JPEG_TABLES),
        YCBCR_SUBSAMPLING,
    )
)
# Read where they are there; one that lies outside the file counts as absent.
_WELCOME = frozenset((MAKE, ICC, DNG_VERSION))
_NOTED = frozenset((YCBCR_COEFFICIENTS, REFERENCE_BLACK_WHITE))
# Bytes of one value by its type.
_TYPE_BYTES = {
    **{1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8},
    **{13: 4, 16: 8, 17: 8, 18: 8},
}
_UNSIGNED_TYPES = (1, 3, 4, 13, 16, 18)
_MAX_PAGES = 1000


class TruncatedError(ValueError):
    """The file ends before its structure does."""


@dataclass(frozen=True)
class Folder:
    """One folder (IFD) of a TIFF file.

    Attributes:
      order: "<" or ">".
      big: whether the file is a BigTIFF.
      start: where the folder begins.
      following: where the next one begins, 0 if there is none.
      tags: numbers, uint64, of the tags that decoding needs.
      octets: contents of some tags that are texts or bytes.
    """

    order: str
    big: bool
    start: int
    following: int
    tags: dict[int, np.ndarray]
    octets: dict[int, bytes]

    def one(self, tag: int, default: int) -> int:
        """The tag's first number."""
        return int(self.tags[tag][0]) if tag in self.tags else default

    def all(self, tag: int, default: Sequence[int] = ()) -> tuple[int, ...]:
        """The tag's numbers."""
        return tuple(int(v) for v in self.tags[tag]) if tag in self.tags else tuple(default)

    @property
    def is_full_page(self) -> bool:
        """Whether it is neither a smaller version of another page nor a mask."""
        return not self.one(SUBFILE, 0) & 5 and self.one(OLD_SUBFILE, 1) != 2


class FolderReader:
    """Reads the folders of one file. Allocates no more at a time than the file is long."""

    def __init__(self, stream: BinaryIO) -> None:
        """Reads the header.

        Raises:
          TruncatedError: there is no whole one.
        """
        self._stream = stream
        self._total = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        start = stream.read(16)
        self._order = "<" if start[:2] == b"II" else ">"
        try:
            self._big = struct.unpack_from(self._order + "H", start, 2)[0] == 43
            code = self._order + ("Q" if self._big else "I")
            self._first = struct.unpack_from(code, start, 8 if self._big else 4)[0]
        except struct.error as error:
            raise TruncatedError("the file ends before its first folder does") from error

    @property
    def total(self) -> int:
        """The file's length in bytes."""
        return self._total

    def first(self) -> Folder:
        """The first folder.

        Raises:
          TruncatedError: it or what it points to lies outside the file.
        """
        return self.at(self._first)

    def pages(self) -> list[Folder]:
        """The folders that follow each other, up to one that is damaged."""
        pages = [self.first()]
        seen = {self._first, 0}
        while pages[-1].following not in seen and len(pages) < _MAX_PAGES:
            seen.add(pages[-1].following)
            try:
                pages.append(self.at(pages[-1].following))
            except TruncatedError:
                break
        return pages

    def at(self, start: int) -> Folder:
        """The folder that begins at a position; as `first`."""
        order, big = self._order, self._big
        count_code, entry_code, pointer = ("Q", "HHQ", "Q") if big else ("H", "HHI", "I")
        inline = struct.calcsize(order + pointer)
        entry_bytes = struct.calcsize(order + entry_code) + inline
        self._seek(start)
        count_bytes = struct.calcsize(order + count_code)
        raw = self._stream.read(count_bytes)
        if len(raw) < count_bytes:
            raise TruncatedError("the file ends before its first folder does")
        count = struct.unpack(order + count_code, raw)[0]
        if start + count_bytes + count * entry_bytes > self._total:
            raise TruncatedError("the file ends before its first folder does")
        entries = self._stream.read(count * entry_bytes)
        behind = self._stream.read(inline)
        following = struct.unpack(order + pointer, behind)[0] if len(behind) == inline else 0
        tags: dict[int, np.ndarray] = {}
        octets: dict[int, bytes] = {}
        for offset in range(0, len(entries), entry_bytes):
            tag, kind, number = struct.unpack_from(order + entry_code, entries, offset)
            if tag in _NOTED:
                octets[tag] = b""
            if tag not in _NEEDED and tag not in _WELCOME:
                continue
            if tag in tags or tag in octets:
                # Readers disagree about which of two counts.
                raise TruncatedError(f"its tag {tag} is there twice")
            if kind not in _TYPE_BYTES or number == 0:
                continue
            field = entries[offset + entry_bytes - inline : offset + entry_bytes]
            length = number * _TYPE_BYTES[kind]
            try:
                data = self._data(field, length, pointer)
            except TruncatedError:
                if tag in _WELCOME:
                    continue
                raise
            if tag in _WELCOME:
                octets[tag] = data
            elif kind in _UNSIGNED_TYPES:
                values = np.frombuffer(data, f"{order}u{_TYPE_BYTES[kind]}")
                tags[tag] = values.astype(np.uint64)
        return Folder(order, big, start, following, tags, octets)

    def _data(self, field: bytes, length: int, pointer: str) -> bytes:
        if length <= len(field):
            return field[:length]
        where = struct.unpack(self._order + pointer, field)[0]
        if where + length > self._total:
            raise TruncatedError("the file ends before the tables in its first folder do")
        self._seek(where)
        return self._stream.read(length)

    def _seek(self, position: int) -> None:
        if position >= self._total:
            raise TruncatedError("the file ends before its first folder does")
        self._stream.seek(position)
