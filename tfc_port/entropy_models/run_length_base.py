"""What entropy models have in common that code by run lengths instead of tables."""

from __future__ import annotations

import abc

import tensorflow as tf

from tfc_port._decorators import with_name_scope
from tfc_port._keras import load_keras
from tfc_port._types import DTypeLike, ShapeLike, TensorLike
from tfc_port.ops.rounding import round_st
from tfc_port.ops.run_length import run_length_decode, run_length_encode


class RunLengthEntropyModel(tf.Module, metaclass=abc.ABCMeta):
    """Base class of entropy models without tables: a penalty in training, run lengths in coding."""

    def __init__(
        self, coding_rank: int, bottleneck_dtype: DTypeLike | None, codes: tuple[int, int, bool]
    ) -> None:
        """Sets what subclasses have in common.

        Args:
          coding_rank: Number of innermost dimensions that make up one coding unit: one string, one
            penalty.
          bottleneck_dtype: Type of the values; Keras's compute type if None.
          codes: The last three arguments of `run_length_encode`.

        Raises:
          ValueError: if `coding_rank` is negative.
        """
        super().__init__()
        self._coding_rank = int(coding_rank)
        if self.coding_rank < 0:
            raise ValueError(f"`coding_rank` must be at least 0. Received: {coding_rank}.")
        keras = load_keras()
        if bottleneck_dtype is None:
            bottleneck_dtype = keras.mixed_precision.global_policy().compute_dtype
        self._bottleneck_dtype = tf.as_dtype(bottleneck_dtype or keras.backend.floatx())
        self._codes = codes

    @property
    def bottleneck_dtype(self) -> tf.DType:
        """Type of the values."""
        return self._bottleneck_dtype

    @property
    def coding_rank(self) -> int:
        """Number of innermost dimensions in a coding unit."""
        return self._coding_rank

    @abc.abstractmethod
    def penalty(self, bottleneck: TensorLike) -> tf.Tensor:
        """Returns what makes values easy to code when it is small, one number per coding unit."""

    def _sum_unit(self, values: tf.Tensor) -> tf.Tensor:
        return tf.reduce_sum(values, axis=tuple(range(-self.coding_rank, 0)))

    @with_name_scope
    def __call__(self, bottleneck: TensorLike) -> tuple[tf.Tensor, tf.Tensor]:
        """Rounds values and rates them.

        Args:
          bottleneck: Tensor [..., coding unit].

        Returns:
          The pair `(self.quantize(bottleneck), self.penalty(bottleneck))`.
        """
        return self.quantize(bottleneck), self.penalty(bottleneck)

    @with_name_scope
    def quantize(self, bottleneck: TensorLike) -> tf.Tensor:
        """Rounds values to integers; gradients pass unchanged."""
        return round_st(tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype))

    @with_name_scope
    def compress(self, bottleneck: TensorLike) -> tf.Tensor:
        """Rounds values and codes them.

        Args:
          bottleneck: Tensor [..., coding unit].

        Returns:
          String tensor, one string per coding unit.
        """
        bottleneck = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype)
        shape = tf.shape(bottleneck)
        batch_shape = shape[: tf.size(shape) - self.coding_rank]
        values = tf.cast(tf.round(bottleneck), tf.int32)
        size = tf.reduce_prod(shape[tf.size(shape) - self.coding_rank :])
        values = tf.reshape(values, tf.stack([tf.reduce_prod(batch_shape), size]))
        strings = tf.map_fn(
            lambda unit: run_length_encode(unit, *self._codes),
            values,
            fn_output_signature=tf.TensorSpec([], tf.string),
        )
        return tf.reshape(strings, batch_shape)

    @with_name_scope
    def decompress(self, strings: TensorLike, code_shape: ShapeLike) -> tf.Tensor:
        """Decodes the rounded values.

        Args:
          strings: String tensor, one string per coding unit.
          code_shape: Integers, the shape of a coding unit.

        Returns:
          Tensor of the shape of `strings`, then `code_shape`.

        Raises:
          tf.errors.InvalidArgumentError: if a string is no code of so many values.
        """
        strings = tf.convert_to_tensor(strings, dtype=tf.string)
        code_shape = tf.convert_to_tensor(code_shape, dtype=tf.int32)
        size = tf.reduce_prod(code_shape)
        flat = tf.reshape(strings, [-1])
        count = tf.size(flat)
        # One more string where there is none, of zeros: a map without elements has no shape.
        more = tf.cast(tf.equal(count, 0), tf.int32)
        spare = run_length_encode(tf.zeros(size[tf.newaxis], tf.int32), *self._codes)
        values = tf.map_fn(
            lambda string: run_length_decode(string, size[tf.newaxis], *self._codes),
            tf.concat([flat, tf.fill(more[tf.newaxis], spare)], 0),
            fn_output_signature=tf.TensorSpec([None], tf.int32),
        )
        values = tf.reshape(values[:count], tf.concat([tf.shape(strings), code_shape], 0))
        return tf.cast(values, self.bottleneck_dtype)
