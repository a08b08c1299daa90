"""Additive uniform noise whose gradient is taken in expectation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfc_port._types import TensorLike


def perturb_and_apply(
    f: Callable[..., tf.Tensor],
    x: tf.Tensor,
    *args: TensorLike,
    u: tf.Tensor | None = None,
    x_plus_u: tf.Tensor | None = None,
    expected_grads: bool = True,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Evaluates `f(x + u, *args)` for noise u, uniform on [-1/2, 1/2).

    With `expected_grads`, the derivative with respect to `x` is its expectation over the noise,
    which for a pointwise f is the difference f(x + 1/2) - f(x - 1/2): Agustsson and Theis,
    "Universally Quantized Neural Compression", section 4.2, https://arxiv.org/abs/2006.09952.
    All other derivatives are those at the sampled noise.

    Args:
      f: Callable, pointwise in its first argument.
      x: Floating-point tensor.
      *args: Further arguments of f, converted to tensors. Tensors that f depends on and that need
        a gradient have to be given here; variables may be captured.
      u: Noise of the shape of `x`; drawn where neither it nor `x_plus_u` is given.
      x_plus_u: The perturbed input, in place of `u`.
      expected_grads: Whether to use the expected derivative.

    Returns:
      The pair `(f(x + u, *args), x + u)`.

    Raises:
      ValueError: if both `u` and `x_plus_u` are given.
    """
    if u is not None and x_plus_u is not None:
        raise ValueError("Cannot provide both `u` and `x_plus_u`. Received both: leave out one.")
    if x_plus_u is None:
        if u is None:
            u = tf.random.uniform(tf.shape(x), -0.5, 0.5, dtype=x.dtype)
        x_plus_u = x + u
    tensors = [tf.convert_to_tensor(arg) for arg in args]
    if not expected_grads:
        return f(x_plus_u, *tensors), x_plus_u

    @tf.custom_gradient
    def evaluate(x: tf.Tensor, *args: tf.Tensor) -> tuple[tf.Tensor, Callable[..., Any]]:
        # Persistent, since whoever differentiates this may do so more than once.
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(args)
            value = f(x_plus_u, *args)
        slope = f(x + 0.5, *args) - f(x - 0.5, *args)

        def backward(upstream: tf.Tensor, variables: Sequence[tf.Variable] = ()) -> Any:
            to_args, to_variables = tape.gradient(
                value, (args, list(variables)), output_gradients=upstream
            )
            to_inputs = [upstream * slope, *to_args]
            return (to_inputs, to_variables) if variables else to_inputs

        return value, backward

    return evaluate(x, *tensors), x_plus_u
