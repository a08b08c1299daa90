"""Entropy models of TFC 1.3 whose distributions the program gives, one for each value."""

from __future__ import annotations

import abc
import math
import statistics
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tfc_port._types import TensorLike
from tfc_port.ops.bounds import lower_bound
from tfc_port.v1.entropy_model import EntropyModel, cdf_of


class SymmetricConditional(EntropyModel):
    """Layer of values with symmetric distributions of one family, each with its own scale.

    For coding, scales are brought to the next larger one of a table (or the largest), which has a
    table of counts for each. The layer has no variables.
    """

    def __init__(
        self,
        scale: TensorLike,
        scale_table: Iterable[float],
        scale_bound: float | None = None,
        mean: TensorLike | None = None,
        indexes: TensorLike | None = None,
        **kwargs: Any,
    ) -> None:
        """Makes the layer.

        Args:
          scale: Tensor, the scale of each value; broadcasts to the values.
          scale_table: Numbers, rising and above 0: the scales that there are tables for.
          scale_bound: Smaller scales are raised to that; the first of the table by default, 0 for
            no bound.
          mean: Tensor, the centre of each value's distribution; None for 0.
          indexes: int32 tensor, the place of each value's scale in the table; found by `scale`
            unless given.
          **kwargs: `tail_mass`, `likelihood_bound` and `range_coder_precision`, as in
            `EntropyModel`; the rest goes to Keras.

        Raises:
          ValueError: if the table is not as described.
        """
        super().__init__(**kwargs)
        self._scale_table = tuple(sorted(float(entry) for entry in scale_table))
        if not self._scale_table or self._scale_table[0] <= 0:
            raise ValueError(
                f"`scale_table` must hold positive numbers. Received: {self._scale_table}."
            )
        dtype = self._float_dtype
        bound = self._scale_table[0] if scale_bound is None else float(scale_bound)
        scale = tf.convert_to_tensor(scale, dtype=dtype)
        self._scale = lower_bound(scale, bound) if bound > 0 else scale
        self._mean = None if mean is None else tf.convert_to_tensor(mean, dtype=dtype)
        self._given_indexes = None if indexes is None else tf.convert_to_tensor(indexes, tf.int32)
        self._made_tables: list[np.ndarray] | None = None

    @property
    def scale(self) -> tf.Tensor:
        """Scales, bounded."""
        return self._scale

    @property
    def scale_table(self) -> tuple[float, ...]:
        """The scales that there are tables for."""
        return self._scale_table

    @property
    def mean(self) -> tf.Tensor | None:
        """Centres of the distributions; None for 0."""
        return self._mean

    @property
    def indexes(self) -> tf.Tensor:
        """The place of each value's scale in the table, int32."""
        if self._given_indexes is not None:
            return self._given_indexes
        # A scale has the first entry that is not below it.
        table = tf.constant(self.scale_table[:-1], self._scale.dtype)
        larger = tf.cast(self._scale[..., tf.newaxis] > table, tf.int32)
        return tf.reduce_sum(larger, axis=-1)

    @abc.abstractmethod
    def _standardized_cumulative(self, values: tf.Tensor) -> tf.Tensor:
        """The cumulative of the distribution of scale 1 and centre 0, precise left of 0."""

    @abc.abstractmethod
    def _standardized_quantile(self, probability: float) -> float:
        """The quantile of a Python number below 1/2, a Python number."""

    def _centre(self, values: tf.Tensor) -> tf.Tensor | None:
        return self._mean

    def _likelihood(self, values: tf.Tensor) -> tf.Tensor:
        if self._mean is not None:
            values = values - self._mean
        values = tf.abs(values)
        upper = self._standardized_cumulative((0.5 - values) / self._scale)
        return upper - self._standardized_cumulative((-0.5 - values) / self._scale)

    def _rows(self, shape: tf.Tensor) -> tf.Tensor:
        return self.indexes

    def _tables(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        if self._made_tables is None:
            self._made_tables = _values_of(self._make_tables)
        cdf, cdf_size, offset = map(tf.constant, self._made_tables)
        return cdf, cdf_size, offset

    def _make_tables(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        reach = -self._standardized_quantile(self.tail_mass / 2)
        scales = np.array(self.scale_table)
        centre = np.ceil(scales * reach).astype(np.int32)
        length = 2 * centre + 1
        away = np.abs(np.arange(int(length.max())) - centre[:, np.newaxis])
        dtype = self._float_dtype
        scales = tf.constant(scales[:, np.newaxis], dtype)
        upper = self._standardized_cumulative(tf.constant(0.5 - away, dtype) / scales)
        lower = self._standardized_cumulative(tf.constant(-0.5 - away, dtype) / scales)
        cdf = cdf_of(
            upper - lower, 2 * lower[:, :1], tf.constant(length), self.range_coder_precision
        )
        return cdf, tf.constant(length + 2), tf.constant(-centre)

    def decompress(self, strings: TensorLike) -> tf.Tensor:
        """Decodes rounded values.

        Args:
          strings: String tensor [batch].

        Returns:
          Tensor of the shape of `scale` (or `indexes`).

        Raises:
          tf.errors.InvalidArgumentError: if a string is damaged in a way that can be seen.
        """
        strings = tf.convert_to_tensor(strings, tf.string)
        indexes = self.indexes
        outputs = self._decompress(strings, tf.shape(indexes))
        outputs.set_shape(indexes.shape)
        return outputs


class GaussianConditional(SymmetricConditional):
    """`SymmetricConditional` of normal distributions; the scale is their standard deviation."""

    def _standardized_cumulative(self, values: tf.Tensor) -> tf.Tensor:
        return 0.5 * tf.math.erfc(-(2**-0.5) * values)

    def _standardized_quantile(self, probability: float) -> float:
        return statistics.NormalDist().inv_cdf(probability)


class LogisticConditional(SymmetricConditional):
    """`SymmetricConditional` of logistic distributions."""

    def _standardized_cumulative(self, values: tf.Tensor) -> tf.Tensor:
        return tf.math.sigmoid(values)

    def _standardized_quantile(self, probability: float) -> float:
        return math.log(probability / (1 - probability))


class LaplacianConditional(SymmetricConditional):
    """`SymmetricConditional` of Laplace distributions."""

    def _standardized_cumulative(self, values: tf.Tensor) -> tf.Tensor:
        half = 0.5 * tf.exp(-tf.abs(values))
        return tf.where(values > 0, 1 - half, half)

    def _standardized_quantile(self, probability: float) -> float:
        return math.log(2 * probability)


def _values_of(function: Callable[[], Iterable[tf.Tensor]]) -> list[np.ndarray]:
    """The arrays of the tensors that a function returns, whatever is executed at the moment."""
    with tf.init_scope():
        if tf.executing_eagerly():
            return [tensor.numpy() for tensor in function()]
    with tf.Graph().as_default():
        tensors = function()
        with tf.compat.v1.Session() as session:
            return session.run(list(tensors))
