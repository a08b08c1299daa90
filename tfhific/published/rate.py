"""Bits that a Gaussian or a logistic assigns to integers."""

from __future__ import annotations

import math

import numpy as np


def _log_upper_tail(x: np.ndarray) -> np.ndarray:
    """log(1 - Phi(x)) for x >= -1/2 or so, without underflow far out."""
    import tensorflow as tf

    near = np.log(0.5 * tf.math.erfc(tf.constant(np.minimum(x, 25.0) / math.sqrt(2.0))).numpy())
    far = np.maximum(x, 25.0)
    # Three terms of the asymptotic series: beyond 25 the next is below 1e-7.
    series = 1.0 - far**-2 + 3.0 * far**-4
    return np.where(x < 25.0, near, -0.5 * far**2 - np.log(far * math.sqrt(2 * math.pi) / series))


def gaussian_bits(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """-log2 of a zero-mean Gaussian's mass in the unit bin about each value.

    Args:
      values: float64, integers.
      scales: float64, standard deviations, of the same shape.

    Returns:
      float64, bits.
    """
    magnitude = np.abs(values)
    low = _log_upper_tail((magnitude - 0.5) / scales)
    high = _log_upper_tail((magnitude + 0.5) / scales)
    return -(low + np.log1p(-np.exp(high - low))) / math.log(2.0)


def logistic_bits(values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """-log2 of a zero-mean logistic's mass in the unit bin about each value.

    Args:
      values: float64, integers.
      scales: float64, of the same shape; `sigmoid(x / scale)` is the cumulative density.

    Returns:
      float64, bits.
    """
    magnitude = np.abs(values)
    low = -np.logaddexp(0.0, (magnitude - 0.5) / scales)
    high = -np.logaddexp(0.0, (magnitude + 0.5) / scales)
    return -(low + np.log1p(-np.exp(high - low))) / math.log(2.0)


def latent_bits(likelihood: str, values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Bits of integers under a `gaussian` or a `logistic`; see the functions above."""
    return {"gaussian": gaussian_bits, "logistic": logistic_bits}[likelihood](values, scales)
