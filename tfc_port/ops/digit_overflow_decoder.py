"""Values outside their table, coded digit by digit: decoding. See `tfc_port.ops.digit_overflow`."""

from __future__ import annotations

import functools
from bisect import bisect_right

import numpy as np
import tensorflow as tf

from tfc_port.ops import lockstep_decoder
from tfc_port.ops._int64 import shift_left, shift_right, where
from tfc_port.ops._loops import run_loop
from tfc_port.ops.digit_overflow import MOST_BITS, add_digit, most_digits, to_value
from tfc_port.ops.lookup import FULL_PRECISION, ROW_SHIFT, Lookup

_SYMBOL, _COUNTER, _DIGIT = range(3)


def decode_lanes(lookup: Lookup, words, state, rows, width: int):
    """Decodes the values of each lane.

    Args:
      lookup: The tables; the last symbol of every row announces an overflow.
      words: int64 [lanes, w], 16-bit words; what is missing is 0.
      state: int64 [lanes, 4], as in `RangeDecoder`.
      rows: int64 [lanes, n], the row of each value.
      width: Bits of a digit.

    Returns:
      int64 [lanes, n], the values, and the new state. A lane that meets a code no encoder writes
      returns zeros, and a state that says so.
    """
    if tf.executing_eagerly():
        return _decode_serially(lookup, words, state, rows, width)
    with_overflow = functools.partial(_decode_with_overflow, width=width)
    return lockstep_decoder.decode_lanes(lookup, words, state, rows, with_overflow)


def _decode_serially(lookup, words, state, rows, width):
    cdf = lookup.cdf.numpy()
    starts, symbols = lookup.starts.numpy(), lookup.symbols.numpy()
    tables = [cdf[start : start + count + 1].tolist() for start, count in zip(starts, symbols)]
    values, states = [], []
    for lane_words, lane_state, lane_rows in zip(
        words.numpy().tolist(), state.numpy().tolist(), rows.numpy().tolist()
    ):
        decoded, lane_state = _decode_lane(lane_words, lane_state, lane_rows, tables, width)
        values.append(decoded)
        states.append(lane_state)
    values = np.array(values, np.int64).reshape(rows.shape)
    return tf.constant(values), tf.constant(states, tf.int64, shape=state.shape)


def _decode_lane(words, state, rows, tables, width):
    value, size, read, possible = state
    available, top = len(words), (1 << width) - 1

    def narrow(low, high):
        nonlocal value, size, read
        low = size * low >> FULL_PRECISION
        size = (size * high >> FULL_PRECISION) - low
        value -= low
        if size <= 1 << 16:
            value = value << 16 | (words[read] if read < available else 0)
            size <<= 16
            read += 1

    def next_digit():
        shift = FULL_PRECISION - width
        digit = (value << 16 | 0xFFFF) // size >> shift
        narrow(digit << shift, (digit + 1) << shift)
        return digit

    def overflow_value(last):
        digits = 0
        while True:
            digit = next_digit()
            digits += digit
            if digits > most_digits(width):
                return None
            if digit != top:
                break
        number = 0
        for place in range(digits):
            number |= next_digit() << place * width
        return to_value(number, last) if number < 1 << MOST_BITS else None

    decoded = []
    for row in rows if possible else []:
        cdf = tables[row]
        symbol = bisect_right(cdf, (value << 16 | 0xFFFF) // size) - 1
        narrow(cdf[symbol], cdf[symbol + 1])
        last = len(cdf) - 2
        if symbol == last:
            symbol = overflow_value(last)
            if symbol is None:
                possible = 0
                break
        decoded.append(symbol)
    if not possible:
        decoded = [0] * len(rows)
    return decoded, [value, size, read, possible]


def _decode_with_overflow(lookup, words, state, rows, width):
    """A step reads one interval in every lane, a symbol or a digit; each is in its own place."""
    lanes, n = tf.unstack(tf.shape(rows, tf.int64))
    words = lockstep_decoder.with_zeros(words)
    distance, size, read, possible = tf.unstack(state, axis=1)
    zero = tf.zeros([lanes], tf.int64)
    lane = tf.range(lanes)
    # One more column takes what lanes in the middle of a code, or done, write.
    trash = lane * (n + 1) + n
    padded_rows = tf.pad(rows, [[0, 0], [0, 1]])
    shift, top, whole = FULL_PRECISION - width, (1 << width) - 1, 1 << FULL_PRECISION

    def body(
        step, distance, size, read, place, mode, digits, done_digits, number, possible, targets,
        written,
    ):  # fmt: skip
        done = (place >= n) | tf.equal(possible, 0)
        row = tf.gather(padded_rows, tf.minimum(place, n), batch_dims=1)
        count = lockstep_decoder.count_at(distance, size)
        keys = shift_left(row, ROW_SHIFT) + count
        end = tf.searchsorted(lookup.keys, keys, side="right", out_type=tf.int64)
        at_symbol = tf.equal(mode, _SYMBOL)
        digit = shift_right(count, shift)
        low = where(at_symbol, tf.gather(lookup.cdf, end - 1), shift_left(digit, shift))
        high = where(at_symbol, tf.gather(lookup.cdf, end), shift_left(digit + 1, shift))
        low, high = where(done, 0, low), where(done, whole, high)
        distance, size, read = lockstep_decoder.narrow(
            distance, size, read, size * low, size * high, words
        )
        symbol = end - 1 - tf.gather(lookup.starts, row)
        last = tf.gather(lookup.symbols, row) - 1
        # The filler that blocks are brought to their length with announces nothing.
        announces = at_symbol & tf.equal(symbol, last)
        announces &= tf.equal(tf.gather(lookup.overflow, row), 1)
        at_counter, at_digit = tf.equal(mode, _COUNTER), tf.equal(mode, _DIGIT)
        digits = where(announces, 0, where(at_counter, digits + digit, digits))
        number = where(announces, 0, number)
        number = where(at_digit, add_digit(number, digit, done_digits, width), number)
        done_digits = where(at_digit, done_digits + 1, where(announces, 0, done_digits))
        counted = at_counter & tf.not_equal(digit, top)
        ends = (counted & tf.equal(digits, 0)) | (at_digit & tf.equal(done_digits, digits))
        bad = (at_counter & (digits > most_digits(width))) | (ends & (number >= 1 << MOST_BITS))
        possible = where(bad & ~done, 0, possible)
        complete = ((at_symbol & ~announces) | ends) & ~done
        in_digits = (counted | at_digit) & ~ends
        mode = where(announces | (at_counter & ~counted), _COUNTER, _SYMBOL)
        mode = where(in_digits, _DIGIT, mode)
        targets = targets.write(step, where(complete, lane * (n + 1) + place, trash))
        written = written.write(step, where(ends, to_value(number, last), symbol))
        place += tf.cast(complete, tf.int64)
        return (
            step + 1, distance, size, read, place, mode, digits, done_digits, number, possible,
            targets, written,
        )  # fmt: skip

    def unfinished(step, distance, size, read, place, mode, digits, done, number, possible, *_):
        # A code takes at most twice as many steps as a number has digits, and three.
        return tf.reduce_any((place < n) & tf.equal(possible, 1))

    def record(first):
        record = tf.TensorArray(tf.int64, size=1, dynamic_size=True, element_shape=[rows.shape[0]])
        return record.write(0, first)

    results = run_loop(
        unfinished,
        body,
        (
            tf.constant(1), distance, size, read, zero, zero + _SYMBOL, zero, zero, zero, possible,
            record(trash), record(zero),
        ),
    )  # fmt: skip
    distance, size, read = results[1:4]
    possible, targets, written = results[9:]
    targets, written = targets.stack(), written.stack()
    values = tf.scatter_nd(
        tf.reshape(targets, [-1, 1]),
        tf.reshape(where(tf.equal(targets, trash), 0, written), [-1]),
        tf.reshape(lanes * (n + 1), [1]),
    )
    values = tf.reshape(values, tf.stack([lanes, n + 1]))[:, :-1]
    return values, tf.stack([distance, size, read, possible], axis=1)
