"""Rounding with a straight-through gradient, and differentiable approximations of rounding.

The approximations are those of Agustsson and Theis, "Universally Quantized Neural Compression",
section 4.1, https://arxiv.org/abs/2006.09952.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfc_port._types import Numeric, TensorLike


def round_st(inputs: TensorLike, offset: TensorLike | None = None) -> tf.Tensor:
    """Rounds to the integers, or to the integers plus `offset`; the gradient passes unchanged.

    Args:
      inputs: Floating-point tensor.
      offset: None, or a tensor that broadcasts to the shape of `inputs`; receives no gradient.

    Returns:
      Tensor of the shape and dtype of `inputs`. Halves go to the even neighbour.
    """

    @tf.custom_gradient
    def nearest_integer(inputs: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        return tf.round(inputs), lambda upstream: upstream

    @tf.custom_gradient
    def nearest_shifted(
        inputs: tf.Tensor, offset: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[..., Any]]:
        return tf.round(inputs - offset) + offset, lambda upstream: (upstream, None)

    return nearest_integer(inputs) if offset is None else nearest_shifted(inputs, offset)


def soft_round(x: Numeric, alpha: Numeric, eps: float = 1e-3) -> tf.Tensor:
    """Differentiable approximation of rounding: m + tanh(alpha r) / (2 tanh(alpha / 2)).

    Here m = floor(x) + 1/2 and r = x - m.

    Args:
      x: Floating-point tensor.
      alpha: Number or tensor. Towards infinity this is rounding, towards 0 the identity.
      eps: Below this `alpha` the result is `x` itself.

    Returns:
      Tensor of the shape of `x`.
    """
    safe_alpha, centre, amplitude = _parts(x, alpha, eps)
    rounded = centre + tf.tanh(safe_alpha * (x - centre)) / amplitude
    return tf.where(alpha < eps, x, rounded, name="soft_round")


def soft_round_inverse(y: Numeric, alpha: Numeric, eps: float = 1e-3) -> tf.Tensor:
    """The inverse function of `soft_round`.

    Args:
      y: Floating-point tensor.
      alpha: The `alpha` of the function to invert.
      eps: Below this `alpha` the result is `y` itself.

    Returns:
      Tensor of the shape of `y`, finite for finite `y`; its gradient may be infinite.
    """
    safe_alpha, centre, amplitude = _parts(y, alpha, eps)
    residual = tf.atanh((y - centre) * amplitude) / safe_alpha
    # atanh reaches infinity where its argument rounds to 1; the true residual is within a half.
    residual = tf.clip_by_value(residual, -0.5, 0.5)
    return tf.where(alpha < eps, y, centre + residual, name="soft_round_inverse")


def soft_round_conditional_mean(y: Numeric, alpha: Numeric) -> tf.Tensor:
    """E[X | soft_round(X) + U = y], for U uniform on [-1/2, 1/2] and X locally uniform.

    Args:
      y: Floating-point tensor, soft-rounded values with noise added.
      alpha: The `alpha` of the soft rounding.

    Returns:
      Tensor of the shape of `y`.
    """
    return soft_round_inverse(y - 0.5, alpha) + 0.5


def _parts(values: Numeric, alpha: Numeric, eps: float) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    # The bound keeps the branch that `tf.where` discards free of NaNs, which would otherwise
    # reach the gradient.
    safe_alpha = tf.maximum(alpha, eps)
    centre = tf.floor(values) + 0.5
    amplitude = 2.0 * tf.tanh(safe_alpha / 2.0)
    return safe_alpha, centre, amplitude
