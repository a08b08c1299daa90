"""Operations that fail, in a graph that must not.

An operation that fails would fail the whole batch, and a graph has no way to catch that but one: a
dataset that ignores errors. What fails there is a dataset without an element.

A dataset's function is prepared anew for every iteration, which takes time for each operation in
it. So it gets the one that may fail, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf


def caught(
    operation: Callable[[tf.Tensor], tf.Tensor], data: tf.Tensor, otherwise: tf.Tensor
) -> tf.Tensor:
    """Applies an operation.

    Args:
      operation: what may fail; it should be one TensorFlow operation.
      data: its input.
      otherwise: the result where it fails, of the same dtype and rank.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    options.experimental_optimization.apply_default_optimizations = False
    with tf.device("/CPU:0"):
        dataset = tf.data.Dataset.from_tensors(data).map(operation)
        dataset = dataset.ignore_errors(log_warning=False).with_options(options)
        return dataset.reduce(otherwise, lambda _, found: found)


def caught_image(
    operation: Callable[[tf.Tensor], tf.Tensor],
    data: tf.Tensor,
    channels: int,
    dtype: tf.DType = tf.uint8,
) -> tf.Tensor:
    """A decoded image [height, width, channels]; [0, 0, channels] where it can't be decoded."""
    shape = [None, None, channels]
    image = caught(
        lambda text: tf.ensure_shape(operation(text), shape),
        data,
        tf.zeros([0, 0, channels], dtype),
    )
    return tf.ensure_shape(image, shape)
