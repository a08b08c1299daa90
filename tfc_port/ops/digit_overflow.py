"""Values outside their table, coded digit by digit: encoding.

This is the older code of `unbounded_index_range_encode`; that of the newer ops is in
`tfc_port.ops.intervals`. The last symbol of every row announces it. What follows are digits of
`width` bits, each one as probable as any other. First, in the manner of a counter that runs over,
how many digits there are: the highest digit stands for itself and more to come. Then the digits of
the number, the lowest first. The number is twice the distance from the first value behind the row,
or, for values below the row, twice the distance from its first value less one.
"""

from __future__ import annotations

from typing import TypeVar

import tensorflow as tf

from tfc_port.ops._int64 import bit_length, shift_left, shift_right, where
from tfc_port.ops.lookup import FULL_PRECISION, Lookup

IntegerT = TypeVar("IntegerT", int, "tf.Tensor")

MOST_BITS = 33
"""Of a number: twice an int32's distance from another."""


def to_intervals(lookup: Lookup, rows: tf.Tensor, values: tf.Tensor, width: int) -> tf.Tensor:
    """The intervals of each lane's values, padded at the end with the whole range, which is free.

    Args:
      lookup: The tables; the last symbol of every row announces an overflow.
      rows: int64 [lanes, n], the row of each value.
      values: int64 [lanes, n], counted from 0 at the row's first symbol.
      width: Bits of a digit.

    Returns:
      int64 [lanes, t, 2], (low, high) out of 2**16.
    """
    lanes, n = tf.unstack(tf.shape(values, tf.int64))
    last = tf.gather(lookup.symbols, rows) - 1
    below = values < 0
    announced = below | (values >= last)
    number = where(below, -2 * values - 1, 2 * (values - last))
    number = where(announced, number, 0)
    bits = where(number > 0, bit_length(tf.maximum(number, 1)), 0)
    digits = -(-bits // width)
    top = (1 << width) - 1
    counters = digits // top + 1
    first = tf.gather(lookup.starts, rows) + where(announced, last, values)
    symbols = tf.stack([tf.gather(lookup.cdf, first), tf.gather(lookup.cdf, first + 1)], axis=-1)

    lengths = where(announced, 1 + counters + digits, 1)
    steps = tf.reduce_max(tf.concat([[0], tf.reduce_sum(lengths, axis=1)], 0))
    start = tf.cumsum(lengths, axis=1, exclusive=True)
    start += tf.range(lanes, dtype=tf.int64)[:, tf.newaxis] * steps
    flat = tf.reshape(lengths, [-1])
    source = tf.repeat(tf.range(lanes * n, dtype=tf.int64), flat)
    within = tf.range(tf.size(source, tf.int64), dtype=tf.int64)
    within -= tf.repeat(tf.cumsum(flat, exclusive=True), flat)
    target = tf.gather(tf.reshape(start, [-1]), source) + within

    def of_source(tensor: tf.Tensor) -> tf.Tensor:
        return tf.gather(tf.reshape(tensor, [-1]), source)

    source_digits, source_counters = of_source(digits), of_source(counters)
    counter = tf.clip_by_value(source_digits - (within - 1) * top, 0, top)
    place = tf.maximum(within - 1 - source_counters, 0)
    digit = tf.bitwise.right_shift(of_source(number), tf.minimum(place * width, 62)) & top
    digit = where(within <= source_counters, counter, digit)
    unit = 1 << (FULL_PRECISION - width)
    intervals = where(
        tf.equal(within, 0)[:, tf.newaxis],
        tf.gather(tf.reshape(symbols, [-1, 2]), source),
        tf.stack([digit * unit, (digit + 1) * unit], axis=-1),
    )
    whole = tf.tile(tf.constant([[0, 1 << FULL_PRECISION]], tf.int64), tf.stack([lanes * steps, 1]))
    whole = tf.tensor_scatter_nd_update(whole, target[:, tf.newaxis], intervals)
    return tf.reshape(whole, tf.stack([lanes, steps, 2]))


def to_value(number: IntegerT, last: IntegerT) -> IntegerT:
    """The value, counted from 0 at the row's first symbol, of a number: the inverse of the above.

    Args:
      number: int64 tensor, or Python integer.
      last: The number of the row's last symbol, of the same kind.
    """
    if isinstance(number, int):
        return -((number + 1) >> 1) if number & 1 else (number >> 1) + last
    half = shift_right(number + 1, 1)
    return where(tf.equal(number & 1, 1), -half, half + last)


def most_digits(width: int) -> int:
    """How many digits a number can have."""
    return -(-MOST_BITS // width)


def add_digit(number: tf.Tensor, digit: tf.Tensor, place: tf.Tensor, width: int) -> tf.Tensor:
    """`number` with `digit` at `place`, for int64 tensors."""
    return number | shift_left(digit, tf.minimum(place * width, 62))
