"""Likelihoods of latents about their means: a density's mass over one unit about each value.

What `tfhific.published.rate` has in NumPy, with gradients. The equation is the same; the clamp is
training's own: see `LIKELIHOOD_FLOOR`.
"""

from __future__ import annotations

import math

import tensorflow as tf

from tfhific.backend import tfc

LIKELIHOOD_FLOOR = 1e-9
"""No likelihood is less: 30 bits.

Noisy latents far from their means have a mass that float32 rounds to zero, whose logarithm and its
gradient are infinite: one of them would end the training. 30 bits are more than an escape takes
(about 21), so no latent that is coded by a table is bounded. It is the bound of TFC's entropy
models (`likelihood_bound`), whose rates are compared with ours.
"""


def _gaussian_cdf(x: tf.Tensor) -> tf.Tensor:
    return 0.5 * tf.math.erfc(-x * math.sqrt(0.5))


_CDFS = {"gaussian": _gaussian_cdf, "logistic": tf.sigmoid}


def likelihood(kind: str, values: tf.Tensor, mean: tf.Tensor, scale: tf.Tensor) -> tf.Tensor:
    """Mass of a density between half a unit below and half a unit above each value.

    Args:
      kind: `gaussian`, or `logistic` (whose cumulative density is `sigmoid((x - mean) / scale)`).
      values: float32, integers about their means or values with uniform noise.
      mean: float32, shaped like `values`.
      scale: float32, shaped like `values`; positive.

    Returns:
      float32, at least `LIKELIHOOD_FLOOR`.
    """
    cdf = _CDFS[kind]
    # Below the mean, the two cumulative densities are small and their difference keeps its digits.
    distance = tf.abs(values - mean)
    mass = cdf((0.5 - distance) / scale) - cdf((-0.5 - distance) / scale)
    return floored(mass)


def floored(mass: tf.Tensor) -> tf.Tensor:
    """At least `LIKELIHOOD_FLOOR`; gradients that would lift a smaller value pass."""
    return tfc.lower_bound(mass, LIKELIHOOD_FLOOR)


def bits(likelihoods: tf.Tensor) -> tf.Tensor:
    """-log2 of likelihoods [batch, ...], summed over all but the first axis: float32 [batch]."""
    axes = list(range(1, likelihoods.shape.rank))
    return tf.reduce_sum(tf.math.log(likelihoods), axes) / -math.log(2.0)
