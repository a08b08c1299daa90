"""From a prior to the integer tables that its values are coded by."""

from __future__ import annotations

import tensorflow as tf
from absl import logging

from tfc_port._types import Distribution
from tfc_port.distributions.tails import lower_tail, upper_tail
from tfc_port.ops.quantized_cdf import nearest_counts

_WIDE = 2048


def build_tables(
    prior: Distribution, precision: int, tail_mass: float, offset: tf.Tensor | None = None
) -> tuple[tf.Tensor, tf.Tensor]:
    """Tabulates a prior at the integers plus `offset`, between its tails.

    Sender and receiver must share one result: built twice, tables can differ in their last bits,
    which garbles everything after. See Balle, Johnston and Minnen, "Integer Networks for Data
    Compression with Latent-Variable Models", https://openreview.net/forum?id=S1zz2i0cY7.

    Args:
      prior: A scalar `tfp.distributions.Distribution`, that of the values with uniform noise.
      precision: Python integer, the precision of the tables.
      tail_mass: Number in (0, 1), the mass left to the overflow code.
      offset: None, or a tensor in [-1/2, 1/2] that broadcasts against the batch shape.

    Returns:
      The pair of an int32 lookup tensor of rank 1, a row per element of the (broadcast) batch,
      whose last symbol stands for overflow; and an int32 vector, the integer of each row's first
      symbol.
    """
    precision = int(precision)
    offset = tf.cast(0 if offset is None else offset, prior.dtype)
    first = tf.cast(tf.math.floor(lower_tail(prior, tail_mass) - offset), tf.int32)
    last = tf.cast(tf.math.ceil(upper_tail(prior, tail_mass) - offset), tf.int32)
    length = last - first + 1
    width = tf.math.reduce_max(length)
    if tf.executing_eagerly() and width > _WIDE:
        logging.warning(
            "Very wide PMF with %d elements may lead to out of memory issues. Consider priors with "
            "smaller variance, or increasing the `tail_mass` parameter.",
            int(width),
        )
    # All rows up to the width of the widest; what is too much is masked.
    steps = tf.range(tf.cast(width, prior.dtype), dtype=prior.dtype)
    steps = tf.reshape(steps, [-1] + [1] * length.shape.rank)
    mass = prior.prob(steps + (tf.cast(first, prior.dtype) + offset))
    batch_shape = tf.shape(mass)[1:]
    mass = tf.transpose(tf.reshape(mass, tf.stack([width, tf.reduce_prod(batch_shape)])))
    length = tf.reshape(tf.broadcast_to(length, batch_shape), [-1, 1])
    first = tf.reshape(tf.broadcast_to(first, batch_shape), [-1])
    with tf.device("CPU:0"):
        return _to_lookup(mass, length, precision), first


def _to_lookup(mass: tf.Tensor, length: tf.Tensor, precision: int) -> tf.Tensor:
    """The lookup tensor of masses [rows, width], of which the first `length` [rows, 1] count."""
    position = tf.range(tf.shape(mass)[1] + 1)[tf.newaxis, :]
    mass = tf.where(position[:, :-1] < length, mass, tf.zeros_like(mass))
    overflow = tf.maximum(1.0 - tf.reduce_sum(mass, axis=1, keepdims=True), 0.0)
    mass = tf.where(tf.equal(position, length), overflow, tf.pad(mass, [[0, 0], [0, 1]]))
    # Rounding to float32 is part of the definition of the tables.
    mass = tf.cast(tf.cast(mass, tf.float32), tf.float64)
    check = tf.debugging.Assert(
        tf.reduce_all(tf.math.is_finite(mass) & (mass >= 0)),
        ["The prior has non-finite or negative probabilities: check its parameters."],
    )
    wide = tf.debugging.Assert(
        tf.reduce_all(length < 1 << precision),
        [
            f"A table of precision {precision} holds {1 << precision} symbols: raise "
            f"`range_coder_precision` or `tail_mass`. Received lengths up to:",
            tf.reduce_max(length) + 1,
        ],
    )
    with tf.control_dependencies([op for op in (check, wide) if op is not None]):
        counts = nearest_counts(mass, 1 << precision, position <= length)
    cdf = tf.cast(tf.cumsum(counts, axis=1), tf.int32)
    rows = tf.shape(cdf)[0]
    ends = [tf.fill(tf.stack([rows, 1]), -precision), tf.zeros(tf.stack([rows, 1]), tf.int32)]
    table = tf.concat([*ends, cdf], axis=1)
    column = tf.range(tf.shape(table)[1])[tf.newaxis, :]
    return tf.boolean_mask(table, column < length + 3)
