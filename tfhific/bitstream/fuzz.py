"""Damaged and hostile files made from good ones, and what a decoder does with them."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator

import numpy as np

from tfhific.bitstream.checksum import checksum
from tfhific.bitstream.container import unpack
from tfhific.errors import BitstreamError

_CHECKSUM_BYTES = 8


@dataclasses.dataclass
class Tally:
    """What became of mutated files.

    Attributes:
      tried: how many.
      refused: with BitstreamError.
      equal: decoded to the original picture (a mutation may change nothing that matters).
      other: decoded to another picture of the size that the header says; only a repaired checksum
        lets that happen.
      wrong: anything else, each with its mutation's number and what happened.
      slowest: seconds of the slowest attempt.
    """

    tried: int = 0
    refused: int = 0
    equal: int = 0
    other: int = 0
    wrong: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    slowest: float = 0.0


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three random changes: bits, bytes, runs, cuts, copies, insertions."""
    out = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        kind = int(rng.integers(8))
        # Half of the changes go to the header, where the lengths are.
        reach = min(40, len(out)) if rng.random() < 0.5 else len(out)
        at = int(rng.integers(max(reach, 1)))
        run = int(rng.integers(1, 17))
        noise = rng.integers(0, 256, run, dtype=np.uint8).tobytes()
        if not out:
            out += noise
        elif kind == 0:
            out[at] ^= 1 << int(rng.integers(8))
        elif kind == 1:
            out[at] = int(rng.integers(256))
        elif kind == 2:
            out[at : at + run] = noise[: len(out[at : at + run])]
        elif kind == 3:
            del out[at:]
        elif kind == 4:
            del out[at : at + run]
        elif kind == 5:
            out[at:at] = noise
        elif kind == 6:
            out[at : at + run] = bytes([(0x00, 0xFF, 0x80, 0x7F)[int(rng.integers(4))]]) * run
        else:
            source = int(rng.integers(len(out)))
            out[at : at + run] = out[source : source + run]
    return bytes(out)


def repair(data: bytes) -> bytes:
    """The same bytes with a checksum that fits, as an attacker can make it."""
    body = data[:-_CHECKSUM_BYTES]
    return body + checksum(body)


def mutations(data: bytes, count: int, seed: int, repaired: bool) -> Iterator[bytes]:
    """Random variants of a file that differ from it."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        changed = data
        while changed == data:
            changed = mutate(data, rng)
            if repaired and len(changed) > _CHECKSUM_BYTES:
                changed = repair(changed)
        yield changed


def fuzz(
    decompress: Callable[[bytes], np.ndarray],
    data: bytes,
    *,
    count: int,
    seed: int = 0,
    repaired: bool = False,
    patience: float = 5.0,
    progress: Callable[[], None] = lambda: None,
) -> Tally:
    """Gives mutated files to a decoder.

    Args:
      decompress: takes bytes and returns a picture or raises BitstreamError.
      data: a good file.
      count: how many mutations.
      seed: chooses them; a mutation's number and the seed name it.
      repaired: with a checksum that fits.
      patience: seconds after which an attempt counts as wrong.
      progress: called after each.
    """
    original = decompress(data)
    tally = Tally()
    for number, changed in enumerate(mutations(data, count, seed, repaired)):
        started = time.perf_counter()
        tally.tried += 1
        try:
            picture = decompress(changed)
        except BitstreamError:
            tally.refused += 1
        except Exception as error:  # What a fuzzer is for.
            tally.wrong.append((number, f"{type(error).__name__}: {error}"))
        else:
            size = _claimed_size(changed)
            if picture.shape != (*size, 3):
                tally.wrong.append((number, f"a picture of shape {picture.shape}, not {size}"))
            elif np.array_equal(picture, original):
                tally.equal += 1
            elif repaired:
                tally.other += 1
            else:
                tally.wrong.append((number, "another picture in spite of the checksum"))
        seconds = time.perf_counter() - started
        tally.slowest = max(tally.slowest, seconds)
        if seconds > patience:
            tally.wrong.append((number, f"took {seconds:.1f} s"))
        progress()
    return tally


def _claimed_size(data: bytes) -> tuple[int, ...]:
    """Height and width by the header, (0, 0) for a file that should have been refused."""
    try:
        contents = unpack(data)
    except BitstreamError:
        return 0, 0
    return contents.height, contents.width
