"""Maxout units."""

from __future__ import annotations

import tensorflow as tf

from tfhific.backend import keras


class Maxout(keras.layers.Layer):
    """A dense layer whose every unit is the largest of several linear pieces.

    I. Goodfellow, D. Warde-Farley, M. Mirza, A. Courville, Y. Bengio, "Maxout Networks", ICML 2013,
    arXiv 1302.4389.

    Input shape: float [batch, features]. Output shape: float [batch, units].
    """

    def __init__(self, units: int, pieces: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.units, self.pieces = units, pieces

    def build(self, input_shape) -> None:
        width = self.units * self.pieces
        initial = keras.initializers.RandomUniform(-0.05, 0.05)
        self.kernel = self.add_weight("kernel", (input_shape[-1], width), initializer=initial)
        self.bias = self.add_weight("bias", (width,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        pieces = tf.matmul(inputs, self.kernel) + self.bias
        return tf.reduce_max(tf.reshape(pieces, [-1, self.units, self.pieces]), axis=-1)

    def get_config(self) -> dict:
        return {**super().get_config(), "units": self.units, "pieces": self.pieces}
