"""The range decoder in plain Python, with overflow; what eager programs use."""

from __future__ import annotations

import functools
from bisect import bisect_right
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfc_port.ops.lookup import Lookup

# An Elias gamma code of a value of 32 bits starts with at most as many zeros.
MOST_ZEROS = 32

DecodeLane = Callable[
    ["list[int]", "list[int]", "list[int]", "list[list[int]]"], "tuple[list[int], list[int]]"
]
"""A function of a lane's words, state and rows, and the tables, that returns values and state."""


def decode_lanes(
    lookup: Lookup, words: tf.Tensor, state: tf.Tensor, rows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the values of each lane.

    Args:
      lookup: The tables.
      words: int64 [lanes, w], 16-bit words; what is missing is 0.
      state: int64 [lanes, 4], as in `RangeDecoder`.
      rows: int64 [lanes, n], the row of each value.

    Returns:
      int64 [lanes, n], the values, and the new state. A lane that meets a code no encoder writes
      returns zeros, and a state that says so.
    """
    # The symbol that announces an overflow; none where overflow is off.
    escapes = np.where(lookup.overflow.numpy() == 1, lookup.symbols.numpy() - 1, -1).tolist()
    decode_lane = functools.partial(_decode_lane, escapes=escapes)
    return decode_each(lookup, words, state, rows, decode_lane)


def decode_each(
    lookup: Lookup, words: tf.Tensor, state: tf.Tensor, rows: tf.Tensor, decode_lane: DecodeLane
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes lane after lane.

    Args:
      lookup: As in `decode_lanes`, and the next three.
      words: See there.
      state: See there.
      rows: See there.
      decode_lane: What decodes one.

    Returns:
      As there.
    """
    cdf = lookup.cdf.numpy()
    starts, symbols = lookup.starts.numpy(), lookup.symbols.numpy()
    tables = [cdf[start : start + count + 1].tolist() for start, count in zip(starts, symbols)]
    lanes = zip(words.numpy().tolist(), state.numpy().tolist(), rows.numpy().tolist())
    values, states = [], []
    for lane_words, lane_state, lane_rows in lanes:
        decoded, lane_state = decode_lane(lane_words, lane_state, lane_rows, tables)
        values.append(decoded)
        states.append(lane_state)
    array = np.array(values, np.int64).reshape(rows.shape)
    return tf.constant(array), tf.constant(states, tf.int64, shape=state.shape)


def _decode_lane(
    words: list[int],
    state: list[int],
    rows: list[int],
    tables: list[list[int]],
    escapes: list[int],
) -> tuple[list[int], list[int]]:
    value, size, read, possible = state
    available = len(words)
    decoded = [0] * len(rows)
    if not possible:
        return decoded, state

    def next_bit() -> int:
        nonlocal value, size, read
        half = size >> 1
        bit = 1 if value >= half else 0
        if bit:
            value -= half
            size -= half
        else:
            size = half
        if size <= 65536:
            value = value << 16 | (words[read] if read < available else 0)
            size <<= 16
            read += 1
        return bit

    def overflow_value(escape: int) -> int | None:
        zeros = 0
        while not next_bit():
            zeros += 1
            if zeros > MOST_ZEROS:
                return None
        gamma = 1
        for _ in range(zeros):
            gamma = gamma << 1 | next_bit()
        number = -gamma if next_bit() else gamma + escape - 1
        return number if -(1 << 31) <= number < 1 << 31 else None

    for position, row in enumerate(rows):
        cdf = tables[row]
        end = bisect_right(cdf, (value << 16 | 0xFFFF) // size)
        symbol = end - 1
        low = size * cdf[symbol] >> 16
        size = (size * cdf[end] >> 16) - low
        value -= low
        if size <= 65536:
            value = value << 16 | (words[read] if read < available else 0)
            size <<= 16
            read += 1
        if symbol == escapes[row]:
            outside = overflow_value(symbol)
            if outside is None:
                return [0] * len(rows), [value, size, read, 0]
            symbol = outside
        decoded[position] = symbol
    return decoded, [value, size, read, 1]
