"""The range encoder in core TensorFlow ops: many lanes in lockstep.

What one interval does to a lane's size does not depend on what the lane has emitted, so the loop
carries the sizes alone. The bytes follow afterwards: a lane's code is the sum of the numbers a that
its intervals add to the base, each moved down by 16 bits for every word emitted before it.
"""

from __future__ import annotations

import tensorflow as tf

from tfc_port.coding.graph_loops import UNROLL, narrow
from tfc_port.ops._int64 import shift_left, shift_right, where

_WORD = 16
_MASK = (1 << _WORD) - 1


def encode_lanes(intervals: tf.Tensor) -> tf.Tensor:
    """Codes the intervals of each lane.

    Args:
      intervals: int64 [lanes, t, 2], (low, high) out of 2**16, with high > low.

    Returns:
      String [lanes], the bytes that tensorflow-compression's range encoder writes.
    """
    lanes = tf.shape(intervals, tf.int64)[0]
    added, shifted, size = _run(intervals)
    shifted = tf.cast(shifted, tf.int64)
    words = tf.reduce_sum(shifted, axis=1)
    # Two more digits than words: the 32 bits of the base that remain at the end.
    width = tf.reduce_max(tf.concat([words, [0]], 0)) + 2
    before = tf.cumsum(shifted, axis=1, exclusive=True)
    place = before + tf.range(lanes, dtype=tf.int64)[:, tf.newaxis] * width
    digits = tf.math.unsorted_segment_sum(
        tf.concat([shift_right(added, _WORD), added & _MASK], axis=1),
        tf.concat([place, place + 1], axis=1),
        lanes * width,
    )
    digits = _resolve_carries(tf.reshape(digits, tf.stack([lanes, width])))
    digits, lengths = _finish(digits, words, size)
    return _to_strings(digits, lengths)


def _run(intervals: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What each interval adds to the base, whether a word leaves after it, and the final sizes."""
    lanes, steps = tf.unstack(tf.shape(intervals)[:2])
    # At least one lane and one block of steps, so that shapes can be inferred.
    width = tf.maximum(lanes, 1)
    height = tf.maximum(-(-steps // UNROLL), 1) * UNROLL
    missing = [[0, height - steps], [0, width - lanes]]
    low, high = tf.unstack(tf.cast(tf.transpose(intervals, [2, 1, 0]), tf.float64))
    # What is added at the end is the whole range, which changes nothing.
    low, high = tf.pad(low, missing), tf.pad(high, missing, constant_values=1 << _WORD)
    each = tf.reshape(tf.range(height * width), [height, width])
    added, shifted, size = narrow(each, tf.reshape(low, [-1]), tf.reshape(high, [-1]))
    added = tf.cast(added[:steps, :lanes], tf.int64)
    return (
        tf.transpose(added),
        tf.transpose(shifted[:steps, :lanes]),
        tf.cast(size, tf.int64)[:lanes],
    )


def _resolve_carries(digits: tf.Tensor) -> tf.Tensor:
    """Brings digits [lanes, width], not negative and below 2**47, into 0..2**16 - 1.

    The lanes' numbers are known to be below 1, so that nothing is carried out of a first digit.
    """

    def carry_once(digits: tf.Tensor) -> tf.Tensor:
        carries = shift_right(digits, _WORD)
        return (digits & _MASK) + tf.pad(carries[:, 1:], [[0, 0], [0, 1]])

    # After two rounds every digit is at most 2**16: 2**47 leaves carries below 2**31, these leave
    # carries below 2**16 in the second, and the third leaves digits below 2**16 + 1.
    digits = carry_once(carry_once(carry_once(digits)))
    # A digit of 2**16 - 1 hands on what it receives, so a carry travels to the next other digit on
    # its left in one go: digit i receives one if the first digit to its right that does not hand
    # on generates one.
    width = tf.shape(digits)[1]
    flat = tf.reshape(tf.pad(digits, [[0, 0], [0, 1]]), [-1])
    stops = tf.not_equal(flat, _MASK)
    stop_digits = tf.boolean_mask(flat, stops)
    # The padding after each lane is a stop that generates nothing, so every digit finds its stop.
    next_stop = tf.cumsum(tf.cast(stops, tf.int32))
    next_stop = tf.minimum(next_stop, tf.maximum(tf.size(stop_digits) - 1, 0))
    received = tf.gather(shift_right(stop_digits, _WORD), next_stop)
    resolved = tf.reshape((flat + received) & _MASK, tf.stack([-1, width + 1]))
    return resolved[:, :-1]


def _finish(digits: tf.Tensor, words: tf.Tensor, size: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Ends each lane on the value in its interval with the most trailing zeros.

    Args:
      digits: int64 [lanes, width], the words emitted and then the two words of the base.
      words: int64 [lanes], number of words emitted.
      size: int64 [lanes], final size of the interval, above 2**16.

    Returns:
      Digits [lanes, width], and the number of bytes of each lane.
    """
    position = tf.range(tf.shape(digits, tf.int64)[1])[tf.newaxis, :]
    words = words[:, tf.newaxis]
    size = size[:, tf.newaxis]
    high = tf.reduce_sum(where(tf.equal(position, words), digits, 0), axis=1, keepdims=True)
    low = tf.reduce_sum(where(tf.equal(position, words + 1), digits, 0), axis=1, keepdims=True)
    base = shift_left(high, _WORD) + low

    def ceil_to(bits: int) -> tf.Tensor:
        return shift_left(shift_right(base + (1 << bits) - 1, bits), bits)

    value = ceil_to(16)
    for bits in (24, 32):
        value = where(ceil_to(bits) < base + size, ceil_to(bits), value)
    carried = value >= 1 << 32
    value &= (1 << 32) - 1
    digits = where(position < words, digits, 0)
    digits += where(tf.equal(position, words), shift_right(value, _WORD), 0)
    # Taking the carry turns the filler words behind the held back one into zeros, which go.
    digits += tf.cast(carried & tf.equal(position, words - 1), tf.int64)
    digits = where(carried, _resolve_carries(digits), digits)

    byte_position = tf.range(2 * tf.shape(digits, tf.int64)[1])[tf.newaxis, :]
    used = tf.not_equal(_bytes(digits), 0)
    through_last_used = tf.reduce_max(where(used, byte_position + 1, 0), axis=1, keepdims=True)
    # Zero bytes among the words emitted stay, unless the carry made them.
    lengths = where(carried, through_last_used, tf.maximum(through_last_used, 2 * words))
    return digits, lengths


def _bytes(digits: tf.Tensor) -> tf.Tensor:
    pairs = tf.stack([shift_right(digits, 8), digits & 0xFF], axis=-1)
    return tf.reshape(pairs, tf.stack([tf.shape(digits)[0], 2 * tf.shape(digits)[1]]))


def _to_strings(digits: tf.Tensor, lengths: tf.Tensor) -> tf.Tensor:
    # Core TensorFlow has no op from bytes to strings. The last entry stands for no byte.
    alphabet = tf.constant([bytes([byte]) for byte in range(256)] + [b""])
    position = tf.range(2 * tf.shape(digits, tf.int64)[1])[tf.newaxis, :]
    codes = where(position < lengths, _bytes(digits), 256)
    return tf.strings.reduce_join(tf.gather(alphabet, codes), axis=1)
