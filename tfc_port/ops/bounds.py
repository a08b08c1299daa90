"""Clamps whose gradient can lead values back into range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfc_port._types import TensorLike

_GRADIENTS = ("disconnected", "identity", "identity_if_towards")


def lower_bound(
    inputs: TensorLike,
    bound: TensorLike,
    gradient: str = "identity_if_towards",
    name: str = "lower_bound",
) -> tf.Tensor:
    """`tf.maximum(inputs, bound)` with a choice of gradient where the bound is active.

    Args:
      inputs: Tensor of a floating-point dtype (integers work where no gradient is taken).
      bound: Tensor or number that broadcasts to the shape of `inputs`; converted to its dtype.
      gradient: What arrives at `inputs` where they lie below the bound. "disconnected": nothing,
        as with `tf.maximum`. "identity": the incoming gradient. "identity_if_towards": the incoming
        gradient if a step of gradient descent along it would raise the value, otherwise nothing.
      name: Name of the op.

    Returns:
      Tensor of the dtype of `inputs`. `bound` never receives a gradient.

    Raises:
      ValueError: if `gradient` is none of the three.
    """
    return _clamp(inputs, bound, gradient, name, tf.maximum, tf.greater_equal, tf.less)


def upper_bound(
    inputs: TensorLike,
    bound: TensorLike,
    gradient: str = "identity_if_towards",
    name: str = "upper_bound",
) -> tf.Tensor:
    """`tf.minimum(inputs, bound)` with a choice of gradient where the bound is active.

    The mirror image of `lower_bound`, with the same arguments, result and errors: under
    "identity_if_towards" a value above the bound receives the gradients that would lower it.
    """
    return _clamp(inputs, bound, gradient, name, tf.minimum, tf.less_equal, tf.greater)


def _clamp(
    inputs: TensorLike,
    bound: TensorLike,
    gradient: str,
    name: str,
    limit: Callable[..., tf.Tensor],
    within: Callable[..., tf.Tensor],
    returning: Callable[..., tf.Tensor],
) -> tf.Tensor:
    """Applies `limit`; `returning(g, 0)` says whether descent along -g moves towards the bound."""
    if gradient not in _GRADIENTS:
        raise ValueError(
            f"Invalid value for `gradient`: expected one of {', '.join(map(repr, _GRADIENTS))}. "
            f"Received: {gradient!r}."
        )
    with tf.name_scope(name) as scope:
        inputs = tf.convert_to_tensor(inputs, name="inputs")
        bound = tf.convert_to_tensor(bound, dtype=inputs.dtype, name="bound")

        @tf.custom_gradient
        def clamped(inputs: tf.Tensor, bound: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
            def backward(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
                if gradient == "identity":
                    return upstream, None
                passes = within(inputs, bound)
                if gradient == "identity_if_towards":
                    passes = tf.logical_or(passes, returning(upstream, 0))
                return tf.cast(passes, upstream.dtype) * upstream, None

            return limit(inputs, bound, name=scope), backward

        return clamped(inputs, bound)
