"""Kernels that pass their input through."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfc_port._keras import load_keras
from tfc_port._types import DTypeLike, ShapeLike

_Initializer: Any = load_keras().initializers.Initializer


class IdentityInitializer(_Initializer):
    """Initialises the kernel of a `SignalConv` layer so that it multiplies its input by `gain`.

    All coefficients are zero but the one at the centre, K // 2 in each dimension, between equal
    input and output channels.
    """

    def __init__(self, gain: float = 1) -> None:
        super().__init__()
        self.gain = gain

    def __call__(
        self, shape: ShapeLike, dtype: DTypeLike | None = None, **kwargs: Any
    ) -> tf.Tensor:
        """Returns the kernel.

        Args:
          shape: [spatial..., input, output], with at least one spatial dimension.
          dtype: Type of the kernel, float32 by default.
          **kwargs: Ignored.

        Raises:
          ValueError: if `shape` has no spatial dimension.
        """
        del kwargs
        shape = tf.TensorShape(shape)
        if shape.rank <= 2:
            raise ValueError(f"shape must be at least rank 3. Received: {shape}.")
        *spatial, inputs, outputs = shape.as_list()
        dtype = tf.as_dtype(dtype or tf.float32)
        centre = tf.constant([[size // 2 for size in spatial]])
        channels = tf.cast(self.gain, dtype) * tf.eye(inputs, outputs, dtype=dtype)
        return tf.scatter_nd(centre, channels[tf.newaxis], [*spatial, inputs, outputs])

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of an initializer like this one."""
        return {**super().get_config(), "gain": self.gain}
