"""The range decoder in plain Python, with overflow; what eager programs use."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
import tensorflow as tf

from tfc_port.ops.lookup import Lookup

# An Elias gamma code of a value of 32 bits starts with at most as many zeros.
MOST_ZEROS = 32


def decode_lanes(lookup: Lookup, words, state, rows):
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
    cdf = lookup.cdf.numpy()
    starts, symbols = lookup.starts.numpy(), lookup.symbols.numpy()
    tables = [cdf[start : start + count + 1].tolist() for start, count in zip(starts, symbols)]
    # The symbol that announces an overflow; none where overflow is off.
    escapes = np.where(lookup.overflow.numpy() == 1, symbols - 1, -1).tolist()
    lanes = zip(words.numpy().tolist(), state.numpy().tolist(), rows.numpy())
    values, states = [], []
    for lane_words, lane_state, lane_rows in lanes:
        decoded, lane_state = _decode_lane(lane_words, lane_state, lane_rows, tables, escapes)
        values.append(decoded)
        states.append(lane_state)
    values = np.array(values, np.int64).reshape(rows.shape)
    return tf.constant(values), tf.constant(states, tf.int64, shape=state.shape)


def _decode_lane(words, state, rows, tables, escapes):
    value, size, read, possible = state
    available = len(words)
    decoded = np.zeros(len(rows), np.int64)
    if not possible:
        return decoded, state

    def next_bit():
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

    def overflow_value(escape):
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

    for position, row in enumerate(rows.tolist()):
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
            symbol = overflow_value(symbol)
            if symbol is None:
                return np.zeros_like(decoded), [value, size, read, 0]
        decoded[position] = symbol
    return decoded, [value, size, read, 1]
