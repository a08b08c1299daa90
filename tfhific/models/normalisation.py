"""Normalisation layers."""

from __future__ import annotations

import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import ArgumentError
from tfhific.published.functional import channel_norm


class ChannelNorm(keras.layers.Layer):
    """Normalises every pixel over its channels, then scales and shifts each channel.

    Mentzer et al. 2020 (arXiv 2006.09965), section 3.3. The variance is the unbiased one.

    Input shape: float [batch, height, width, channels], at least two channels.
    Output shape: as the input.

    Attributes:
      gamma: float32 [channels].
      beta: float32 [channels].
    """

    def __init__(self, epsilon: float = 1e-3, **kwargs) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape) -> None:
        channels = int(input_shape[-1])
        if channels < 2:
            raise ArgumentError(f"Expected at least two channels. Received: {channels}.")
        self.gamma = self.add_weight(name="gamma", shape=(channels,), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(channels,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return channel_norm(inputs, self.gamma, self.beta, self.epsilon)

    def compute_output_shape(self, input_shape) -> tf.TensorShape:
        return tf.TensorShape(input_shape)
