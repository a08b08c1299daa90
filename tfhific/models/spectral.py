"""Spectral normalisation that passes a gradient through the norm."""

from __future__ import annotations

import tensorflow as tf

from tfhific.models.convolutions import PaddedConv2D
from tfhific.published.functional import conv

_EPSILON = 1e-12


class SpectralConv2D(PaddedConv2D):
    """A `PaddedConv2D` whose kernel is divided by its largest singular value.

    Miyato et al. 2018 (arXiv 1802.05957). The kernel is seen as a matrix of [filters] rows; its
    largest singular value is `u^T W v`, where `u` and `v` are kept and improved by one step of
    power iteration each time the layer is called with `training=True`. They are constants to the
    gradient, W is not: the gradient goes through the norm.

    Attributes:
      kernel: float32 [k, k, in, filters], not normalised.
      u: float32 [filters], of length one.
      v: float32 [k * k * in], of length one, in the order of the kernel's first three axes.
    """

    def build(self, input_shape) -> None:
        super().build(input_shape)

        def direction(name: str, size: int):
            variable = self.add_weight(
                name=name,
                shape=(size,),
                initializer="random_normal",
                trainable=False,
                # Every replica computes the same from the same kernel.
                aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
            )
            variable.assign(tf.math.l2_normalize(variable, epsilon=_EPSILON**2))
            return variable

        with tf.init_scope():
            self.u = direction("u", self.filters)
            self.v = direction("v", self.kernel_size**2 * int(input_shape[-1]))

    def normalised_kernel(self, training: bool = False) -> tf.Tensor:
        """The kernel divided by its largest singular value, float32 [k, k, in, filters]."""
        kernel = tf.cast(self.kernel, tf.float32)
        matrix = tf.reshape(kernel, [-1, self.filters])
        u, v = tf.cast(self.u, tf.float32), tf.cast(self.v, tf.float32)
        if training:
            fixed = tf.stop_gradient(matrix)
            v = _normalised(tf.linalg.matvec(fixed, u))
            u = _normalised(tf.linalg.matvec(fixed, v, transpose_a=True))
            self.v.assign(v)
            self.u.assign(u)
        u, v = tf.stop_gradient(u), tf.stop_gradient(v)
        sigma = tf.tensordot(tf.linalg.matvec(matrix, u), v, 1)
        return kernel / sigma

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        kernel = tf.cast(self.normalised_kernel(bool(training)), self.compute_dtype)
        x = conv(inputs, kernel, self.stride, self.pads, self.padding)
        return tf.nn.bias_add(x, tf.cast(self.bias, self.compute_dtype))


def _normalised(vector: tf.Tensor) -> tf.Tensor:
    return vector / tf.maximum(tf.norm(vector), _EPSILON)
