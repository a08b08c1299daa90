"""A file put together from pieces of others, without copying them."""

from __future__ import annotations

import bisect
import io
import os
from collections.abc import Sequence
from typing import Any, BinaryIO, Union

Piece = Union[bytes, tuple[BinaryIO, int, int]]
"""Bytes, or a seekable file, where in it the piece begins, and how long it is."""


class Pieces(io.RawIOBase):
    """A readable, seekable file that is the given pieces in their order.

    A piece that its file is too short for ends the whole there. Files stay open, and their
    positions are not kept.
    """

    def __init__(self, pieces: Sequence[Piece]) -> None:
        """See the class."""
        super().__init__()
        self._pieces = [piece for piece in pieces if _length(piece)]
        self._starts, self._total = [], 0
        for piece in self._pieces:
            self._starts.append(self._total)
            self._total += _length(piece)
        self._at = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As `io.IOBase.seek`."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._total}[whence]
        if base + offset < 0:
            raise ValueError("a position before the beginning")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """The position, bytes from the beginning."""
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, fewer only at the end; all that are left for -1."""
        left = max(self._total - self._at, 0)
        left = left if size is None or size < 0 else min(size, left)
        parts = []
        while left:
            index = bisect.bisect_right(self._starts, self._at) - 1
            within = self._at - self._starts[index]
            piece = self._pieces[index]
            take = min(left, _length(piece) - within)
            if isinstance(piece, bytes):
                part = piece[within : within + take]
            else:
                stream, start, _ = piece
                stream.seek(start + within)
                part = stream.read(take)
            parts.append(part)
            self._at += len(part)
            left -= take
            if len(part) < take:
                break
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        """Fills a buffer of bytes as far as there is something, and returns how far."""
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece[2]
