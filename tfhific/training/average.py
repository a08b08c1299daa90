"""An exponential moving average of weights."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from tfhific.errors import ArgumentError


class WeightAverage(tf.Module):
    """Shadows of variables that follow them slowly; often better than the last weights.

    After n updates the decay is the smaller of `decay` and (1 + n) / (10 + n), so that the average
    forgets how the weights began.
    """

    def __init__(self, variables: Sequence[tf.Variable], decay: float) -> None:
        """Initializer.

        Args:
          variables: to follow, in an order that is the same in every process.
          decay: in (0, 1), such as .999.
        """
        super().__init__(name="ema")
        if not 0.0 < decay < 1.0:
            raise ArgumentError(f"Expected a decay between 0 and 1. Received: {decay}.")
        self._followed = tuple(variables)
        self._decay = decay
        self.shadows = [
            tf.Variable(v.read_value(), trainable=False, name=f"shadow_{i}")
            for i, v in enumerate(self._followed)
        ]
        self.updates = tf.Variable(0, dtype=tf.int64, trainable=False, name="updates")
        self._graph = tf.function(self._update, autograph=False)

    def update(self) -> None:
        """Takes one step towards the variables."""
        self._graph()

    def _update(self) -> None:
        count = tf.cast(self.updates, tf.float32)
        rate = 1.0 - tf.minimum(self._decay, (1.0 + count) / (10.0 + count))
        for shadow, variable in zip(self.shadows, self._followed):
            value = tf.cast(variable.read_value(), shadow.dtype)
            shadow.assign_sub(tf.cast(rate, shadow.dtype) * (shadow - value))
        self.updates.assign_add(1)

    def reset(self) -> None:
        """Begins again at the variables as they are."""
        for shadow, variable in zip(self.shadows, self._followed):
            shadow.assign(variable.read_value())
        self.updates.assign(0)

    def give(self) -> None:
        """Puts the average in the variables' place."""
        for shadow, variable in zip(self.shadows, self._followed):
            variable.assign(tf.cast(shadow.read_value(), variable.dtype))
