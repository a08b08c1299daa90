"""From symbols to the intervals that the range coder codes, with Elias gamma codes for overflow.

An interval is a pair (low, high) of counts out of 2**16. A symbol outside its row takes several:
the row's last symbol, then the bits of an Elias gamma code, then a sign, each bit being one half.
"""

from __future__ import annotations

import tensorflow as tf

from tfc_port.ops._checks import require
from tfc_port.ops._int64 import bit_length, shift_right, where
from tfc_port.ops.lookup import Lookup

_HALF = 1 << 15
_WHOLE = 1 << 16


def symbols_to_intervals(lookup: Lookup, rows: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """The intervals of each lane's values, padded at the end with the whole range, which is free.

    Args:
      lookup: The tables.
      rows: int64 [lanes, n], the row of each value.
      values: int64 [lanes, n], counted from 0 at the row's first symbol.

    Returns:
      int64 [lanes, t, 2], where t is the number of intervals of the longest lane.

    Raises:
      tf.errors.InvalidArgumentError: if a value lies outside a row without overflow, or if its
        symbol has no probability.
    """
    lanes, n = tf.unstack(tf.shape(values, tf.int64))
    overflow = tf.gather(lookup.overflow, rows)
    # With overflow, the last symbol is not a value but announces one.
    limit = tf.gather(lookup.symbols, rows) - overflow
    outside = (values < 0) | (values >= limit)
    allowed = ~outside | tf.equal(overflow, 1)
    check = require(
        tf.reduce_all(allowed),
        "value is outside its row, which codes no overflow (its precision is positive). Received:",
        tf.boolean_mask(values, ~allowed)[:1],
    )
    with tf.control_dependencies([] if check is None else [check]):
        first = tf.gather(lookup.starts, rows) + where(outside, limit, values)
    low, high = tf.gather(lookup.cdf, first), tf.gather(lookup.cdf, first + 1)
    check = require(tf.reduce_all(high > low), "value has probability zero in its row of `lookup`.")
    with tf.control_dependencies([] if check is None else [check]):
        symbol_intervals = tf.stack([low, high], axis=-1)

    def with_overflow() -> tf.Tensor:
        return _insert_gamma_codes(symbol_intervals, values, limit, outside, lanes, n)

    return tf.cond(tf.reduce_any(outside), with_overflow, lambda: symbol_intervals)


def _insert_gamma_codes(
    symbol_intervals: tf.Tensor,
    values: tf.Tensor,
    limit: tf.Tensor,
    outside: tf.Tensor,
    lanes: tf.Tensor,
    n: tf.Tensor,
) -> tf.Tensor:
    negative = values < 0
    gamma = where(negative, -values, values - limit + 1)
    gamma = where(outside, gamma, 1)
    width = bit_length(gamma)
    # One interval for the symbol; width - 1 zeros, `width` bits and a sign where it is outside.
    lengths = where(outside, 2 * width + 1, 1)
    steps = tf.reduce_max(tf.reduce_sum(lengths, axis=1))
    start = tf.cumsum(lengths, axis=1, exclusive=True)
    start += tf.range(lanes, dtype=tf.int64)[:, tf.newaxis] * steps
    flat_lengths = tf.reshape(lengths, [-1])
    source = tf.repeat(tf.range(lanes * n, dtype=tf.int64), flat_lengths)
    target = tf.range(tf.size(source, tf.int64), dtype=tf.int64)
    within = target - tf.repeat(tf.cumsum(flat_lengths, exclusive=True), flat_lengths)
    target = tf.gather(tf.reshape(start, [-1]), source) + within

    source_width = tf.gather(tf.reshape(width, [-1]), source)
    source_gamma = tf.gather(tf.reshape(gamma, [-1]), source)
    # Gamma with width - 1 leading zeros, from the top: its zeros and bits in one run.
    place = tf.maximum(2 * source_width - 1 - within, 0)
    bit = where(
        place < source_width,
        shift_right(source_gamma, tf.minimum(place, 62)) & 1,
        tf.zeros_like(source_gamma),
    )
    sign = tf.cast(tf.gather(tf.reshape(negative, [-1]), source), tf.int64)
    bit = where(within > 2 * source_width - 1, sign, bit)
    bit_intervals = tf.stack([bit * _HALF, (bit + 1) * _HALF], axis=-1)
    intervals = where(
        tf.equal(within, 0)[:, tf.newaxis],
        tf.gather(tf.reshape(symbol_intervals, [-1, 2]), source),
        bit_intervals,
    )
    whole = tf.tile(tf.constant([[0, _WHOLE]], tf.int64), tf.stack([lanes * steps, 1]))
    whole = tf.tensor_scatter_nd_update(whole, target[:, tf.newaxis], intervals)
    return tf.reshape(whole, tf.stack([lanes, steps, 2]))
