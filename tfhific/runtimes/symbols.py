"""Values to symbols: the one rounding, in NumPy and in TensorFlow."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

MAX_SYMBOL = 1 << 24
"""Larger magnitudes are cut to it: float32 holds every integer up to here, and so do escapes."""


def to_symbols(values: np.ndarray, dead_zone: np.ndarray | None = None) -> np.ndarray:
    """The nearest integers, int32, of finite floats.

    Args:
      values: float32.
      dead_zone: float32 of the same shape, from 0 to 1/2: by how much values are moved towards
        zero first, and not beyond it; None for not at all.
    """
    if dead_zone is not None:
        values = np.copysign(np.maximum(np.abs(values) - dead_zone, np.float32(0)), values)
    return np.clip(np.rint(values), -MAX_SYMBOL, MAX_SYMBOL).astype(np.int32)


def rounded(values: tf.Tensor, dead_zone: tf.Tensor | None = None) -> tf.Tensor:
    """The same of tensors, as floats of the values' dtype.

    NaN stays NaN, which a cast to integers makes 0 where NumPy's makes it the smallest one; no
    published model gives any.
    """
    import tensorflow as tf

    if dead_zone is not None:
        values = tf.sign(values) * tf.maximum(tf.abs(values) - dead_zone, 0.0)
    limit = float(MAX_SYMBOL)
    return tf.clip_by_value(tf.round(values), -limit, limit)
