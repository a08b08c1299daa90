"""Layer kinds that take one value at a time: activations, and a factor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tfhific.published.ops.base import ArrayOf, Op, is_real, register

if TYPE_CHECKING:
    import tensorflow as tf


@register
class Relu(Op):
    """max(x, 0). No settings."""

    kind = "relu"

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        return tf.nn.relu(x)


@register
class LeakyRelu(Op):
    """x where it is positive, else `slope` times x. Settings: `slope`."""

    kind = "leaky_relu"

    def check(self) -> None:
        if not is_real(self.layer.get("slope")):
            raise self.refuse("a number as the layer's `slope`")

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        return tf.nn.leaky_relu(x, self.layer["slope"])


@register
class Tanh(Op):
    """The hyperbolic tangent. No settings."""

    kind = "tanh"

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        return tf.tanh(x)


@register
class Sigmoid(Op):
    """1 / (1 + exp(-x)). No settings."""

    kind = "sigmoid"

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        import tensorflow as tf

        return tf.sigmoid(x)


@register
class Scale(Op):
    """`factor` times x. Settings: `factor`."""

    kind = "scale"

    def check(self) -> None:
        if not is_real(self.layer.get("factor")):
            raise self.refuse("a number as the layer's `factor`")

    def run(self, x: tf.Tensor, arrays: ArrayOf) -> tf.Tensor:
        return x * self.layer["factor"]
