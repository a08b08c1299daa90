"""What the entropy models of TFC 1.3 have in common."""

from __future__ import annotations

import abc
from typing import Any

import tensorflow as tf

from tfc_port._keras import load_keras, require_legacy_keras
from tfc_port._types import TensorLike
from tfc_port.ops._checks import require
from tfc_port.ops.bounds import lower_bound
from tfc_port.ops.lookup import Lookup
from tfc_port.ops.quantized_cdf import nearest_counts
from tfc_port.ops.range_coding import decode_unbounded, encode_unbounded, unbounded_tables

_OVERFLOW_WIDTH = 4


_Layer: Any = load_keras().layers.Layer


class Replaceable:
    """An attribute that a method computes whenever it is read, until something else is assigned.

    Variables are read anew eagerly. In graphs the layer assigns the tensor that was read, so that
    the attribute is one tensor, which can be fed.
    """

    def __init__(self, method: str) -> None:
        """Makes the attribute; `method` is the name of the method of the object."""
        self._method = method

    def __set_name__(self, owner: type, name: str) -> None:
        self._key = f"_replaced{name}"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        if self._key in instance.__dict__:
            return instance.__dict__[self._key]
        return getattr(instance, self._method)()

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self._key] = value


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

    # What is below up to `call` has the names that programs replace in subclasses, or call.

    _quantized_cdf = Replaceable("_read_cdf")
    _cdf_length = Replaceable("_read_cdf_length")
    _offset = Replaceable("_read_offset")

    @abc.abstractmethod
    def _read_cdf(self) -> tf.Tensor:
        """`cdf` of `unbounded_index_range_encode`."""

    @abc.abstractmethod
    def _read_cdf_length(self) -> tf.Tensor:
        """`cdf_size` of it."""

    @abc.abstractmethod
    def _read_offset(self) -> tf.Tensor:
        """`offset` of it."""

    @abc.abstractmethod
    def _prepare_indexes(self, *args: Any, **options: Any) -> tf.Tensor:
        """Builds the layer where it is not, and returns the table of each value.

        Args:
          *args: `shape`, int32 vector, the shape of the values without the batch.
          **options: it by name; and what else `decompress` of a subclass takes.

        Returns:
          int32 tensor of the values' shape, or without the batch where all of it has the same.
        """

    @abc.abstractmethod
    def _centre(self, values: tf.Tensor) -> tf.Tensor | None:
        """What is subtracted before rounding, broadcast to the values; None for nothing."""

    @abc.abstractmethod
    def _likelihood(self, values: tf.Tensor) -> tf.Tensor:
        """The probability of each value's unit interval."""

    def _quantize(self, inputs: tf.Tensor, mode: str) -> tf.Tensor:
        """Adds noise to values or rounds them.

        Args:
          inputs: Tensor [batch, ...].
          mode: "noise", "dequantize" for rounded values or "symbols" for the int32 numbers that are
            coded.

        Returns:
          Tensor of the same shape.

        Raises:
          ValueError: for another mode.
        """
        if mode == "noise":
            return inputs + tf.random.uniform(tf.shape(inputs), -0.5, 0.5, dtype=inputs.dtype)
        if mode not in ("dequantize", "symbols"):
            raise ValueError(
                f"`mode` must be 'noise', 'dequantize' or 'symbols'. Received: {mode!r}."
            )
        centre = self._centre(inputs)
        # Halves go up.
        rounded = tf.floor(inputs + 0.5 if centre is None else inputs + (0.5 - centre))
        if mode == "symbols":
            return tf.cast(rounded, tf.int32)
        return rounded if centre is None else rounded + centre

    def _dequantize(self, inputs: tf.Tensor, mode: str = "dequantize") -> tf.Tensor:
        """The values of symbols; `mode` is "dequantize"."""
        values = tf.cast(inputs, self._float_dtype)
        centre = self._centre(values)
        return values if centre is None else values + centre

    def _pmf_to_cdf(
        self, pmf: tf.Tensor, tail_mass: tf.Tensor, pmf_length: tf.Tensor, max_length: Any
    ) -> tf.Tensor:
        """Tables of rows of probabilities.

        Args:
          pmf: Floating-point [rows, max_length].
          tail_mass: Floating-point [rows, 1], the mass outside.
          pmf_length: int32 [rows], how many entries of each row count.
          max_length: Integer, or a scalar tensor.

        Returns:
          int32 [rows, max_length + 2]; 0 behind a row's end.
        """
        with tf.device("CPU:0"):
            cdf = cdf_of(pmf, tail_mass, pmf_length, self.range_coder_precision)
        width = None if tf.is_tensor(max_length) else int(max_length) + 2
        return tf.ensure_shape(cdf, [pmf.shape[0], width])

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

        if tf.is_tensor(training):
            outputs = tf.cond(
                tf.cast(training, tf.bool),
                lambda: self._quantize(inputs, "noise"),
                lambda: self._quantize(inputs, "dequantize"),
            )
        else:
            outputs = self._quantize(inputs, "noise" if training else "dequantize")
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
            symbols = self._quantize(inputs, "symbols")
            shape = tf.shape(symbols)
            rows = tf.broadcast_to(self._prepare_indexes(shape=shape[1:]), shape)
            units = tf.stack([shape[0], tf.reduce_prod(shape[1:])])
            strings = encode_unbounded(
                tf.reshape(symbols, units),
                tf.reshape(rows, units),
                self._checked_tables(),
                _OVERFLOW_WIDTH,
            )
            return tf.ensure_shape(strings, inputs.shape[:1])

    def decompress(self, strings: TensorLike, *args: Any, **options: Any) -> tf.Tensor:
        """Decodes rounded values.

        Args:
          strings: String tensor [batch].
          *args: What the subclass needs to know.
          **options: The same, by name.

        Returns:
          Tensor [batch, ...].

        Raises:
          tf.errors.InvalidArgumentError: if a string is damaged in a way that can be seen.
        """
        strings = tf.ensure_shape(tf.convert_to_tensor(strings, tf.string), [None])
        rows = self._prepare_indexes(*args, **options)
        with tf.name_scope(f"{self.name}_decompress"), tf.device("CPU:0"):
            batch = tf.shape(strings)[:1]
            if rows.shape.rank != self.input_spec.ndim:
                known = strings.shape.concatenate(rows.shape)
                shape = tf.concat([batch, tf.shape(rows)], 0)
                rows = tf.broadcast_to(rows, shape)
            else:
                known = strings.shape.merge_with(rows.shape[:1]).concatenate(rows.shape[1:])
                shape = tf.shape(rows)
                check = require(
                    tf.equal(batch[0], shape[0]),
                    "There must be a string for each element of the batch. Received:",
                    batch[0],
                    shape[0],
                )
                with tf.control_dependencies([] if check is None else [check]):
                    rows = tf.identity(rows)
            units = tf.stack([shape[0], tf.reduce_prod(shape[1:])])
            symbols = decode_unbounded(
                strings, tf.reshape(rows, units), self._checked_tables(), _OVERFLOW_WIDTH
            )
            symbols = tf.ensure_shape(tf.reshape(symbols, shape), known)
            return self._dequantize(symbols, "dequantize")

    def _checked_tables(self) -> tuple[Lookup, tf.Tensor]:
        return unbounded_tables(
            self._quantized_cdf,
            self._cdf_length,
            self._offset,
            self.range_coder_precision,
            _OVERFLOW_WIDTH,
        )

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
