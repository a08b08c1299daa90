"""What the entropy models of TFC 1.3 have in common."""

from __future__ import annotations

import abc
from typing import Any

import tensorflow as tf

from tfc_port._keras import load_keras, require_legacy_keras
from tfc_port._types import TensorLike
from tfc_port.ops.bounds import lower_bound
from tfc_port.ops.lookup import Lookup
from tfc_port.ops.quantized_cdf import nearest_counts
from tfc_port.ops.range_coding import decode_unbounded, encode_unbounded, unbounded_tables

_OVERFLOW_WIDTH = 4


_Layer: Any = load_keras().layers.Layer


class EntropyModel(_Layer, metaclass=abc.ABCMeta):
    """Keras layer that adds noise to values, or rounds them, and says how likely they are.

    Subclasses say what is likely. Strings are coded value by value in the order of the tensor, by
    tables of cumulative counts, one string for each element of the batch.
    """

    def __init__(
        self,
        tail_mass: float = 2**-8,
        likelihood_bound: float = 1e-9,
        range_coder_precision: int = 16,
        **kwargs: Any,
    ) -> None:
        """Sets what subclasses have in common.

        Args:
          tail_mass: Probability, in (0, 1), that is left to values outside the tables.
          likelihood_bound: Likelihoods are at least that; 0 for no bound.
          range_coder_precision: Bits of probability in the tables, 1 to 16.
          **kwargs: Passed to Keras.

        Raises:
          ValueError: if `tail_mass` is not between 0 and 1.
        """
        require_legacy_keras(type(self).__name__)
        super().__init__(**kwargs)
        self._tail_mass = float(tail_mass)
        if not 0 < self.tail_mass < 1:
            raise ValueError(f"`tail_mass` must be between 0 and 1. Received: {tail_mass}.")
        self._likelihood_bound = float(likelihood_bound)
        self._range_coder_precision = int(range_coder_precision)

    @property
    def tail_mass(self) -> float:
        """Probability that is left to values outside the tables."""
        return self._tail_mass

    @property
    def likelihood_bound(self) -> float:
        """Lower bound of likelihoods."""
        return self._likelihood_bound

    @property
    def range_coder_precision(self) -> int:
        """Bits of probability in the tables."""
        return self._range_coder_precision

    @abc.abstractmethod
    def _centre(self, values: tf.Tensor) -> tf.Tensor | None:
        """What is subtracted before rounding, broadcast to the values; None for nothing."""

    @abc.abstractmethod
    def _likelihood(self, values: tf.Tensor) -> tf.Tensor:
        """The probability of each value's unit interval."""

    @abc.abstractmethod
    def _tables(self) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """The arguments `cdf`, `cdf_size` and `offset` of `unbounded_index_range_encode`."""

    @abc.abstractmethod
    def _rows(self, shape: tf.Tensor) -> tf.Tensor:
        """The table of each value, int32 of `shape`, that of a batch of values."""

    def _symbols(self, values: tf.Tensor) -> tf.Tensor:
        centre = self._centre(values)
        # Halves go up.
        shifted = values + 0.5 if centre is None else values + (0.5 - centre)
        return tf.floor(shifted)

    def _values(self, symbols: tf.Tensor) -> tf.Tensor:
        symbols = tf.cast(symbols, self._float_dtype)
        centre = self._centre(symbols)
        return symbols if centre is None else symbols + centre

    @property
    def _float_dtype(self) -> tf.DType:
        return tf.as_dtype(self.dtype or load_keras().backend.floatx())

    def call(
        self, inputs: TensorLike, training: bool | tf.Tensor = False
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Perturbs or rounds values, and says how likely they then are.

        Args:
          inputs: Tensor [batch, ...].
          training: Whether to add uniform noise rather than to round.

        Returns:
          The pair of the values and their likelihoods, of the shape of `inputs`.
        """
        inputs = tf.convert_to_tensor(inputs, dtype=self._float_dtype)

        def noisy() -> tf.Tensor:
            return inputs + tf.random.uniform(tf.shape(inputs), -0.5, 0.5, dtype=inputs.dtype)

        def rounded() -> tf.Tensor:
            return self._values(self._symbols(inputs))

        if tf.is_tensor(training):
            outputs = tf.cond(tf.cast(training, tf.bool), noisy, rounded)
        else:
            outputs = noisy() if training else rounded()
        likelihood = self._likelihood(outputs)
        if self.likelihood_bound > 0:
            likelihood = lower_bound(likelihood, self.likelihood_bound)
        outputs.set_shape(inputs.shape)
        likelihood.set_shape(inputs.shape)
        return outputs, likelihood

    def compress(self, inputs: TensorLike) -> tf.Tensor:
        """Rounds values and codes them.

        Args:
          inputs: Tensor [batch, ...].

        Returns:
          String tensor [batch].
        """
        inputs = tf.convert_to_tensor(inputs, dtype=self._float_dtype)
        self._build_for(inputs.shape)
        with tf.name_scope(f"{self.name}_compress"), tf.device("CPU:0"):
            values = tf.cast(self._symbols(inputs), tf.int32)
            shape = tf.shape(values)
            rows = tf.broadcast_to(self._rows(shape), shape)
            units = tf.stack([shape[0], tf.reduce_prod(shape[1:])])
            strings = encode_unbounded(
                tf.reshape(values, units),
                tf.reshape(rows, units),
                self._checked_tables(),
                _OVERFLOW_WIDTH,
            )
            return tf.ensure_shape(strings, inputs.shape[:1])

    def _decompress(self, strings: tf.Tensor, shape: tf.Tensor) -> tf.Tensor:
        """The values, of `shape` int32 with the batch first."""
        with tf.name_scope(f"{self.name}_decompress"), tf.device("CPU:0"):
            rows = tf.broadcast_to(self._rows(shape), shape)
            units = tf.stack([shape[0], tf.reduce_prod(shape[1:])])
            values = decode_unbounded(
                strings, tf.reshape(rows, units), self._checked_tables(), _OVERFLOW_WIDTH
            )
            return self._values(tf.reshape(values, shape))

    def _checked_tables(self) -> tuple[Lookup, tf.Tensor]:
        return unbounded_tables(*self._tables(), self.range_coder_precision, _OVERFLOW_WIDTH)

    def _build_for(self, shape: tf.TensorShape) -> None:
        """Builds the layer as calling it does, so that variables have the same names."""
        if not self.built:
            with tf.name_scope(self.name):
                self.build(shape)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of a layer like this one."""
        config = super().get_config()
        config.update(
            tail_mass=self.tail_mass,
            likelihood_bound=self.likelihood_bound,
            range_coder_precision=self.range_coder_precision,
        )
        return config


def cdf_of(pmf: tf.Tensor, tail_mass: tf.Tensor, length: tf.Tensor, precision: int) -> tf.Tensor:
    """Cumulative counts of rows of probabilities, each with the mass left over as a last symbol.

    Args:
      pmf: Floating-point [rows, width].
      tail_mass: Floating-point [rows, 1], what is left over.
      length: int32 [rows], how many entries of each row count.
      precision: Python integer.

    Returns:
      int32 [rows, width + 2]; 0 behind a row's end.
    """
    place = tf.range(tf.shape(pmf)[1] + 1)[tf.newaxis]
    length = length[:, tf.newaxis]
    mass = tf.where(place < length, tf.pad(pmf, [[0, 0], [0, 1]]), tf.zeros([], pmf.dtype))
    mass = tf.where(tf.equal(place, length), tail_mass, mass)
    # Rounding to float32 is part of the definition of the tables.
    mass = tf.cast(tf.cast(mass, tf.float32), tf.float64)
    counts = nearest_counts(mass, 1 << precision, place <= length)
    cdf = tf.pad(tf.cumsum(counts, axis=1), [[0, 0], [1, 0]])
    place = tf.range(tf.shape(cdf)[1])[tf.newaxis]
    return tf.where(place < length + 2, tf.cast(cdf, tf.int32), 0)
