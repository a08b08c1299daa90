"""The frame around the streams: their lengths and the escape list.

A payload is, in order:

1. one byte: bit 7 set if there is an escape list; bits 5 and 6 are 0; bits 0 to 4 are `width`;
2. if there is an escape list: its length in bytes, at least 1, as a varint, and the list;
3. if there is more than one stream: `base`, the length of the shortest of all streams but the
   last, as a varint; then for each of those its length less `base` in `width` bits, the highest
   first, filled up to whole bytes with 0; `width` is as small as the largest of them allows;
4. the streams, one after the other. The last one is what is left.

With one stream `width` is 0. How long the payload is, and how many streams it has, is known from
outside.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tfc_port.coding import varints
from tfc_port.coding.errors import CodingError

MAX_STREAMS = 4096
"""More streams than any payload gains from; a bound for what hostile input can ask for."""

_ESCAPES = 0x80
_RESERVED = 0x60
_WIDTH = 0x1F


def check_streams(streams: object) -> int:
    """Returns the number of streams.

    Raises:
      CodingError: where it isn't an integer from 1 to `MAX_STREAMS`.
    """
    if isinstance(streams, bool) or not isinstance(streams, (int, np.integer)):
        raise CodingError(f"`streams` must be an integer. Received: {streams!r}.")
    if not 1 <= streams <= MAX_STREAMS:
        raise CodingError(f"`streams` must be from 1 to {MAX_STREAMS}. Received: {streams}.")
    return int(streams)


def join(strings: Sequence[bytes], escapes: bytes) -> bytes:
    """Returns the payload of at least one stream and an escape list, which may be empty."""
    lengths = np.fromiter((len(string) for string in strings[:-1]), np.int64, len(strings) - 1)
    base = width = 0
    if lengths.size:
        base = int(lengths.min())
        width = int(lengths.max() - base).bit_length()
    parts = [bytes([width | (_ESCAPES if escapes else 0)])]
    if escapes:
        parts += [varints.encode(np.array([len(escapes)])), escapes]
    if lengths.size:
        bits = ((lengths[:, None] - base) >> np.arange(width - 1, -1, -1)) & 1
        parts += [varints.encode(np.array([base])), np.packbits(bits.astype(np.uint8)).tobytes()]
    return b"".join([*parts, *strings])


def split(payload: bytes, streams: int) -> tuple[list[bytes], bytes]:
    """Returns the streams and the escape list of a payload.

    Args:
      payload: the bytes, all of them.
      streams: how many streams it has, 1 to `MAX_STREAMS`.

    Raises:
      CodingError: where the payload is too short for what its lengths say, or they are not written
        as `join` writes them.
    """
    if not payload:
        raise CodingError("A payload must have at least one byte. Received: none.")
    width, offset = payload[0] & _WIDTH, 1
    if payload[0] & _RESERVED or (streams == 1 and width):
        raise CodingError(f"The payload's first byte is not a known one. Received: {payload[0]}.")
    escapes = b""
    if payload[0] & _ESCAPES:
        length, offset = varints.read_one(payload, offset, "the escape list's length")
        if not 1 <= length <= len(payload) - offset:
            raise CodingError(
                f"The escape list must have 1 to {len(payload) - offset} bytes, which is what is "
                f"left. Received: {length}."
            )
        escapes = payload[offset : offset + length]
        offset += length
    lengths = np.zeros(0, np.int64)
    if streams > 1:
        base, offset = varints.read_one(payload, offset, "the shortest stream's length")
        packed = ((streams - 1) * width + 7) // 8
        if packed > len(payload) - offset:
            raise CodingError("The payload ends within the streams' lengths.")
        bits = np.unpackbits(np.frombuffer(payload, np.uint8, packed, offset))
        offset += packed
        used = (streams - 1) * width
        weights = np.int64(1) << np.arange(width - 1, -1, -1, dtype=np.int64)
        rest = bits[:used].reshape(streams - 1, width) @ weights
        if bits[used:].any() or rest.min() != 0 or int(rest.max()).bit_length() != width:
            raise CodingError("The streams' lengths must be written in the fewest bits.")
        lengths = base + rest
        if int(lengths.sum()) > len(payload) - offset:
            raise CodingError(
                f"The streams but the last must fit in the {len(payload) - offset} bytes that are "
                f"left. Received: lengths that sum to {int(lengths.sum())}."
            )
    ends = (offset + np.cumsum(lengths)).tolist()
    starts = [offset, *ends]
    return [payload[a:b] for a, b in zip(starts, [*ends, len(payload)])], escapes
