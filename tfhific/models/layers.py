"""Keras layers that the codecs' transforms are composed of, beside TFC's own."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfhific.backend import keras, tfc
from tfhific.errors import ArgumentError


class SpaceToDepth(keras.layers.Layer):
    """Folds blocks of `block` x `block` pixels into channels.

    Input shape: float [batch, height, width, channels], sides multiples of `block`.
    Output shape: float [batch, height / block, width / block, block * block * channels].
    """

    def __init__(self, block: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.space_to_depth(inputs, self.block)

    def get_config(self) -> dict:
        return {**super().get_config(), "block": self.block}


class DepthToSpace(keras.layers.Layer):
    """The inverse of `SpaceToDepth`.

    Input shape: float [batch, height, width, block * block * channels].
    Output shape: float [batch, height * block, width * block, channels].
    """

    def __init__(self, block: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.block = block

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.nn.depth_to_space(inputs, self.block)

    def get_config(self) -> dict:
        return {**super().get_config(), "block": self.block}


class Scale(keras.layers.Layer):
    """Multiplies by a constant, so that what comes before learns at another pace.

    Adam moves every weight by about the learning rate; a layer whose weights are `1 / factor`
    times larger moves that much less relative to them.
    """

    def __init__(self, factor: float, **kwargs) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs * self.factor

    def get_config(self) -> dict:
        return {**super().get_config(), "factor": self.factor}


class GDN(tfc.GDN):
    """Generalised divisive normalisation with absolute values, and sums as they are.

    J. Ballé, V. Laparra, E. P. Simoncelli (arXiv 1511.06281), equation 1, with alpha = epsilon = 1
    as numbers. TFC has them as tensors and asks in the graph whether they are 1, which is a tenth
    of the time until a training's first step.

    Input shape: float [batch, height, width, channels].
    Output shape: as the input.
    """

    def __init__(self, inverse: bool = False, **kwargs) -> None:
        """Initializer.

        Args:
          inverse: whether inputs are multiplied by the sums rather than divided.
          **kwargs: of the base class.

        Raises:
          ArgumentError: for other exponents.
        """
        for name in ("alpha_parameter", "epsilon_parameter"):
            if kwargs.get(name, 1) != 1:
                raise ArgumentError(f"Expected {name} = 1. Received: {kwargs[name]!r}.")
        super().__init__(inverse=inverse, **kwargs)

    @property
    def alpha(self) -> int:
        return 1

    @property
    def epsilon(self) -> int:
        return 1


def _make_variables(layer: keras.layers.Layer, input_shape: tf.TensorShape | tuple) -> None:
    """Builds a layer, if it isn't yet, without a graph of what it computes."""
    if not layer.built:
        with tf.name_scope(layer.name):
            layer.build(input_shape)
        layer.built = True


class InOrder(keras.Sequential):
    """`keras.Sequential` that is its layers, one after the other, and nothing else.

    Keras would trace a network of symbolic tensors too, whenever a picture is of another shape than
    those before: a tenth of the time of tests that train.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> tf.Tensor:
        # The layers make their variables when they are called.
        self.built = True
        return super().__call__(*args, **kwargs)

    def build(self, input_shape: tf.TensorShape | tuple) -> None:
        """Makes the variables for float32 inputs of a shape, which may have None in it."""
        with tf.name_scope(self.name):
            for layer in self.layers:
                _make_variables(layer, input_shape)
                input_shape = layer.compute_output_shape(input_shape)
        self.built = True

    def compute_output_shape(self, input_shape: tf.TensorShape | tuple) -> tf.TensorShape:
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return tf.TensorShape(input_shape)

    def call(self, inputs: tf.Tensor, training: Any = None, mask: Any = None) -> tf.Tensor:
        for layer in self.layers:
            inputs = layer(inputs)
        return inputs


class Parallel(keras.layers.Layer):
    """The sum of several branches on one input.

    Input shape: whatever every branch takes. Output shape: the branches' common output shape.
    """

    def __init__(self, branches: list, **kwargs) -> None:
        super().__init__(**kwargs)
        self.branches = list(branches)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.add_n([branch(inputs) for branch in self.branches])


class Residual(keras.layers.Layer):
    """`x + branch(x)`; the branch keeps the shape of its input."""

    def __init__(self, branch: keras.layers.Layer, **kwargs) -> None:
        super().__init__(**kwargs)
        self.branch = branch

    def build(self, input_shape: tf.TensorShape | tuple) -> None:
        _make_variables(self.branch, input_shape)
        super().build(input_shape)

    def compute_output_shape(self, input_shape: tf.TensorShape | tuple) -> tf.TensorShape:
        return tf.TensorShape(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs + self.branch(inputs)
