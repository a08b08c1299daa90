"""Entropy models of TFC 1.3 whose distributions the program gives, one for each value."""

from __future__ import annotations

import abc
import statistics
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tfc_port._keras import load_keras
from tfc_port._types import ShapeLike, TensorLike
from tfc_port.ops.bounds import lower_bound
from tfc_port.v1.entropy_model import EntropyModel


class SymmetricConditional(EntropyModel):
    """Layer of values with symmetric distributions of one family, each with its own scale.

    For coding, scales are brought to the next larger one of a table (or the largest), which has a
    table of counts for each.

    Variables, in graphs of `tf.compat.v1` alone: `quantized_cdf` and `cdf_length`, int32, so that a
    checkpoint brings the tables that its strings were coded by. Eagerly the layer has none.
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
        if tf.is_tensor(scale):
            kwargs.setdefault("dtype", tf.convert_to_tensor(scale).dtype)
        super().__init__(**kwargs)
        self._scale_table = tuple(sorted(float(entry) for entry in scale_table))
        if not self._scale_table or self._scale_table[0] <= 0:
            raise ValueError(
                f"`scale_table` must hold positive numbers. Received: {self._scale_table}."
            )
        dtype = self._float_dtype
        self._scale_bound = None if scale_bound is None else float(scale_bound)
        bound = self._scale_table[0] if self._scale_bound is None else self._scale_bound
        scale = tf.convert_to_tensor(scale, dtype=dtype)
        self._scale = lower_bound(scale, bound) if bound > 0 else scale
        self._mean = None if mean is None else tf.convert_to_tensor(mean, dtype=dtype)
        shape = self._scale.shape
        if indexes is not None:
            self._indexes = tf.convert_to_tensor(indexes, tf.int32)
            shape = tf.broadcast_static_shape(shape, self._indexes.shape)
        if shape.rank is None:
            raise ValueError("The rank of `scale` or `indexes` must be known.")
        # A dimension of 1 is broadcast.
        known = [None if size == 1 else size for size in shape.as_list()]
        self.input_spec = load_keras().layers.InputSpec(shape=known)
        self._made_tables: list[np.ndarray] = []

    @property
    def scale(self) -> tf.Tensor:
        """Scales, bounded."""
        return self._scale

    @property
    def scale_table(self) -> tuple[float, ...]:
        """The scales that there are tables for."""
        return self._scale_table

    @property
    def scale_bound(self) -> float | None:
        """What smaller scales are raised to; None for the first of the table."""
        return self._scale_bound

    @property
    def mean(self) -> tf.Tensor | None:
        """Centres of the distributions; None for 0."""
        return self._mean

    @property
    def indexes(self) -> tf.Tensor:
        """The place of each value's scale in the table, int32."""
        given = self.__dict__.get("_indexes")
        if given is not None:
            return given
        # A scale has the first entry that is not below it.
        table = tf.constant(self.scale_table[:-1], self._scale.dtype)
        places = tf.searchsorted(table, tf.reshape(self._scale, [-1]), side="left")
        return tf.reshape(places, tf.shape(self._scale))

    @abc.abstractmethod
    def _standardized_cumulative(self, inputs: tf.Tensor) -> tf.Tensor:
        """The cumulative of the distribution of scale 1 and centre 0, precise left of 0."""

    @abc.abstractmethod
    def _standardized_quantile(self, quantile: Any) -> Any:
        """The inverse of the cumulative at a number in (0, 1), or an array of some, in float64."""

    def _centre(self, values: tf.Tensor) -> tf.Tensor | None:
        return self._mean

    def _likelihood(self, values: tf.Tensor) -> tf.Tensor:
        if self._mean is not None:
            values = values - self._mean
        values = tf.abs(values)
        upper = self._standardized_cumulative((0.5 - values) / self._scale)
        return upper - self._standardized_cumulative((-0.5 - values) / self._scale)

    def _prepare_indexes(self, shape: TensorLike | None = None) -> tf.Tensor:
        self._build_for(self.input_spec.shape)
        indexes = self.indexes
        if shape is None:
            return indexes
        return tf.broadcast_to(indexes, tf.concat([tf.shape(indexes)[:1], shape], 0))

    def build(self, input_shape: ShapeLike) -> None:
        """Makes the tables.

        Args:
          input_shape: Shape of the values.

        Raises:
          ValueError: if that is not the shape of the scales.
        """
        tf.TensorShape(input_shape).assert_is_compatible_with(tf.TensorShape(self.input_spec.shape))
        self._made_tables = _values_of(self._make_tables)
        if not tf.compat.v1.executing_eagerly_outside_functions():
            for name, value in zip(("quantized_cdf", "cdf_length"), self._made_tables):
                weight = self.add_weight(
                    name,
                    shape=value.shape,
                    dtype=tf.int32,
                    initializer=_initializer(value),
                    trainable=False,
                )
                setattr(self, f"_{name}", tf.identity(weight))
        super().build(input_shape)

    def _read_cdf(self) -> tf.Tensor:
        return tf.constant(self._made_tables[0])

    def _read_cdf_length(self) -> tf.Tensor:
        return tf.constant(self._made_tables[1])

    def _read_offset(self) -> tf.Tensor:
        return tf.constant(self._made_tables[2])

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
        cdf = self._pmf_to_cdf(upper - lower, 2 * lower[:, :1], tf.constant(length), length.max())
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
        return super().decompress(strings)


class GaussianConditional(SymmetricConditional):
    """`SymmetricConditional` of normal distributions; the scale is their standard deviation."""

    def _standardized_cumulative(self, inputs: tf.Tensor) -> tf.Tensor:
        return 0.5 * tf.math.erfc(-(2**-0.5) * inputs)

    def _standardized_quantile(self, quantile: Any) -> Any:
        return np.vectorize(statistics.NormalDist().inv_cdf)(quantile)


class LogisticConditional(SymmetricConditional):
    """`SymmetricConditional` of logistic distributions."""

    def _standardized_cumulative(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.math.sigmoid(inputs)

    def _standardized_quantile(self, quantile: Any) -> Any:
        return np.log(quantile) - np.log1p(-np.asarray(quantile))


class LaplacianConditional(SymmetricConditional):
    """`SymmetricConditional` of Laplace distributions."""

    def _standardized_cumulative(self, inputs: tf.Tensor) -> tf.Tensor:
        half = 0.5 * tf.exp(-tf.abs(inputs))
        return tf.where(inputs > 0, 1 - half, half)

    def _standardized_quantile(self, quantile: Any) -> Any:
        quantile = np.asarray(quantile)
        return np.sign(quantile - 0.5) * -np.log(2 * np.minimum(quantile, 1 - quantile))


def _initializer(value: np.ndarray) -> Callable[..., tf.Tensor]:
    def initialize(shape: Any, dtype: Any = None, **unused: Any) -> tf.Tensor:
        return tf.constant(value, dtype)

    return initialize


def _values_of(function: Callable[[], Iterable[tf.Tensor]]) -> list[np.ndarray]:
    """The arrays of the tensors that a function returns, whatever is executed at the moment."""
    with tf.init_scope():
        if tf.executing_eagerly():
            return [tensor.numpy() for tensor in function()]
    with tf.Graph().as_default():
        tensors = function()
        with tf.compat.v1.Session() as session:
            return session.run(list(tensors))
