"""The noise of universal quantisation, which sender and receiver derive from the shape alone.

From Agustsson and Theis, "Universally Quantized Neural Compression", section 3.2,
https://arxiv.org/abs/2006.09952. The noise takes one of a few levels, so that there is a table for
each.
"""

from __future__ import annotations

import tensorflow as tf

_SEED = (1234, 1234)


def noise_levels(shape: tf.Tensor, num_noise_levels: int) -> tf.Tensor:
    """The level of each value, int32 in [0, num_noise_levels), the same at every call."""
    # Stateless random numbers are the same on every device.
    return tf.random.stateless_uniform(
        shape, seed=_SEED, minval=0, maxval=num_noise_levels, dtype=tf.int32
    )


def level_to_offset(level: tf.Tensor, num_noise_levels: int, dtype: tf.DType) -> tf.Tensor:
    """The noise of a level: evenly spaced, strictly between -1/2 and 1/2."""
    return tf.cast((level + 1) / (num_noise_levels + 1) - 0.5, dtype)


def table_offsets(num_noise_levels: int, batch_rank: int, dtype: tf.DType) -> tf.Tensor:
    """The noise of every level, for making tables: [levels, 1, ..., 1] with `batch_rank` ones."""
    levels = tf.reshape(tf.range(num_noise_levels, dtype=dtype), [-1] + [1] * batch_rank)
    return level_to_offset(levels, num_noise_levels, dtype)
