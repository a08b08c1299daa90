"""What all entropy models share: options, tables, coding of integers, rates."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfc_port._keras import load_keras
from tfc_port._keras_files import KeptByKeras
from tfc_port._types import Distribution, DTypeLike, TensorLike
from tfc_port.coding.graph_tables import MAX_CODED_ROWS
from tfc_port.distributions.uniform_noise import NoisyLaplace
from tfc_port.entropy_models import stream_coding
from tfc_port.entropy_models.table_building import build_tables
from tfc_port.ops import decoder, encoder

# Below this, the mixture with a Laplace distribution is computed as the Laplace's part alone.
_SMALLEST_PROBABILITY = 1e-10


class ContinuousEntropyModelBase(tf.Module, KeptByKeras, metaclass=abc.ABCMeta):
    """Base class of entropy models for continuous values.

    An entropy model estimates the rate of its values under a prior while the prior is trained.
    With `compression=True` it also holds integer tables, made once from the prior, by which it
    codes values to strings and back, the same way everywhere.

    The names of the attributes that hold variables are part of the checkpoint format.
    """

    @abc.abstractmethod
    def __init__(
        self,
        coding_rank: int | None = None,
        compression: bool = False,
        stateless: bool = False,
        expected_grads: bool = False,
        tail_mass: float = 2**-8,
        bottleneck_dtype: DTypeLike | None = None,
        laplace_tail_mass: float | tf.Tensor = 0,
        streams: int = 1,
    ) -> None:
        """Sets what subclasses have in common.

        Args:
          coding_rank: Number of innermost dimensions that make up one coding unit: one string,
            one number of bits.
          compression: Whether to make tables, for `compress()` and `decompress()`.
          stateless: Whether the tables are tensors rather than variables; then the model can be
            made within a `tf.function`, and cannot be serialised. Always so without `compression`.
          expected_grads: Whether gradients with respect to values are expectations over the noise.
          tail_mass: Probability that is left to the overflow code, in (0, 1).
          bottleneck_dtype: Type of the values; Keras's compute type unless given.
          laplace_tail_mass: Number or scalar tensor below 1: the weight of a standard Laplace
            distribution mixed into the prior, against vanishing probabilities in training.
          streams: Into how many streams each string is divided. One string of 1 stream is TFC's
            string. With more, `compress()` and `decompress()` work on the streams in parallel, and
            inside a `tf.function` are many times faster; see docs/tfc_port.md.

        Raises:
          ValueError: if an argument is out of its range.
        """
        super().__init__()
        if coding_rank is None:
            raise TypeError("`coding_rank` must be an integer, at least 0. Received: None.")
        self._prior: Distribution | None = None
        self._coding_rank = int(coding_rank)
        self._compression = bool(compression)
        self._stateless = bool(stateless)
        self._expected_grads = bool(expected_grads)
        self._tail_mass = float(tail_mass)
        keras = load_keras()
        if bottleneck_dtype is None:
            bottleneck_dtype = keras.mixed_precision.global_policy().compute_dtype
        self._bottleneck_dtype = tf.as_dtype(bottleneck_dtype or keras.backend.floatx())
        self._laplace_tail_mass = laplace_tail_mass
        self._streams = stream_coding.check_streams(streams)
        # Only where needed, so that models of one stream have TFC's object graph.
        self._stream_tables = stream_coding.StreamTables() if self.streams > 1 else None
        if self.coding_rank < 0:
            raise ValueError(f"`coding_rank` must be at least 0. Received: {coding_rank}.")
        if not 0 < self.tail_mass < 1:
            raise ValueError(f"`tail_mass` must be between 0 and 1. Received: {tail_mass}.")

    def _check_compression(self) -> None:
        if not self.compression:
            raise RuntimeError(
                "For range coding, the entropy model must be instantiated with `compression=True`."
            )

    @property
    def prior(self) -> Distribution:
        """The prior distribution.

        Raises:
          RuntimeError: if the model was made from tables alone.
        """
        if self._prior is None:
            raise RuntimeError(
                "This entropy model doesn't hold a reference to its prior distribution. This can "
                "happen depending on how it is instantiated, e.g. from a configuration."
            )
        return self._prior

    @prior.deleter
    def prior(self) -> Distribution:
        self._prior = None

    @property
    def cdf(self) -> tf.Tensor:
        """The tables: int32 lookup tensor of rank 1."""
        self._check_compression()
        return tf.convert_to_tensor(self._cdf)

    @property
    def cdf_offset(self) -> tf.Tensor:
        """int32 vector, the integer that each table begins with."""
        self._check_compression()
        return tf.convert_to_tensor(self._cdf_offset)

    @property
    def bottleneck_dtype(self) -> tf.DType:
        """Type of the values."""
        return self._bottleneck_dtype

    @property
    def expected_grads(self) -> bool:
        """Whether gradients are expectations over the noise."""
        return self._expected_grads

    @property
    def laplace_tail_mass(self) -> float | tf.Tensor:
        """Weight of the Laplace distribution mixed into the prior."""
        return self._laplace_tail_mass

    @property
    def coding_rank(self) -> int:
        """Number of innermost dimensions in a coding unit."""
        return self._coding_rank

    @property
    def compression(self) -> bool:
        """Whether the model has tables."""
        return self._compression

    @property
    def stateless(self) -> bool:
        """Whether the tables are tensors rather than variables."""
        return self._stateless

    @property
    def tail_mass(self) -> float:
        """Probability that is left to the overflow code."""
        return self._tail_mass

    @property
    def streams(self) -> int:
        """Into how many streams each string is divided."""
        return self._streams

    @property
    def range_coder_precision(self) -> tf.Tensor:
        """Precision of the tables."""
        return -self.cdf[0]

    def _build_tables(
        self, prior: Distribution, precision: int, offset: tf.Tensor | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        return build_tables(prior, precision, self.tail_mass, offset)

    def _init_compression(
        self,
        cdf: TensorLike | None,
        cdf_offset: TensorLike | None,
        cdf_shapes: Sequence[int] | None,
    ) -> None:
        """Sets the tables, or variables of `cdf_shapes` to restore them to."""
        if (cdf is None) != (cdf_offset is None) or (cdf is None) == (cdf_shapes is None):
            raise ValueError(
                "Either both `cdf` and `cdf_offset`, or `cdf_shapes` must be provided."
            )
        self._check_rows(cdf_offset, cdf_shapes)
        if cdf_shapes is not None:
            if self.stateless:
                raise ValueError("With `stateless=True`, can't provide `cdf_shapes`.")
            sizes = tuple(int(size) for size in cdf_shapes)
            if len(sizes) != 2:
                raise ValueError(f"`cdf_shapes` must have two elements. Received: {cdf_shapes}.")
            cdf, cdf_offset = (tf.zeros([size], tf.int32) for size in sizes)
        if self.stateless:
            self._cdf = tf.convert_to_tensor(cdf, dtype=tf.int32, name="cdf")
            self._cdf_offset = tf.convert_to_tensor(cdf_offset, dtype=tf.int32, name="cdf_offset")
            return

        def variable(value: TensorLike, name: str) -> tf.Variable:
            # Of unknown size, so that tables of another size can be restored.
            return tf.Variable(
                value,
                dtype=tf.int32,
                trainable=False,
                name=name,
                validate_shape=False,
                shape=[None],
            )

        self._cdf = variable(cdf, "cdf")
        self._cdf_offset = variable(cdf_offset, "cdf_offset")

    def _check_rows(self, cdf_offset: TensorLike | None, cdf_shapes: Sequence[int] | None) -> None:
        """Checks that strings of these tables can be decoded wherever they are brought."""
        if self.streams == 1:
            return
        if cdf_shapes is not None:
            count = tuple(cdf_shapes)[-1]
        else:
            count = tf.convert_to_tensor(cdf_offset).shape[0]
        if count is not None and int(count) > MAX_CODED_ROWS:
            raise ValueError(
                f"With `streams > 1`, an entropy model can have at most {MAX_CODED_ROWS} tables. "
                f"Received: {int(count)}. Reduce the index ranges (or noise levels), or use "
                f"`streams=1`."
            )

    def _encode(
        self, values: tf.Tensor, batch_shape: tf.Tensor, rows: tf.Tensor | None = None
    ) -> tf.Tensor:
        """Codes integers.

        Args:
          values: int32 tensor that begins with `batch_shape`. Without `rows`, its last dimension
            runs over the tables.
          batch_shape: int32 vector, the shape of the strings.
          rows: None, or int32 tensor of the shape of `values`, the table of each.

        Returns:
          String tensor of shape `batch_shape`.
        """
        self._check_compression()
        if self._stream_tables is not None:
            tables = self._stream_tables.read(self._cdf, self._cdf_offset)
            return stream_coding.encode(values, rows, batch_shape, tables, self.streams)
        handle = encoder.create_range_encoder(batch_shape, self.cdf)
        if rows is None:
            handle = encoder.entropy_encode_channel(handle, values - self.cdf_offset)
        else:
            symbols = values - tf.gather(self.cdf_offset, rows)
            handle = encoder.entropy_encode_index(handle, rows, symbols)
        return encoder.entropy_encode_finalize(handle)

    def _decode(
        self,
        strings: tf.Tensor,
        shape: tf.Tensor,
        sanity_check: bool,
        rows: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Decodes integers.

        Args:
          strings: String tensor.
          shape: int32 vector, the shape that each string decodes to.
          sanity_check: Whether to raise an error for strings that are not read to their end.
          rows: None, or int32 tensor of the shape of the result, the table of each.

        Returns:
          int32 tensor of the shape of `strings` followed by `shape`.
        """
        self._check_compression()
        if self._stream_tables is not None:
            tables = self._stream_tables.read(self._cdf, self._cdf_offset)
            values, sane = stream_coding.decode(strings, rows, shape, tables, self.streams)
        else:
            handle = decoder.decoder_of(strings, self.cdf)
            if rows is None:
                handle, symbols = decoder.entropy_decode_channel(handle, shape, tf.int32)
                values = symbols + self.cdf_offset
            else:
                handle, symbols = decoder.entropy_decode_index(handle, rows, shape, tf.int32)
                values = symbols + tf.gather(self.cdf_offset, rows)
            sane = decoder.entropy_decode_finalize(handle)
        if sanity_check:
            check = tf.debugging.assert_equal(
                sane, True, message="Sanity check failed: a string is damaged, or of another model."
            )
            with tf.control_dependencies([] if check is None else [check]):
                values = tf.identity(values)
        return values

    def _log_prob(self, prior: Distribution, values: tf.Tensor) -> tf.Tensor:
        """log p(values), with the Laplace distribution mixed in where asked for."""
        values = tf.cast(values, prior.dtype)
        weight = self.laplace_tail_mass
        if not isinstance(weight, tf.Tensor):
            if weight > 0:
                return self._mixed_log_prob(prior, values, tf.constant(weight, prior.dtype))
            return prior.log_prob(values)
        weight = tf.cast(weight, prior.dtype)
        return tf.cond(
            weight > 0,
            lambda: self._mixed_log_prob(prior, values, weight),
            lambda: prior.log_prob(values),
        )

    def _mixed_log_prob(
        self, prior: Distribution, values: tf.Tensor, weight: tf.Tensor
    ) -> tf.Tensor:
        laplace = NoisyLaplace(loc=tf.zeros([], prior.dtype), scale=tf.ones([], prior.dtype))
        check = tf.debugging.assert_less(
            weight, tf.ones([], prior.dtype), message="`laplace_tail_mass` must be less than 1."
        )
        with tf.control_dependencies([] if check is None else [check]):
            mixed = (1 - weight) * prior.prob(values) + weight * laplace.prob(values)
        # Where the mixture vanishes, only its Laplace part has a usable logarithm.
        return tf.where(
            mixed < _SMALLEST_PROBABILITY,
            tf.math.log(weight) + laplace.log_prob(values),
            tf.math.log(tf.maximum(mixed, _SMALLEST_PROBABILITY)),
        )

    def _sum_bits(self, log_probs: tf.Tensor) -> tf.Tensor:
        """Bits per coding unit."""
        axes = tuple(range(-self.coding_rank, 0))
        nats = tf.reduce_sum(log_probs, axis=axes)
        return nats / -tf.math.log(tf.constant(2, dtype=log_probs.dtype))

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Returns the configuration, which JSON can hold.

        Raises:
          RuntimeError: if the model has no tables, or they are no variables.
        """
        if self.stateless or not self.compression:
            raise RuntimeError(
                "Serializing entropy models with `compression=False` or `stateless=True` is not "
                "supported."
            )
        config = {
            "coding_rank": self.coding_rank,
            "compression": True,
            "stateless": False,
            "expected_grads": self.expected_grads,
            "tail_mass": self.tail_mass,
            "cdf_shapes": (int(tf.size(self.cdf)), int(tf.size(self.cdf_offset))),
            "bottleneck_dtype": self.bottleneck_dtype.name,
            "laplace_tail_mass": float(self.laplace_tail_mass),
        }
        if self.streams > 1:
            config["streams"] = self.streams
        return config

    def get_weights(self) -> list[np.ndarray]:
        """Returns the values of the variables."""
        return load_keras().backend.batch_get_value(self.variables)

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets the variables.

        Args:
          weights: One array per variable, in the order of `get_weights`.

        Raises:
          ValueError: if there are not as many arrays as variables.
        """
        if len(weights) != len(self.variables):
            raise ValueError(
                f"`set_weights` expects a list of {len(self.variables)} arrays. "
                f"Received: {len(weights)}."
            )
        load_keras().backend.batch_set_value(list(zip(self.variables, weights)))
