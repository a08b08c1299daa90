"""Soft rounding as layers."""

from __future__ import annotations

from tfc_port._keras import load_keras, require_legacy_keras
from tfc_port.ops.rounding import soft_round, soft_round_conditional_mean, soft_round_inverse


class SoftRound(load_keras().layers.Layer):
    """Applies `soft_round`, or with `inverse` its inverse, to its input."""

    def __init__(self, alpha=5.0, inverse=False, **kwargs):
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

    def call(self, inputs):
        return self._transform(inputs, self._alpha)

    def compute_output_shape(self, input_shape):
        return input_shape


class SoftRoundConditionalMean(load_keras().layers.Layer):
    """Applies `soft_round_conditional_mean` to its input."""

    def __init__(self, alpha=5.0, **kwargs):
        """Makes the layer.

        Args:
          alpha: Number or scalar tensor, that of the soft rounding.
          **kwargs: Passed to Keras.
        """
        require_legacy_keras(type(self).__name__)
        super().__init__(**kwargs)
        self._alpha = alpha

    def call(self, inputs):
        return soft_round_conditional_mean(inputs, self._alpha)

    def compute_output_shape(self, input_shape):
        return input_shape
