"""What a file of a model with a hyperprior must hold for the picture that it claims.

All of this is looked at before anything is allocated or computed: lengths, frames and escape lists,
and that no symbol takes less than its table's most probable one.
"""

from __future__ import annotations

import math

import numpy as np

from tfc_port import coding
from tfc_port.coding import Tables
from tfhific.bitstream import container
from tfhific.bitstream.container import Contents
from tfhific.errors import BitstreamError

MAX_BAND_LATENTS = 1 << 23
"""More of them in a band are refused, from format version 1 on, but where it has as few rows as it
can: four times what is written."""

BYTES_PER_STREAM = 4
"""A stream may hold so much more than its bytes: what is missing at its end is 0."""


def _peaks(tables: Tables) -> list[float]:
    """The share of each row's most probable symbol."""
    cdfs = [np.asarray(tables.cdf(row)) for row in range(tables.rows)]
    return [float(np.diff(cdf).max() / cdf[-1]) for cdf in cdfs]


def least_bits_of_all(tables: Tables) -> float:
    """Bits that a symbol of each row takes at the least, all of them together."""
    return -sum(math.log2(share) for share in _peaks(tables))


def least_bits_of_any(tables: Tables) -> float:
    """Bits that a symbol takes at the least, whatever its row."""
    # Half of it: the range coder rounds, and beside next to nothing that is something.
    return abs(math.log2(max(_peaks(tables)))) / 2.0


def check_claims(
    contents: Contents,
    *,
    z_shape: tuple[int, int, int],
    y_shape: tuple[int, int, int],
    unit: int,
    least_z_bits: float,
    least_y_bits: float,
) -> tuple[list[slice], list[bytes]]:
    """Refuses what can't hold the picture that it claims.

    Args:
      contents: of the file.
      z_shape: rows, columns and channels of the hyperlatents.
      y_shape: the same of the latents.
      unit: latent rows that a band is a multiple of.
      least_z_bits: that a position of hyperlatents takes.
      least_y_bits: that a latent takes.

    Returns:
      The bands' rows, and their payloads.

    Raises:
      BitstreamError: where it can't.
    """
    claim = f"The file claims a picture of {contents.width}x{contents.height} pixels, which its"

    def holds(section: bytes, streams: int, bits: float) -> bool:
        return 8 * (len(section) + BYTES_PER_STREAM * streams) >= bits

    if not holds(contents.z, contents.z_streams, least_z_bits * z_shape[0] * z_shape[1]):
        raise BitstreamError(f"{claim} {len(contents.z)} bytes of hyperlatents can't hold.")
    height, row = y_shape[0], y_shape[1] * y_shape[2]
    rows = contents.band_rows or height
    if rows > height or (contents.band_rows and rows % unit):
        raise BitstreamError(f"The file claims impossible bands, of {rows} latent rows.")
    if contents.version and rows > unit and rows * row > MAX_BAND_LATENTS:
        raise BitstreamError(
            f"The file claims a band of {rows * row} latents, more than {MAX_BAND_LATENTS}."
        )
    cuts = cut(height, rows)
    payloads = container.split_bands(contents.y, len(cuts))
    if not holds(contents.y, contents.y_streams * len(cuts), least_y_bits * row * height):
        raise BitstreamError(f"{claim} {len(contents.y)} bytes of latents can't hold.")
    try:
        coding.check(contents.z, math.prod(z_shape), streams=contents.z_streams)
        for band, payload in zip(cuts, payloads):
            count = row * (band.stop - band.start)
            coding.check(payload, count, streams=contents.y_streams)
    except coding.CodingError as error:
        raise BitstreamError(f"The file's latents can't be decoded: {error}") from None
    return cuts, payloads


def cut(height: int, rows: int) -> list[slice]:
    """Bands of so many rows, the last of what is left."""
    return [slice(top, min(top + rows, height)) for top in range(0, height, rows)]
