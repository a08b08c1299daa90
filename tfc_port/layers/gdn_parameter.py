"""Nonnegative weights for GDN."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfc_port._decorators import with_name_scope
from tfc_port._keras import PACKAGE, load_keras
from tfc_port._types import DTypeLike, ShapeLike, TensorLike
from tfc_port.layers.parameter import Parameter
from tfc_port.layers.rdft_parameter import initial_kernel
from tfc_port.ops.bounds import lower_bound


@load_keras().utils.register_keras_serializable(package=PACKAGE)
class GDNParameter(Parameter):
    """A weight of at least `minimum`, as the square of a variable less a small constant.

    The square slows learning down near zero, where GDN is most sensitive; the constant offset**2
    keeps the gradient there from vanishing. The variable is held above its bound by a clamp that
    passes the gradients which raise it. See Balle, Laparra and Simoncelli, "End-to-end optimized
    image compression", appendix, https://arxiv.org/abs/1611.01704.

    Attributes:
      variable: The variable, sqrt(value + offset**2).
      minimum: Lower bound of the value.
      offset: Square root of the constant.
    """

    def __init__(
        self,
        initial_value: TensorLike | None,
        name: str | None = None,
        minimum: float = 0.0,
        offset: float = 2**-18,
        shape: ShapeLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        """Makes the variable.

        Args:
          initial_value: Tensor to start from; None to start from zeros of `shape`.
          name: Name of the weight.
          minimum: Lower bound.
          offset: See the class. Larger values make gradients noisier, much smaller ones are lost in
            the precision of floats.
          shape: Shape of the weight, needed where `initial_value` is None.
          dtype: Type of the weight; that of `initial_value` unless given.

        Raises:
          ValueError: if there is neither value nor shape.
        """
        super().__init__(name=name)
        self._minimum = float(minimum)
        self._offset = float(offset)
        value = initial_kernel(initial_value, shape, dtype)
        pedestal = tf.constant(self.offset**2, dtype=value.dtype)
        root = tf.math.sqrt(tf.maximum(value + pedestal, pedestal))
        self.variable = tf.Variable(root, name=name and f"reparam_{name}")

    @property
    def minimum(self) -> float:
        """Lower bound of the value."""
        return self._minimum

    @property
    def offset(self) -> float:
        """Square root of the constant that is added under the root."""
        return self._offset

    @with_name_scope
    def __call__(self, compute_dtype: DTypeLike | None = None) -> tf.Tensor:
        """Returns the value."""
        variable = self.variable
        if compute_dtype is not None:
            variable = tf.cast(variable, compute_dtype)
        pedestal = self.offset**2
        bounded = lower_bound(variable, (self.minimum + pedestal) ** 0.5)
        return tf.math.square(bounded) - tf.constant(pedestal, dtype=bounded.dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of a parameter like this one, without its value."""
        config = super().get_config()
        config.update(
            initial_value=None,
            minimum=self.minimum,
            offset=self.offset,
            shape=tuple(int(size) for size in self.variable.shape),
            dtype=self.variable.dtype.name,
        )
        return config
