"""The factorised density of hyperlatents as a Keras layer.

Ballé et al. 2018 (arXiv 1802.01436), appendix 6.1: per channel, a cumulative density as a small
network with positive weights, so that it is monotonic.
"""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from tfhific.backend import keras
from tfhific.models.likelihoods import floored


class FactorizedPrior(keras.layers.Layer):
    """Likelihoods of integers, or of values with uniform noise, channel by channel.

    Input shape: float [batch, height, width, channels].
    Output shape: float32, as the input: the density's mass over one unit about each value, at
    least `LIKELIHOOD_FLOOR`.

    Attributes:
      channels: of the hyperlatents.
      matrices: float32 [channels, out, in] each, before softplus.
      biases: float32 [channels, out, 1] each.
      factors: float32 [channels, out, 1] each, before tanh.
    """

    def __init__(
        self,
        channels: int,
        filters: tuple[int, ...] = (3, 3, 3),
        init_scale: float = 10.0,
        gate_last: bool = False,
        **kwargs,
    ) -> None:
        """Initializer.

        Args:
          channels: of the hyperlatents.
          filters: widths between the layers of the density's network.
          init_scale: about the width of the density before training.
          gate_last: whether the last layer has a tanh gate too.
          **kwargs: of the base class.
        """
        super().__init__(**{"dtype": "float32", **kwargs})
        self.channels, self.init_scale = channels, float(init_scale)
        widths = (1, *filters, 1)
        scale = self.init_scale ** (1.0 / (len(widths) - 1))
        self.matrices, self.biases, self.factors = [], [], []
        for number, (inward, outward) in enumerate(zip(widths[:-1], widths[1:])):
            start = math.log(math.expm1(1.0 / scale / outward))
            self.matrices.append(
                self.add_weight(
                    name=f"matrix_{number}",
                    shape=(channels, outward, inward),
                    initializer=keras.initializers.Constant(start),
                )
            )
            self.biases.append(
                self.add_weight(
                    name=f"bias_{number}",
                    shape=(channels, outward, 1),
                    initializer=keras.initializers.RandomUniform(-0.5, 0.5),
                )
            )
            if gate_last or number < len(widths) - 2:
                self.factors.append(
                    self.add_weight(
                        name=f"factor_{number}", shape=(channels, outward, 1), initializer="zeros"
                    )
                )
        self.built = True

    def logits_cdf(self, points: tf.Tensor) -> tf.Tensor:
        """Logits of the cumulative density at float32 [channels, n]."""
        x = points[:, None, :]
        for number, (matrix, bias) in enumerate(zip(self.matrices, self.biases)):
            x = tf.linalg.matmul(tf.nn.softplus(matrix), x) + bias
            if number < len(self.factors):
                x += tf.tanh(self.factors[number]) * tf.tanh(x)
        return x[:, 0, :]

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        values = tf.cast(inputs, tf.float32)
        flat = tf.transpose(tf.reshape(values, [-1, self.channels]))
        low, high = self.logits_cdf(flat - 0.5), self.logits_cdf(flat + 0.5)
        # In the upper half, 1 - p is the one that keeps its digits.
        sign = tf.stop_gradient(tf.where(low + high > 0, -1.0, 1.0))
        mass = tf.abs(tf.sigmoid(sign * high) - tf.sigmoid(sign * low))
        mass = tf.reshape(tf.transpose(mass), tf.shape(values))
        return floored(mass)

    def evaluated(self) -> tuple[tuple, tuple, tuple]:
        """Matrices, biases and factors with softplus and tanh applied: float32 arrays."""

        def arrays(variables, constrain) -> tuple[np.ndarray, ...]:
            return tuple(
                constrain(v.numpy().astype(np.float64)).astype(np.float32) for v in variables
            )

        return (
            arrays(self.matrices, lambda v: np.logaddexp(v, 0.0)),
            arrays(self.biases, lambda v: v),
            arrays(self.factors, np.tanh),
        )

    def compute_output_shape(self, input_shape) -> tf.TensorShape:
        return tf.TensorShape(input_shape)
