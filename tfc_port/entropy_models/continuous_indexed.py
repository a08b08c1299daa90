"""Entropy model for values whose distributions are selected by integers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NoReturn

import tensorflow as tf

from tfc_port._decorators import with_name_scope
from tfc_port._types import Distribution, DTypeLike, ParameterFns, PriorFn, TensorLike
from tfc_port.entropy_models.continuous_base import ContinuousEntropyModelBase
from tfc_port.entropy_models.indexed_prior import (
    PriorFamily,
    all_indexes,
    clamp_indexes,
    flatten_indexes,
)
from tfc_port.ops.perturb import perturb_and_apply
from tfc_port.ops.rounding import round_st


class ContinuousIndexedEntropyModel(PriorFamily, ContinuousEntropyModelBase):
    """Entropy model for values that are independent given integer indexes.

    For each value, one or more indexes select its distribution, `prior_fn(**parameters)`, where
    `parameters` holds `parameter_fns[name](indexes)` for each name. Indexes come as a tensor of the
    shape of the values with one more dimension, at `channel_axis`, over the `index_ranges`; or, for
    a single index and `channel_axis=None`, of the shape of the values. They may have a
    floating-point type, for gradients; the coder takes their integer part. See Balle, Johnston and
    Minnen, "Integer Networks for Data Compression with Latent-Variable Models",
    https://openreview.net/forum?id=S1zz2i0cY7.

    Example, normal distributions of 64 scales:

        tfc_port.ContinuousIndexedEntropyModel(
            prior_fn=tfc_port.NoisyNormal,
            index_ranges=(64,),
            parameter_fns={"loc": lambda _: 0.0, "scale": lambda i: tf.exp(i / 8 - 5)},
            coding_rank=1,
            channel_axis=None,
        )
    """

    def __init__(
        self,
        prior_fn: PriorFn,
        index_ranges: Iterable[int],
        parameter_fns: ParameterFns,
        coding_rank: int,
        channel_axis: int | None = -1,
        compression: bool = False,
        stateless: bool = False,
        expected_grads: bool = False,
        tail_mass: float = 2**-8,
        range_coder_precision: int = 12,
        bottleneck_dtype: DTypeLike | None = None,
        prior_dtype: DTypeLike = tf.float32,
        decode_sanity_check: bool = True,
        laplace_tail_mass: float | tf.Tensor = 0,
        streams: int = 1,
    ) -> None:
        """Makes the model.

        Args:
          prior_fn: Callable that returns a scalar `tfp.distributions.Distribution`, that of the
            values with uniform noise.
          index_ranges: Integers; the k-th index is in [0, index_ranges[k]).
          parameter_fns: Dictionary from argument names of `prior_fn` to functions of the indexes.
          coding_rank: Number of innermost dimensions of the values in one coding unit.
          channel_axis: Where indexes have their own dimension; None for a single index.
          compression: Whether to make tables.
          stateless: Whether the tables are tensors rather than variables.
          expected_grads: Whether gradients are expectations over the noise.
          tail_mass: Probability that is left to the overflow code.
          range_coder_precision: Precision of the tables, 1 to 16.
          bottleneck_dtype: Type of the values; Keras's compute type unless given.
          prior_dtype: Type of the prior.
          decode_sanity_check: Whether `decompress()` raises an error for damaged strings.
          laplace_tail_mass: Weight of a Laplace distribution mixed into the prior.
          streams: Into how many streams each string is divided; 1 gives TFC's strings.

        Raises:
          TypeError: if functions are not callable, or names no strings.
          ValueError: if arguments contradict each other or are out of their range.
        """
        self._check_family(prior_fn, parameter_fns)
        super().__init__(
            coding_rank=coding_rank,
            compression=compression,
            stateless=stateless,
            expected_grads=expected_grads,
            tail_mass=tail_mass,
            bottleneck_dtype=bottleneck_dtype,
            laplace_tail_mass=laplace_tail_mass,
            streams=streams,
        )
        self._set_family(prior_fn, parameter_fns, prior_dtype, index_ranges)
        if not self.index_ranges:
            raise ValueError("`index_ranges` must have at least one element.")
        self._channel_axis = None if channel_axis is None else int(channel_axis)
        if self.channel_axis is None and len(self.index_ranges) > 1:
            raise ValueError("`channel_axis` can't be `None` for `len(index_ranges) > 1`.")
        self.decode_sanity_check = decode_sanity_check
        with self.name_scope:
            if self.compression:
                self._prior = self._make_prior(all_indexes(self.index_ranges, self.channel_axis))
                cdf, cdf_offset = self._build_tables(self.prior, range_coder_precision)
                self._init_compression(cdf, cdf_offset, None)

    @property
    def channel_axis(self) -> int | None:
        """Dimension of the index tensor that runs over indexes."""
        return self._channel_axis

    def _make_prior(self, indexes: tf.Tensor) -> Distribution:
        prior = super()._make_prior(indexes)
        if prior.dtype != self.prior_dtype:
            raise ValueError(
                f"`prior_fn` must return a distribution of type {self.prior_dtype.name}. "
                f"Received: {prior.dtype.name}. Set `prior_dtype`."
            )
        if prior.event_shape.rank:
            raise ValueError("`prior` must be a (batch of) scalar distribution(s).")
        return prior

    def _normalize_indexes(self, indexes: TensorLike) -> tf.Tensor:
        return clamp_indexes(indexes, self.index_ranges, self.channel_axis)

    def _flatten_indexes(self, indexes: tf.Tensor) -> tf.Tensor:
        return flatten_indexes(indexes, self.index_ranges, self.channel_axis)

    @with_name_scope
    def __call__(
        self, bottleneck: TensorLike, indexes: TensorLike, training: bool = True
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Perturbs or quantises values and estimates their rate.

        Args:
          bottleneck: Tensor [..., coding unit].
          indexes: Tensor that selects the distributions.
          training: Whether to add noise, rather than to quantise.

        Returns:
          The pair of the perturbed values and the bits of each coding unit.
        """
        bottleneck = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype)
        indexes = self._normalize_indexes(indexes)

        def log_prob(values: tf.Tensor, indexes: tf.Tensor) -> tf.Tensor:
            # The prior is made here, so that expected gradients reach the indexes too.
            return self._log_prob(self._make_prior(indexes), values)

        if training:
            log_probs, perturbed = perturb_and_apply(
                log_prob, bottleneck, indexes, expected_grads=self.expected_grads
            )
        else:
            perturbed = self.quantize(bottleneck)
            log_probs = log_prob(perturbed, indexes)
        return perturbed, self._sum_bits(log_probs)

    @with_name_scope
    def quantize(self, bottleneck: TensorLike) -> tf.Tensor:
        """Rounds values to integers; gradients pass unchanged."""
        return round_st(tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype))

    @with_name_scope
    def compress(self, bottleneck: TensorLike, indexes: TensorLike) -> tf.Tensor:
        """Quantises values and codes them.

        Args:
          bottleneck: Tensor [..., coding unit].
          indexes: Tensor that selects the distributions.

        Returns:
          String tensor, one string per coding unit.
        """
        self._check_compression()
        bottleneck = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype)
        rows = self._flatten_indexes(self._normalize_indexes(indexes))
        shape = tf.shape(rows)
        values = tf.cast(tf.round(bottleneck), tf.int32)
        return self._encode(values, shape[: tf.size(shape) - self.coding_rank], rows)

    @with_name_scope
    def decompress(self, strings: TensorLike, indexes: TensorLike) -> tf.Tensor:
        """Decodes the quantised values.

        Args:
          strings: String tensor, one string per coding unit.
          indexes: Tensor that selects the distributions.

        Returns:
          Tensor of one value for each (combination of) index.

        Raises:
          tf.errors.InvalidArgumentError: if a string is damaged, unless `decode_sanity_check` is
            off.
        """
        self._check_compression()
        strings = tf.convert_to_tensor(strings, dtype=tf.string)
        rows = self._flatten_indexes(self._normalize_indexes(indexes))
        shape = tf.shape(rows)
        decode_shape = shape[tf.size(shape) - self.coding_rank :]
        values = self._decode(strings, decode_shape, self.decode_sanity_check, rows)
        return tf.cast(values, self.bottleneck_dtype)

    def get_config(self) -> dict[str, Any]:
        """Not implemented: functions can't be serialised."""
        raise NotImplementedError("Serializing indexed entropy models is not yet implemented.")

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> NoReturn:
        """Not implemented: functions can't be serialised."""
        raise NotImplementedError("Serializing indexed entropy models is not yet implemented.")
