"""Soft rounding as layers."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfc_port._keras import load_keras, require_legacy_keras
from tfc_port._types import Numeric, ShapeLike
from tfc_port.ops.rounding import soft_round, soft_round_conditional_mean, soft_round_inverse

_Layer: Any = load_keras().layers.Layer


class SoftRound(_Layer):
    """Applies `soft_round`, or with `inverse` its inverse, to its input."""

    def __init__(self, alpha: Numeric = 5.0, inverse: bool = False, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          alpha: Number or scalar tensor; the larger, the nearer to rounding.
          inverse: Whether to invert.
          **kwargs: Passed to Keras.
        """
        require_legacy_keras(type(self).__name__)
        super().__init__(**kwargs)
        self._alpha = alpha
        self._transform = soft_round_inverse if inverse else soft_round

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the floating-point `inputs`, of any shape, soft-rounded or the reverse."""
        return self._transform(inputs, self._alpha)

    def compute_output_shape(self, input_shape: ShapeLike) -> tf.TensorShape:
        """Returns the shape of the outputs: `input_shape`."""
        return input_shape


class SoftRoundConditionalMean(_Layer):
    """Applies `soft_round_conditional_mean` to its input."""

    def __init__(self, alpha: Numeric = 5.0, **kwargs: Any) -> None:
        """Makes the layer.

        Args:
          alpha: Number or scalar tensor, that of the soft rounding.
          **kwargs: Passed to Keras.
        """
        require_legacy_keras(type(self).__name__)
        super().__init__(**kwargs)
        self._alpha = alpha

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        """Returns the expectation of what was soft-rounded to `inputs`, of any shape."""
        return soft_round_conditional_mean(inputs, self._alpha)

    def compute_output_shape(self, input_shape: ShapeLike) -> tf.TensorShape:
        """Returns the shape of the outputs: `input_shape`."""
        return input_shape
