"""Latents and hyperlatents of a part of a picture by stochastic Gumbel annealing.

Y. Yang, R. Bamler, S. Mandt: "Improving inference for neural image compression", NeurIPS 2020,
arXiv 2006.04240: gradient descent on the latents of one picture, each of which is rounded up or
down at random, by probabilities that favour the nearer integer ever more.
S. Perugachi-Diaz, A. Gansekoele, S. Bhulai: "Robustly overfitting latents for flexible neural image
compression", arXiv 2401.17789, has other functions for these probabilities; the one here is its
scaled sigmoid: the odds of rounding up are those of the fraction itself, to a power.

The draws follow from the tile's number and the step, so that a picture gives one file.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from tfhific.codec.distortions import Distortion
from tfhific.codec.objective import Objective
from tfhific.codec.regions import Region
from tfhific.codec.sizes import size_of

if TYPE_CHECKING:
    import tensorflow as tf

HOTTEST, COLDEST = 0.5, 0.025
"""Temperatures of the first and of the last step."""

HELD = 0.5
"""Share of the steps at the first temperature."""

_EDGE = 1e-4
_MEAN, _SQUARE, _SMALL = 0.9, 0.999, 1e-8
"""Adam's."""


@dataclasses.dataclass(frozen=True)
class Schedule:
    """Temperatures and learning rates of the steps.

    Attributes:
      steps: how many.
      pace: the first learning rate, in symbols; it falls along a cosine.
    """

    steps: int
    pace: float

    def temperature(self, step: int) -> float:
        """Of a step, from 0."""
        share = max(step / self.steps - HELD, 0.0) / (1.0 - HELD)
        return HOTTEST * (COLDEST / HOTTEST) ** share

    def rate(self, step: int) -> float:
        """Learning rate of a step, from 0, in symbols."""
        return self.pace * 0.5 * (1.0 + math.cos(math.pi * step / self.steps))


class Annealing:
    """Anneals regions of one picture.

    One object is for regions of one model at one quality; it keeps a traced step for each size.
    """

    def __init__(
        self, objective: Objective, inverse_gain: np.ndarray, distortion: Distortion
    ) -> None:
        """Initializer.

        Args:
          objective: of the model.
          inverse_gain: float32 [channels], of the quality.
          distortion: what is lowered beside the bits.
        """
        import tensorflow as tf

        self._objective, self._inverse_gain = objective, inverse_gain
        self._distortion = distortion
        self._step = tf.function(self._gradients, autograph=False)

    def __call__(
        self, region: Region, schedule: Schedule, stepped: Callable[[], None]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scaled latents and hyperlatents of a region, to be rounded.

        Args:
          region: the region.
          schedule: of the steps.
          stepped: called after each step.

        Returns:
          float32, shaped like `region.y` and `region.z`.
        """
        import tensorflow as tf

        values = [tf.constant(region.y), tf.constant(region.z)]
        free = [tf.constant(mask) for mask in (region.free, region.z_free)]
        target = tf.constant(region.target)
        means = [tf.zeros_like(value) for value in values]
        squares = [tf.zeros_like(value) for value in values]
        for step in range(schedule.steps):
            temperature = tf.constant(schedule.temperature(step), tf.float32)
            seed = tf.constant([region.number, step], tf.int32)
            gradients = self._step(*values, *free, target, temperature, seed)
            rate = schedule.rate(step) * math.sqrt(1 - _SQUARE ** (step + 1))
            rate /= 1 - _MEAN ** (step + 1)
            for i, gradient in enumerate(gradients):
                means[i] = _MEAN * means[i] + (1 - _MEAN) * gradient
                squares[i] = _SQUARE * squares[i] + (1 - _SQUARE) * tf.square(gradient)
                values[i] = values[i] - rate * means[i] / (tf.sqrt(squares[i]) + _SMALL)
            stepped()
        return values[0].numpy(), values[1].numpy()

    def _gradients(
        self,
        y: tf.Tensor,
        z: tf.Tensor,
        free: tf.Tensor,
        z_free: tf.Tensor,
        target: tf.Tensor,
        temperature: tf.Tensor,
        seed: tf.Tensor,
    ) -> list[tf.Tensor]:
        import tensorflow as tf

        drawn = 0

        def soft(values: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
            nonlocal drawn
            drawn += 1
            key = seed + tf.constant([drawn << 24, 0], tf.int32)
            up = annealed(values, temperature, key)
            return tf.where(mask, up, tf.stop_gradient(tf.round(values)))

        with tf.GradientTape() as tape:
            tape.watch([y, z])
            bits, shown = self._objective.terms(
                y,
                soft(z, z_free),
                size_of(target),
                self._inverse_gain,
                lambda values: soft(values, free),
            )
            loss = bits + self._distortion(shown, target, seed)
        found = tape.gradient(loss, [y, z])
        zero = tf.zeros([], y.dtype)
        return [tf.where(mask, value, zero) for mask, value in zip((free, z_free), found)]


def annealed(values: tf.Tensor, temperature: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Values between the integers below and above, at random, near one of them when it is cold.

    Args:
      values: float32.
      temperature: scalar, positive.
      seed: int32 [2].

    Returns:
      Like `values`, with gradients to them.
    """
    import tensorflow as tf

    uniform = tf.random.stateless_uniform(tf.shape(values), seed, 1e-6, 1.0 - 1e-6)
    noise = tf.math.log(uniform) - tf.math.log1p(-uniform)
    below = tf.stop_gradient(tf.floor(values))
    share = tf.clip_by_value(values - below, _EDGE, 1.0 - _EDGE)
    odds = (tf.math.log(share) - tf.math.log1p(-share)) / temperature
    return below + tf.sigmoid((odds + noise) / temperature)
