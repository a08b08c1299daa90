"""The range decoder in core TensorFlow ops: many lanes in lockstep, each in its own place.

One step of the loop reads one interval in every lane: a symbol, or one bit of the Elias gamma code
of an overflow. Lanes that are done read the whole range, which changes nothing.
"""

from __future__ import annotations

import tensorflow as tf

from tfc_port.ops._int64 import shift_left, shift_right, where
from tfc_port.ops._loops import run_loop
from tfc_port.ops.lookup import ROW_SHIFT, Lookup
from tfc_port.ops.serial_decoder import MOST_ZEROS

_WORD = 16
_HALF = 1 << (_WORD - 1)
_SYMBOL, _ZEROS, _BITS, _SIGN = range(4)


def decode_lanes(lookup: Lookup, words, state, rows):
    """Decodes the values of each lane; arguments and result as in `serial_decoder.decode_lanes`."""
    lanes, n = tf.unstack(tf.shape(rows, tf.int64))
    plain = tf.equal(tf.reduce_sum(lookup.overflow), 0)
    # Without overflow, a step is a symbol and the loop needs no state machine.
    values, state = tf.cond(
        plain,
        lambda: _decode_plain(lookup, words, state, rows),
        lambda: _decode_with_overflow(lookup, words, state, rows, lanes, n),
    )
    values = tf.reshape(values, tf.shape(rows))
    possible = tf.equal(state[:, 3:], 1)
    return where(possible, values, tf.zeros_like(values)), state


def _narrow(distance, size, read, low, high, words):
    """The state after reading the interval between `low` and `high`, given times `size`."""
    low = shift_right(low, _WORD)
    distance -= low
    size = shift_right(high, _WORD) - low
    shifts = size <= 1 << _WORD
    place = tf.minimum(read, tf.shape(words, tf.int64)[1] - 1)
    following = tf.gather(words, place, batch_dims=1)
    shifted = shift_left(distance, _WORD) | following
    return (
        where(shifts, shifted, distance),
        where(shifts, shift_left(size, _WORD), size),
        read + tf.cast(shifts, tf.int64),
    )


def _count(distance, size):
    """The count out of 2**16 that the value stands at."""
    numerator = shift_left(distance + 1, _WORD) - 1
    return tf.raw_ops.TruncateDiv(x=numerator, y=size)


def _with_zeros(words):
    return tf.pad(words, [[0, 0], [0, 1]])


def _decode_plain(lookup, words, state, rows):
    words = _with_zeros(words)
    row_keys = shift_left(tf.transpose(rows), ROW_SHIFT)
    steps = tf.shape(row_keys)[0]

    def body(step, distance, size, read, found):
        keys = row_keys[step] + _count(distance, size)
        end = tf.searchsorted(lookup.keys, keys, side="right", out_type=tf.int64)
        low = size * tf.gather(lookup.cdf, end - 1)
        high = size * tf.gather(lookup.cdf, end)
        distance, size, read = _narrow(distance, size, read, low, high, words)
        return step + 1, distance, size, read, found.write(step, end - 1)

    distance, size, read, possible = tf.unstack(state, axis=1)
    # One element more, written here, since an empty record has no shape to stack.
    found = tf.TensorArray(tf.int64, size=steps + 1, element_shape=[rows.shape[0]])
    found = found.write(steps, distance)
    _, distance, size, read, found = run_loop(
        lambda step, *_: step < steps,
        body,
        (tf.constant(0), distance, size, read, found),
    )
    found = tf.transpose(found.stack()[:-1])
    values = found - tf.gather(lookup.starts, rows)
    return values, tf.stack([distance, size, read, possible], axis=1)


def _decode_with_overflow(lookup, words, state, rows, lanes, n):
    words = _with_zeros(words)
    distance, size, read, possible = tf.unstack(state, axis=1)
    zero = tf.zeros([lanes], tf.int64)
    lane = tf.range(lanes)
    # One more column takes what lanes in the middle of a code, or done, write.
    trash = lane * (n + 1) + n
    padded_rows = tf.pad(rows, [[0, 0], [0, 1]])
    escape_symbol = where(tf.equal(lookup.overflow, 1), lookup.symbols - 1, -1)

    def body(step, distance, size, read, place, mode, zeros, gamma, possible, targets, written):
        done = (place >= n) | tf.equal(possible, 0)
        row = tf.gather(padded_rows, tf.minimum(place, n), batch_dims=1)
        count = _count(distance, size)
        keys = shift_left(row, ROW_SHIFT) + count
        end = tf.searchsorted(lookup.keys, keys, side="right", out_type=tf.int64)
        at_symbol = tf.equal(mode, _SYMBOL)
        bit = shift_right(count, _WORD - 1)
        low = where(at_symbol, tf.gather(lookup.cdf, end - 1), bit * _HALF)
        high = where(at_symbol, tf.gather(lookup.cdf, end), (bit + 1) * _HALF)
        low = where(done, 0, low)
        high = where(done, 1 << _WORD, high)
        distance, size, read = _narrow(distance, size, read, size * low, size * high, words)

        symbol = end - 1 - tf.gather(lookup.starts, row)
        escape = tf.gather(escape_symbol, row)
        announces = at_symbol & tf.equal(symbol, escape)
        is_zero, is_one = tf.equal(bit, 0), tf.equal(bit, 1)
        at_zeros, at_bits, at_sign = (tf.equal(mode, m) for m in (_ZEROS, _BITS, _SIGN))
        # The code's first one ends the zeros, and is the top bit of the number.
        ends_zeros = at_zeros & is_one
        gamma = where(ends_zeros, 1, where(at_bits, 2 * gamma + bit, gamma))
        zeros = where(at_zeros & is_zero, zeros + 1, where(at_bits, zeros - 1, zeros))
        zeros = where(announces, 0, zeros)
        bits_left = (ends_zeros | at_bits) & (zeros > 0)
        to_sign = (ends_zeros | at_bits) & tf.equal(zeros, 0)
        number = where(is_one, -gamma, gamma + escape - 1)
        fits = (number >= -(1 << 31)) & (number < 1 << 31)
        bad = (at_zeros & (zeros > MOST_ZEROS)) | (at_sign & ~fits)
        possible = where(bad & ~done, 0, possible)

        complete = ((at_symbol & ~announces) | at_sign) & ~done
        mode = where(announces | (at_zeros & is_zero), _ZEROS, _SYMBOL)
        mode = where(bits_left, _BITS, where(to_sign, _SIGN, mode))
        targets = targets.write(step, where(complete, lane * (n + 1) + place, trash))
        written = written.write(step, where(at_sign, number, symbol))
        place += tf.cast(complete, tf.int64)
        return (
            step + 1, distance, size, read, place, mode, zeros, gamma, possible, targets, written
        )  # fmt: skip

    def unfinished(step, distance, size, read, place, mode, zeros, gamma, possible, *_):
        # A code takes at most 2 * MOST_ZEROS + 3 steps, so this ends.
        return tf.reduce_any((place < n) & tf.equal(possible, 1))

    def record(first):
        record = tf.TensorArray(tf.int64, size=1, dynamic_size=True, element_shape=[rows.shape[0]])
        return record.write(0, first)

    symbol_mode = zero + _SYMBOL
    results = run_loop(
        unfinished,
        body,
        (
            tf.constant(1), distance, size, read, zero, symbol_mode, zero, zero, possible,
            record(trash), record(zero),
        ),
    )  # fmt: skip
    distance, size, read = results[1:4]
    possible, targets, written = results[8:]
    targets, written = targets.stack(), written.stack()
    values = tf.scatter_nd(
        tf.reshape(targets, [-1, 1]),
        tf.reshape(where(tf.equal(targets, trash), 0, written), [-1]),
        tf.reshape(lanes * (n + 1), [1]),
    )
    values = tf.reshape(values, tf.stack([lanes, n + 1]))[:, :-1]
    return values, tf.stack([distance, size, read, possible], axis=1)
