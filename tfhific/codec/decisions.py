"""Decisions on single symbols by first-order rate and distortion.

How a picture's squared error changes with a latent is known to second order: its gradient, which
one pass backwards through the synthesis transform gives for all latents at once, and its curvature,
of which the mean over a channel comes from another pass with random signs in the pixels' place
(M. F. Hutchinson, Communications in Statistics 18, 1989). What a symbol's neighbour would take
instead of it stands in the tables.

That is known of one symbol alone: where many around a place move at once, the error may grow by far
more. So the best few of each place move, and fewer where the whole then costs more than before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfhific.codec.objective import Objective
from tfhific.codec.regions import Region
from tfhific.codec.sizes import size_of
from tfhific.runtimes.symbols import rounded, to_symbols

if TYPE_CHECKING:
    import tensorflow as tf

CAUTION = 1.2
"""The error's growth counts so many times: symbols near each other change at once."""

MOST = 8
"""So many symbols of one place move in a round, at most."""


class Moves(NamedTuple):
    """What a round would change, float32 [h, w, channels] each.

    Attributes:
      cost: what the best move of each symbol adds, in bits; 0 where none saves any.
      values: what a decoder has once it is made.
    """

    cost: np.ndarray
    values: np.ndarray

    def best(self, most: int) -> np.ndarray:
        """Which to make where at most so many of a place are, bool [h, w, channels]."""
        most = min(most, self.cost.shape[-1])
        last = np.partition(self.cost, most - 1, axis=-1)[..., most - 1 : most]
        return (self.cost < 0) & (self.cost <= last)


def decide(
    objective: Objective,
    inverse_gain: np.ndarray,
    weight: float,
    region: Region,
    latents: tuple[np.ndarray, np.ndarray],
    rounds: int,
    decided: Callable[[], None],
) -> np.ndarray:
    """Rounds of decisions.

    Args:
      objective: of the model.
      inverse_gain: float32 [channels], of the quality.
      weight: bits that a squared error of one is worth.
      region: where.
      latents: float32 [h, w, channels], scaled latents of the region, and float32 [., .,
        hyperlatent channels], likewise.
      rounds: how many.
      decided: called after each.

    Returns:
      Scaled latents that cost no more; where a symbol moved, what a decoder has for the new one.
    """
    import tensorflow as tf

    y, z = latents[0], tf.round(tf.constant(latents[1]))

    def cost(values: np.ndarray) -> float:
        terms = objective.terms(
            tf.constant(values), z, size_of(region.target), inverse_gain, rounded
        )
        error = tf.reduce_sum(tf.math.squared_difference(terms.shown, region.target))
        return float(terms.bits + weight * error)

    least = cost(y) if rounds else 0.0
    most = MOST
    for number in range(rounds):
        moves = _moves(objective, inverse_gain, weight, region, y, z, number)
        chosen = y
        while most:
            tried = np.where(moves.best(most), moves.values, y)
            found = cost(tried)
            if found < least:
                chosen, least = tried, found
            elif chosen is not y:
                break
            most //= 2
        y = chosen
        # From beyond what was best on; a round of other signs may find some where this one did not.
        most = min(max(4 * most, 1), MOST)
        decided()
    return y


def _moves(
    objective: Objective,
    inverse_gain: np.ndarray,
    weight: float,
    region: Region,
    y: np.ndarray,
    z: tf.Tensor,
    number: int,
) -> Moves:
    """What each symbol of a region had better become; random signs differ with the round."""
    import tensorflow as tf

    settled = objective.settled(tf.constant(y), z, rounded)
    slope, curvature = _error(objective, inverse_gain, region.target, settled.values, number)
    lengths, steps = objective.y_lengths, settled.steps.numpy()
    rows = np.clip(np.rint(settled.indexes.numpy()), 0, len(lengths.bits) - 1).astype(np.int32)
    now = to_symbols(settled.symbols.numpy())
    bits = lengths.of_symbols(now, rows)
    best, values = np.zeros(now.shape, np.float32), settled.values.numpy()
    for way in (-1, 1):
        by = way * steps
        added = lengths.of_symbols(now + way, rows) - bits
        added += weight * (slope * by + CAUTION * curvature * by * by)
        added *= region.free
        values = np.where(added < best, settled.values.numpy() + by, values)
        best = np.minimum(added, best)
    return Moves(best, values.astype(np.float32))


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
