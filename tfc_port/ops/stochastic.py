"""Rounding up or down by chance."""

from __future__ import annotations

import tensorflow as tf

from tfc_port._types import TensorLike
from tfc_port.ops._checks import require

_TYPES = (tf.bfloat16, tf.float16, tf.float32)
# Odd factors of 64-bit congruential generators; their powers tell the seed's elements apart.
_FACTORS = (6364136223846793005, 3935559000370003845)


def stochastic_round(
    inputs: TensorLike, step_size: TensorLike, seed: TensorLike, name: str | None = None
) -> tf.Tensor:
    """Divides by a step size and rounds up or down, so that the expectation stays what it was.

    Args:
      inputs: Tensor of type float32, float16 or bfloat16.
      step_size: float32 scalar, more than 0.
      seed: int32 tensor of any shape. Equal seeds give equal results on every machine (others than
        TFC's, whose generator is another); without elements each call gives others.
      name: Name of the op.

    Returns:
      int32 tensor of the shape of `inputs`: the floor of x = inputs / step_size, and one more with
      probability x - floor(x). It has no gradient.

    Raises:
      tf.errors.InvalidArgumentError: if an argument is not as described.
    """
    with tf.name_scope(name or "stochastic_round"):
        inputs = tf.convert_to_tensor(inputs, name="inputs")
        require(
            inputs.dtype in _TYPES,
            f"`inputs` must be bfloat16, float16 or float32. Received: {inputs.dtype.name}.",
        )
        step_size = tf.convert_to_tensor(step_size, tf.float32, name="step_size")
        require(
            step_size.shape.rank in (None, 0),
            f"`step_size` must be a scalar. Received shape: {step_size.shape}.",
        )
        seed = tf.convert_to_tensor(seed, name="seed")
        if seed.shape.num_elements() == 0:
            seed = tf.cast(seed, tf.int32)  # what an empty Python list becomes is floating-point
        require(seed.dtype == tf.int32, f"`seed` must be int32. Received: {seed.dtype.name}.")
        check = require(step_size > 0, "`step_size` must be more than 0. Received:", step_size)
        with tf.control_dependencies([] if check is None else [check]):
            quotient = tf.stop_gradient(tf.cast(inputs, tf.float32) / step_size)
        noise = _uniform(tf.shape(quotient), tf.reshape(seed, [-1]))
        whole = tf.floor(quotient)
        return tf.cast(whole, tf.int32) + tf.cast(noise < quotient - whole, tf.int32)


def _uniform(shape: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Numbers in [0, 1) that a seed [k] of any length determines."""
    number = tf.cast(seed, tf.int64)
    keys = [
        tf.reduce_sum((number + 1) * tf.math.cumprod(tf.fill(tf.shape(number), factor)))
        for factor in (tf.constant(f, tf.int64) for f in _FACTORS)
    ]
    fresh = tf.random.uniform([2], tf.int64.min, tf.int64.max, dtype=tf.int64)
    key = tf.where(tf.size(seed) > 0, tf.stack(keys), fresh)
    return tf.random.stateless_uniform(shape, seed=key)
