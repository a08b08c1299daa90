"""Decisions on single symbols by first-order rate and distortion.

How a picture's squared error changes with a latent is known to second order: its gradient, which
one pass backwards through the synthesis transform gives for all latents at once, and its curvature,
of which the mean over a channel comes from another pass with random signs in the pixels' place
(M. F. Hutchinson, Communications in Statistics 18, 1989). What a symbol's neighbour would take
instead of it stands in the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfhific.codec.objective import Objective
from tfhific.codec.regions import Region
from tfhific.runtimes.symbols import rounded, to_symbols

if TYPE_CHECKING:
    import tensorflow as tf

CAUTION = 1.35
"""The error's growth counts so many times: symbols near each other change at once."""


def decide(
    objective: Objective,
    inverse_gain: np.ndarray,
    weight: float,
    region: Region,
    y: np.ndarray,
    z: np.ndarray,
    number: int,
) -> np.ndarray:
    """One round of decisions.

    Args:
      objective: of the model.
      inverse_gain: float32 [channels], of the quality.
      weight: bits that a squared error of one is worth.
      region: where.
      y: float32 [h, w, channels], scaled latents of the region.
      z: float32 [., ., hyperlatent channels], likewise.
      number: of the round: signs differ from one to the next.

    Returns:
      Scaled latents; where a symbol moved, what a decoder has for the new one.
    """
    import tensorflow as tf

    settled = objective.settled(tf.constant(y), tf.round(tf.constant(z)), rounded)
    slope, curvature = _error(objective, inverse_gain, region.target, settled.values, number)
    lengths, steps = objective.y_lengths, settled.steps.numpy()
    rows = np.clip(np.rint(settled.indexes.numpy()), 0, len(lengths.bits) - 1).astype(np.int32)
    now = to_symbols(settled.symbols.numpy())
    bits = lengths.of_symbols(now, rows)
    best, move = np.zeros(now.shape, np.float32), np.zeros(now.shape, np.float32)
    for way in (-1, 1):
        by = way * steps
        cost = lengths.of_symbols(now + way, rows) - bits
        cost += weight * (slope * by + CAUTION * curvature * by * by)
        move[cost < best] = way
        best = np.minimum(cost, best)
    move *= region.free
    return np.where(move != 0, settled.values.numpy() + move * steps, y).astype(np.float32)


def _error(
    objective: Objective,
    inverse_gain: np.ndarray,
    target: np.ndarray,
    values: tf.Tensor,
    number: int,
) -> tuple[np.ndarray, np.ndarray]:
    """First derivative of the squared error by each decoded latent, and half the second of each
    channel: float32 [h, w, channels] and [channels]."""
    import tensorflow as tf

    height, width = target.shape[:2]
    # J' s of random signs s has the expected square of J' J's diagonal, and the squared error's
    # second derivative is twice that, but for the transform's own curvature.
    seed = tf.constant([number, 0], tf.int32)
    signs = 2 * tf.random.stateless_uniform(target.shape, seed, 0, 2, tf.int32) - 1
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(values)
        shown = objective.picture(values, inverse_gain)[:height, :width]
        error = tf.reduce_sum(tf.math.squared_difference(shown, target))
        probe = tf.reduce_sum(shown * tf.cast(signs, tf.float32))
    slope, probed = tape.gradient(error, values), tape.gradient(probe, values)
    del tape
    return slope.numpy(), tf.reduce_mean(tf.square(probed), (0, 1)).numpy()
