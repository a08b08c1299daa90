"""Variable-length integers: seven bits a byte, the lowest first, the high bit set but for the last.

Canonical ones only: at most five bytes, and the last is not 0 unless it is the only one.
"""

from __future__ import annotations

import numpy as np

from tfc_port.coding.errors import CodingError

MAX_BYTES = 5


def encode(numbers: np.ndarray) -> bytes:
    """Returns int64 [k] numbers, each from 0 to 2**35 - 1, as varints."""
    numbers = np.asarray(numbers, np.int64)
    digits = (numbers[:, None] >> (7 * np.arange(MAX_BYTES))) & 127
    rest = numbers[:, None] >> (7 * np.arange(1, MAX_BYTES + 1))
    digits[rest > 0] |= 128
    used = np.ones_like(digits, bool)
    used[:, 1:] = rest[:, :-1] > 0
    return digits[used].astype(np.uint8).tobytes()


def decode(data: bytes) -> np.ndarray:
    """Returns the numbers, int64 [k], of a string that holds nothing but varints.

    Raises:
      CodingError: where the string ends within one, or one is not canonical.
    """
    octets = np.frombuffer(data, np.uint8)
    if not octets.size:
        return np.zeros(0, np.int64)
    ends = np.flatnonzero(octets < 128)
    if not ends.size or ends[-1] != octets.size - 1:
        raise CodingError("The last variable-length integer must be complete; it is cut off.")
    lengths = np.diff(ends, prepend=-1)
    if int(lengths.max()) > MAX_BYTES or np.any((octets[ends] == 0) & (lengths > 1)):
        raise CodingError(
            f"A variable-length integer must be written in at most {MAX_BYTES} bytes and without "
            "needless ones; one is not."
        )
    starts = ends - lengths + 1
    place = np.arange(octets.size) - np.repeat(starts, lengths)
    digits = (octets.astype(np.int64) & 127) << (7 * place)
    return np.add.reduceat(digits, starts)


def read_one(data: bytes, offset: int, name: str) -> tuple[int, int]:
    """Returns the number at `offset` and the offset behind it.

    Raises:
      CodingError: where the string ends within it, or it is not canonical; names `name`.
    """
    number = 0
    for place in range(MAX_BYTES):
        if offset + place >= len(data):
            raise CodingError(f"The payload ends within {name}.")
        octet = data[offset + place]
        number |= (octet & 127) << (7 * place)
        if octet < 128:
            if octet == 0 and place:
                break
            return number, offset + place + 1
    raise CodingError(
        f"{name} must be written in at most {MAX_BYTES} bytes and without needless ones; it is not."
    )
