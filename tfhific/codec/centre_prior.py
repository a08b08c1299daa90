"""Probabilities of centres: by channel alone, or also by what is decoded already.

Both are frozen integer tables, counted over pictures when a model is published.

- `static`: a row a channel; coded by `tfc_port.coding` over several streams.
- `hyper`: a row for each channel, its left and upper neighbour in the same channel, and the channel
  before at the same place. Symbols are coded one after the other, row by row, all channels of a
  place together; the decoder knows each symbol's row when it comes to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from tfc_port import coding
from tfc_port.coding import Tables
from tfc_port.coding.python import decode_stream_into, encode_stream

PRIORS = ("static", "hyper")
_PSEUDO_COUNT = 8.0


def static_tables(shares: np.ndarray) -> Tables:
    """A row for each channel.

    Args:
      shares: float [channels, centres], how often each was seen; zeros are allowed.
    """
    shares = np.asarray(shares, np.float64)
    shares = shares / shares.sum(1, keepdims=True)
    floor = 1e-4
    pmfs = list((shares + floor) / (1.0 + floor * shares.shape[1]))
    return Tables.from_pmfs(pmfs, np.zeros(len(pmfs), np.int32))


def count_static(codes: Iterable[tuple], channels: int, centres: int) -> np.ndarray:
    """Counts float64 [channels, centres] over pairs of symbols [h, w, C] and kept [h, w]."""
    counts = np.ones([channels, centres])
    for symbols, kept in codes:
        chosen = symbols[kept]
        for channel in range(channels):
            counts[channel] += np.bincount(chosen[:, channel], minlength=centres)
    return counts


def context_rows(symbols: np.ndarray, kept: np.ndarray, centres: int) -> np.ndarray:
    """The row of each symbol's context, int32 [h, w, C]; see `row_of`.

    Args:
      symbols: int32 [h, w, C].
      kept: bool [h, w]; a symbol that is not kept is a neighbour without a value.
      centres: how many there are.
    """
    height, width, channels = symbols.shape
    values = np.where(kept[..., None], symbols, centres)
    padded = np.full([height + 1, width + 1, channels], centres)
    padded[1:, 1:] = values
    before = np.concatenate([np.full([height, width, 1], centres), values[..., :-1]], -1)
    return row_of(np.arange(channels), padded[1:, :-1], padded[:-1, 1:], before, centres).astype(
        np.int32
    )


def row_of(channel, left, above, before, centres: int):
    """Which row codes a symbol: integers or arrays of them; `centres` stands for "none"."""
    base = centres + 1
    return ((channel * base + left) * base + above) * base + before


def context_tables(codes: Iterable[tuple], channels: int, centres: int) -> Tables:
    """A row a context, counted; rare ones lean on the same without the channel before.

    Args:
      codes: pairs of symbols int32 [h, w, C] and kept bool [h, w].
      channels: C.
      centres: how many there are.
    """
    base = centres + 1
    counts = np.zeros([channels * base**3, centres])
    for symbols, kept in codes:
        rows = context_rows(symbols, kept, centres)[kept]
        np.add.at(counts, (rows.ravel(), symbols[kept].ravel()), 1.0)
    counts = counts.reshape(channels, base, base, base, centres)
    flat = counts.sum((1, 2, 3)) + 1.0
    shares = flat / flat.sum(-1, keepdims=True)
    # From the coarsest context to the finest, each starting from a few counts of the one before.
    by_left = counts.sum((2, 3)) + _PSEUDO_COUNT * shares[:, None]
    by_left /= by_left.sum(-1, keepdims=True)
    by_both = counts.sum(3) + _PSEUDO_COUNT * by_left[:, :, None]
    by_both /= by_both.sum(-1, keepdims=True)
    by_all = counts + _PSEUDO_COUNT * by_both[:, :, :, None]
    by_all /= by_all.sum(-1, keepdims=True)
    pmfs = list(by_all.reshape(-1, centres))
    return Tables.from_pmfs(pmfs, np.zeros(len(pmfs), np.int32))


def encode_context(symbols: np.ndarray, kept: np.ndarray, tables: Tables, centres: int) -> bytes:
    """The stream of the kept symbols under a `hyper` prior."""
    rows = context_rows(symbols, kept, centres)[kept].ravel().tolist()
    cdfs = _cdfs(tables)
    return encode_stream(symbols[kept].ravel().tolist(), [cdfs[row] for row in rows])


def decode_context(data: bytes, kept: np.ndarray, tables: Tables, centres: int) -> np.ndarray:
    """Symbols int32 [h, w, C] of a stream, 0 where nothing is kept.

    Raises:
      CodingError: when the stream does not fit.
    """
    channels = tables.rows // (centres + 1) ** 3
    cdfs = _cdfs(tables)
    decoded: list[int] = []
    height, width = kept.shape
    values = [[centres] * (width * channels) for _ in range(height)]

    def questions() -> Iterator[list]:
        nothing = [centres] * (width * channels)
        for y, mask in enumerate(kept.tolist()):
            row, above = values[y], values[y - 1] if y else nothing
            for x in range(width):
                if not mask[x]:
                    continue
                place, before = x * channels, centres
                for channel in range(channels):
                    at = place + channel
                    left = row[at - channels] if x else centres
                    yield cdfs[row_of(channel, left, above[at], before, centres)]
                    row[at] = before = decoded[-1]

    decode_stream_into(decoded, data, questions(), int(kept.sum()) * channels)
    symbols = np.zeros([height, width, channels], np.int32)
    symbols[kept] = np.array(decoded, np.int32).reshape(-1, channels)
    return symbols


def _cdfs(tables: Tables) -> list[list[int]]:
    return [tables.cdf(row).tolist() for row in range(tables.rows)]


def encode_static(
    symbols: np.ndarray, kept: np.ndarray, tables: Tables, coder: str | None
) -> tuple[bytes, int]:
    """Payload of the kept symbols under a `static` prior, and its number of streams."""
    values = symbols[kept]
    rows = np.broadcast_to(np.arange(values.shape[1], dtype=np.int32), values.shape)
    values, rows = values.ravel(), np.ascontiguousarray(rows).ravel()
    payload = coding.encode(values, rows, tables, streams=1, implementation=coder)
    streams = coding.choose_streams(len(payload))
    if streams > 1:
        payload = coding.encode(values, rows, tables, streams=streams, implementation=coder)
    return payload, streams


def decode_static(
    data: bytes, kept: np.ndarray, tables: Tables, streams: int, coder: str | None
) -> np.ndarray:
    """Symbols int32 [h, w, C] of a payload, 0 where nothing is kept.

    Raises:
      CodingError: when the payload does not fit.
    """
    shape = (int(kept.sum()), tables.rows)
    rows = np.ascontiguousarray(np.broadcast_to(np.arange(shape[1], dtype=np.int32), shape))
    flat = coding.decode(data, rows.ravel(), tables, streams=streams, implementation=coder)
    symbols = np.zeros([*kept.shape, shape[1]], np.int32)
    symbols[kept] = flat.reshape(shape)
    return symbols
