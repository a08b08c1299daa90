"""From bytes to strings, for which core TensorFlow has no op."""

from __future__ import annotations

import numpy as np
import tensorflow as tf


def string_of(octets: tf.Tensor) -> tf.Tensor:
    """Returns the string scalar of bytes [n], integers from 0 to 255."""
    if tf.executing_eagerly():
        return tf.constant(octets.numpy().astype(np.uint8).tobytes())
    alphabet = tf.constant([bytes([octet]) for octet in range(256)])
    return tf.strings.reduce_join(tf.gather(alphabet, octets))


def octets_of(string: tf.Tensor) -> tf.Tensor:
    """Returns the bytes of a string scalar, int32 [n]."""
    return tf.cast(tf.io.decode_raw(string, tf.uint8), tf.int32)
