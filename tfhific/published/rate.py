"""The mass of a Gaussian or a logistic in the unit bin about an integer, and its bits, in NumPy.

    mass(v) = T((|v| - 1/2) / scale) - T((|v| + 1/2) / scale)

with T the probability above a point, so that far out, where the cumulative densities round to one,
their difference keeps its digits. Tables, calibration and estimates take it from here; training,
which needs gradients, has it in `tfhific.models.likelihoods`.

Nothing here is clamped from below. Tables leave small masses to escapes and the coder gives every
symbol a count, so a mass of zero is as good as a small one; and bits, of which an outlier may take
thousands, are the logarithms' differences, finite where the masses themselves underflow.
"""

from __future__ import annotations

import math

import numpy as np

LIKELIHOODS = ("gaussian", "logistic")
"""Densities that latents may have; a logistic's cumulative density is `sigmoid(x / scale)`."""

_FAR = 25.0
"""Beyond so many standard deviations a Gaussian's tail is taken from its asymptotic series: three
terms of it are good to 1e-7 there, and erfc underflows from about 37 on."""


def upper_tail(likelihood: str, x: np.ndarray) -> np.ndarray:
    """The probability above points of a density of scale one.

    Args:
      likelihood: one of `LIKELIHOODS`.
      x: float, any shape.

    Returns:
      float64, of the same shape.
    """
    return {"gaussian": _gaussian_tail, "logistic": _logistic_tail}[likelihood](
        np.asarray(x, np.float64)
    )


def bin_mass(likelihood: str, values: np.ndarray, scale: float) -> np.ndarray:
    """The mass in the unit bin about each value, of a density about zero.

    Args:
      likelihood: one of `LIKELIHOODS`.
      values: integers, any shape.
      scale: standard deviation of a Gaussian, or scale of a logistic.

    Returns:
      float64, of the same shape.
    """
    magnitude = np.abs(values)
    low, high = (upper_tail(likelihood, (magnitude + half) / scale) for half in (-0.5, 0.5))
    return low - high


def latent_bits(likelihood: str, values: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """-log2 of the mass in the unit bin about each value.

    Args:
      likelihood: one of `LIKELIHOODS`.
      values: float64, integers.
      scales: float64, of the same shape, as `bin_mass` takes one.

    Returns:
      float64, bits; finite however far out the values are.
    """
    log_tail = {"gaussian": _gaussian_log_tail, "logistic": _logistic_log_tail}[likelihood]
    magnitude = np.abs(values)
    low, high = (log_tail((magnitude + half) / scales) for half in (-0.5, 0.5))
    return -(low + np.log1p(-np.exp(high - low))) / math.log(2.0)


def _gaussian_tail(x: np.ndarray) -> np.ndarray:
    return 0.5 * np.vectorize(math.erfc, otypes=[np.float64])(x / math.sqrt(2.0))


def _logistic_tail(x: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return 1.0 / (1.0 + np.exp(x))


def _gaussian_log_tail(x: np.ndarray) -> np.ndarray:
    """log T(x) for x >= -1/2 or so; of all latents of a picture, so it is TensorFlow's erfc."""
    import tensorflow as tf

    near = np.log(0.5 * tf.math.erfc(tf.constant(np.minimum(x, _FAR) / math.sqrt(2.0))).numpy())
    far = np.maximum(x, _FAR)
    series = 1.0 - far**-2 + 3.0 * far**-4
    return np.where(x < _FAR, near, -0.5 * far**2 - np.log(far * math.sqrt(2 * math.pi) / series))


def _logistic_log_tail(x: np.ndarray) -> np.ndarray:
    return -np.logaddexp(0.0, x)
