"""The largest quality whose file fits into a number of bytes, also of files that take long."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

from tfhific.errors import ArgumentError, TfhificError

_ROUNDS = 10

FILES = 2 + _ROUNDS
"""So many files are made to find the largest that fits, mostly."""

_TRIES = 3
"""So many files are made with effort at the most."""

_NEAR = 0.99
"""Of a bound: a file that takes this much of it is not tried to be made larger."""


def bound_in_bytes(max_bytes: int | None, max_bpp: float | None, pixels: int) -> int:
    """What a file may take, in bytes.

    Args:
      max_bytes: that, or None.
      max_bpp: in bits per pixel, or None.
      pixels: of the picture.

    Raises:
      ArgumentError: for none or both of them, or one that is no positive number.
    """
    if max_bytes is None and max_bpp is not None:
        bound = max_bpp * pixels / 8
    elif max_bytes is not None and max_bpp is None:
        bound = max_bytes
    else:
        raise ArgumentError("Expected one of `max_bytes` and `max_bpp`.")
    if not bound > 0:
        raise ArgumentError(
            f"Expected a positive number of bytes or of bits per pixel. Received: {bound:g}."
        )
    # Beyond all files, for what a float, but no integer, can hold.
    return int(min(bound, 1 << 62))


def largest_that_fits(
    compress: Callable[[float], bytes],
    max_bytes: int,
    lowest: float = 1.0,
    highest: float = 8.0,
) -> tuple[bytes, float]:
    """Bisects the quality.

    Args:
      compress: a file's bytes at a quality.
      max_bytes: what the file may take.
      lowest: smallest quality.
      highest: largest quality.

    Returns:
      The file, and its quality.

    Raises:
      TfhificError: when even the smallest quality takes more.
    """
    best = compress(highest)
    if len(best) <= max_bytes:
        return best, highest
    best, quality = compress(lowest), lowest
    if len(best) > max_bytes:
        raise TfhificError(
            f"{max_bytes:,} bytes can't be reached: at quality {lowest:g}, the smallest, the "
            f"file takes {len(best):,} bytes."
        )
    low, high = lowest, highest
    for _ in range(_ROUNDS):
        middle = (low + high) / 2
        data = compress(middle)
        if len(data) <= max_bytes:
            best, quality, low = data, middle, middle
        else:
            high = middle
    return best, quality


def largest_with_effort(
    quick: Callable[[float], bytes],
    slow: Callable[[float], bytes],
    max_bytes: int,
    lowest: float = 1.0,
    highest: float = 8.0,
) -> bytes:
    """Finds the quality by files that are made quickly, and makes few of those that take time.

    Files that are made with effort are smaller at one quality. By how much is learned from the
    first; the quality is then searched for a bound so much larger.

    Args:
      quick: a file's bytes at a quality.
      slow: likewise, made with effort.
      max_bytes: what the file may take.
      lowest: smallest quality.
      highest: largest quality.

    Returns:
      A file that fits, made with effort where one of those that were tried does.

    Raises:
      TfhificError: when even the smallest quality takes more.
    """
    quick = functools.lru_cache(maxsize=None)(quick)
    found: bytes | None = None
    try:
        found, quality = largest_that_fits(quick, max_bytes, lowest, highest)
    except TfhificError:
        quality = lowest
    best = -math.inf
    tried: set[float] = set()
    for _ in range(_TRIES):
        tried.add(quality)
        data = slow(quality)
        if len(data) <= max_bytes and quality > best:
            found, best = data, quality
        enough = quality == highest or len(data) >= _NEAR * max_bytes
        if len(data) <= max_bytes and enough:
            break
        aim = int(max_bytes * len(quick(quality)) / len(data))
        try:
            _, quality = largest_that_fits(quick, aim, lowest, highest)
        except TfhificError:
            quality = lowest
        if quality in tried:
            break
    if found is None:
        raise TfhificError(
            f"{max_bytes:,} bytes can't be reached: at quality {lowest:g}, the smallest, the "
            f"file takes {len(data):,} bytes."
        )
    return found
