"""The range coder in plain Python: the format's reference, every loop bounded.

The coder is that of tensorflow-compression: 32-bit arithmetic, 16-bit words, a carry that is held
back until it is known. Tables come as CDFs at precision 16.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from tfc_port.coding.errors import CodingError

_LOW32 = 0xFFFFFFFF


def final_value(base: int, size: int) -> int:
    """Returns the value in [base, base + size) a finished stream stands for, modulo 2**32.

    It is the one that ends in the most zero bytes, which are then not written: 0 (or 2**32), else
    the smallest multiple of 2**24, else that of 2**16, which is always there since `size` is at
    least 2**16.
    """
    for bits in (32, 24, 16):
        value = -(-base >> bits) << bits
        if value < base + size:
            return value & _LOW32
    raise AssertionError("a range coder's interval holds a multiple of 2**16")


def encode_stream(symbols: Iterable[int], cdfs: Iterable[Sequence[int]]) -> bytes:
    """Codes one stream.

    Args:
      symbols: the symbols, counted from 0.
      cdfs: for each symbol its row's CDF, rising strictly from 0 to 2**16.

    Returns:
      The string that tensorflow-compression's range encoder writes.
    """
    output = bytearray()
    base, size = 0, 1 << 32
    # While the interval straddles a carry: the held back word plus one, and how many filler words
    # (FFFF, or 0000 once the carry has come) stand behind it.
    held, fillers = 0, 0
    for symbol, cdf in zip(symbols, cdfs):
        low = size * cdf[symbol] >> 16
        size = (size * cdf[symbol + 1] >> 16) - low
        base += low
        carry = base > _LOW32
        base &= _LOW32
        straddles = base + size - 1 > _LOW32
        if held and not straddles:
            output += (held if carry else held - 1).to_bytes(2, "big")
            output += (b"\0\0" if carry else b"\xff\xff") * fillers
            held = fillers = 0
        if size <= 1 << 16:
            top = base >> 16
            base = (base & 0xFFFF) << 16
            size <<= 16
            if straddles:
                fillers += 1
            elif base + size - 1 > _LOW32:
                held = top + 1
            else:
                output += top.to_bytes(2, "big")
    if held:
        # The carry is taken: then everything behind the held back word is 0 and is not written.
        output += held.to_bytes(2, "big").rstrip(b"\0")
    else:
        output += final_value(base, size).to_bytes(4, "big").rstrip(b"\0")
    return bytes(output)


def decode_stream(data: bytes, cdfs: Sequence[Sequence[int]]) -> list[int]:
    """Decodes one stream.

    Args:
      data: the string; what is missing at its end is 0.
      cdfs: for each symbol its row's CDF, rising strictly from 0 to 2**16.

    Returns:
      As many symbols as there are CDFs.

    Raises:
      CodingError: where the string is longer than its symbols need, or does not end as an encoder
        ends it.
    """
    symbols: list[int] = []
    decode_stream_into(symbols, data, cdfs, len(cdfs))
    return symbols


def decode_stream_into(
    symbols: list[int], data: bytes, cdfs: Iterable[Sequence[int]], count: int
) -> None:
    """Decodes one stream whose CDFs may depend on the symbols before them.

    Args:
      symbols: takes the symbols, one by one: each is there before the next CDF is asked for.
      data: the string; what is missing at its end is 0.
      cdfs: gives for each symbol its CDF, rising strictly from 0 to 2**16.
      count: the most CDFs that `cdfs` gives.

    Raises:
      CodingError: as `decode_stream`.
    """
    # A shift needs a symbol: at most two bytes are read for each.
    padded = data[: 4 + 2 * count] + bytes(4)
    words = [high << 8 | low for high, low in zip(padded[0::2], padded[1::2])]
    value, size, read = words[0] << 16 | words[1], 1 << 32, 2
    available = len(words)
    append = symbols.append
    for cdf in cdfs:
        end = bisect_right(cdf, (value << 16 | 0xFFFF) // size)
        append(end - 1)
        low = size * cdf[end - 1] >> 16
        size = (size * cdf[end] >> 16) - low
        value -= low
        if size <= 65536:
            value = value << 16 | (words[read] if read < available else 0)
            size <<= 16
            read += 1
    check_end(data, read, value, size)


def check_end(data: bytes, read: int, value: int, size: int) -> None:
    """Refuses a string that no encoder of the symbols decoded from it has written.

    Args:
      data: the string.
      read: words of 16 bits that were read of it and of the zeros behind it.
      value: the decoder's value after the last symbol.
      size: the decoder's interval then.

    Raises:
      CodingError: as `decode_stream`.
    """
    if len(data) > 2 * read:
        raise CodingError(
            f"A stream of these symbols must have at most {2 * read} bytes. Received: {len(data)}."
        )
    left = int.from_bytes(data[2 * read - 4 :].ljust(4, b"\0"), "big")
    if left != final_value((left - value) & _LOW32, size):
        raise CodingError("A stream must end as an encoder ends it; this one does not.")
