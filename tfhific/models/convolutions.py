"""Convolutions whose padding is part of the architecture, as Keras layers."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import ArgumentError
from tfhific.published.functional import PADDINGS, Pads, centred, conv, deconv, spans


class PaddedConv2D(keras.layers.Layer):
    """A strided correlation with explicit pads, of zeros or by reflection; with a bias.

    Input shape: float [batch, height, width, in], sides multiples of `stride`.
    Output shape: float [batch, height / stride, width / stride, filters].

    Attributes:
      kernel: float32 [k, k, in, filters].
      bias: float32 [filters].
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        stride: int = 1,
        pads: Pads | None = None,
        padding: str = "zeros",
        kernel_initializer="glorot_uniform",
        **kwargs,
    ) -> None:
        """Initializer.

        Args:
          filters: output channels.
          kernel_size: side of the kernel.
          stride: downsampling.
          pads: rows above and below, columns left and right; None to keep the kernel centred.
          padding: `zeros` or `reflect`.
          kernel_initializer: a Keras initializer or its name.
          **kwargs: of the base class.

        Raises:
          ArgumentError: for another padding.
        """
        super().__init__(**kwargs)
        if padding not in PADDINGS:
            raise ArgumentError(f"Expected a padding among {PADDINGS}. Received: {padding!r}.")
        self.filters, self.kernel_size, self.stride = filters, kernel_size, stride
        self.pads: Any = tuple(pads) if pads is not None else centred(kernel_size) * 2
        self.padding = padding
        self._initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape) -> None:
        size = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, size, int(input_shape[-1]), self.filters),
            initializer=self._initializer,
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        kernel = tf.cast(self.kernel, self.compute_dtype)
        x = conv(inputs, kernel, self.stride, self.pads, self.padding)
        return tf.nn.bias_add(x, tf.cast(self.bias, self.compute_dtype))

    def compute_output_shape(self, input_shape) -> tf.TensorShape:
        batch, height, width, _ = tf.TensorShape(input_shape).as_list()
        sides = [side // self.stride if side else None for side in (height, width)]
        return tf.TensorShape([batch, *sides, self.filters])


class CroppedConv2DTranspose(keras.layers.Layer):
    """An upsampling convolution: a transposed correlation cut to `stride` times its input.

    Input shape: float [batch, height, width, in].
    Output shape: float [batch, height * stride, width * stride, filters].

    Attributes:
      kernel: float32 [k, k, filters, in].
      bias: float32 [filters].
    """

    def __init__(
        self,
        filters: int,
        kernel_size: int,
        stride: int,
        crop: int | None = None,
        kernel_initializer="glorot_uniform",
        **kwargs,
    ) -> None:
        """Initializer.

        Args:
          filters: output channels.
          kernel_size: side of the kernel.
          stride: upsampling.
          crop: positions cut above and to the left; None for half the kernel.
          kernel_initializer: a Keras initializer or its name.
          **kwargs: of the base class.

        Raises:
          ArgumentError: where the kernel doesn't reach over all that is kept.
        """
        super().__init__(**kwargs)
        if not spans(kernel_size, stride, crop):
            raise ArgumentError(
                "Expected a kernel that reaches over its stride. Received: "
                f"kernel_size={kernel_size}, stride={stride}, crop={crop}."
            )
        self.filters, self.kernel_size, self.stride = filters, kernel_size, stride
        self.crop = kernel_size // 2 if crop is None else crop
        self._initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape) -> None:
        size = self.kernel_size
        self.kernel = self.add_weight(
            name="kernel",
            shape=(size, size, self.filters, int(input_shape[-1])),
            initializer=self._initializer,
        )
        self.bias = self.add_weight(name="bias", shape=(self.filters,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        kernel = tf.cast(self.kernel, self.compute_dtype)
        x = deconv(inputs, kernel, self.stride, (self.crop, self.crop))
        # The output's size comes from a tensor: the shape says what is known of it.
        x.set_shape(self.compute_output_shape(inputs.shape))
        return tf.nn.bias_add(x, tf.cast(self.bias, self.compute_dtype))

    def compute_output_shape(self, input_shape) -> tf.TensorShape:
        batch, height, width, _ = tf.TensorShape(input_shape).as_list()
        sides = [side * self.stride if side else None for side in (height, width)]
        return tf.TensorShape([batch, *sides, self.filters])
