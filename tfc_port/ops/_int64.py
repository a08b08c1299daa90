"""int64 arithmetic where TensorFlow would take a Python number for an int32."""

from __future__ import annotations

import tensorflow as tf


def where(condition: tf.Tensor, x: tf.Tensor | int, y: tf.Tensor | int) -> tf.Tensor:
    """`tf.where` of int64 tensors or Python integers."""
    return tf.where(condition, tf.cast(x, tf.int64), tf.cast(y, tf.int64))


def shift_left(x: tf.Tensor, bits: int) -> tf.Tensor:
    """`x << bits`."""
    return tf.bitwise.left_shift(x, tf.cast(bits, tf.int64))


def shift_right(x: tf.Tensor, bits: int) -> tf.Tensor:
    """`x >> bits`."""
    return tf.bitwise.right_shift(x, tf.cast(bits, tf.int64))


def bit_length(values: tf.Tensor) -> tf.Tensor:
    """Number of bits of positive int64 values below 2**33, exactly."""
    powers = shift_left(tf.constant(1, tf.int64), tf.range(34, dtype=tf.int64))
    width = tf.searchsorted(powers, tf.reshape(values, [-1]), side="right", out_type=tf.int64)
    return tf.reshape(width, tf.shape(values))
