"""Entropy model with universal quantisation, under priors that integers select."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import tensorflow as tf

from tfc_port._decorators import with_name_scope
from tfc_port._types import DTypeLike, ParameterFns, PriorFn, TensorLike
from tfc_port.entropy_models.continuous_base import ContinuousEntropyModelBase
from tfc_port.entropy_models.indexed_prior import (
    PriorFamily,
    all_indexes,
    clamp_indexes,
    flatten_indexes,
)
from tfc_port.entropy_models.shared_noise import level_to_offset, noise_levels, table_offsets
from tfc_port.ops.perturb import perturb_and_apply


class UniversalIndexedEntropyModel(PriorFamily, ContinuousEntropyModelBase):
    """Entropy model for values, independent given indexes, that get noise in coding too.

    Values are rounded to the integers plus a noise that sender and receiver share. The last
    dimension of `indexes` runs over the index ranges. Otherwise as
    `ContinuousIndexedEntropyModel`. See Agustsson and Theis, "Universally Quantized Neural
    Compression", section 3.2, https://arxiv.org/abs/2006.09952.
    """

    def __init__(
        self,
        prior_fn: PriorFn,
        index_ranges: Iterable[int],
        parameter_fns: ParameterFns,
        coding_rank: int,
        compression: bool = False,
        laplace_tail_mass: float | tf.Tensor = 0.0,
        expected_grads: bool = False,
        tail_mass: float = 2**-8,
        range_coder_precision: int = 12,
        bottleneck_dtype: DTypeLike | None = None,
        prior_dtype: DTypeLike = tf.float32,
        stateless: bool = False,
        num_noise_levels: int = 15,
        decode_sanity_check: bool = True,
        streams: int = 1,
    ) -> None:
        """Makes the model.

        Args:
          prior_fn: Callable that returns a scalar `tfp.distributions.Distribution`, that of the
            values with uniform noise.
          index_ranges: Integers; the k-th index is in [0, index_ranges[k]).
          parameter_fns: Dictionary from argument names of `prior_fn` to functions of the indexes.
          coding_rank: Number of innermost dimensions of the values in one coding unit, positive.
          compression: Whether to make tables.
          laplace_tail_mass: Weight of a Laplace distribution mixed into the prior.
          expected_grads: Whether gradients are expectations over the noise.
          tail_mass: Probability that is left to the overflow code.
          range_coder_precision: Precision of the tables, 1 to 16.
          bottleneck_dtype: Type of the values; Keras's compute type unless given.
          prior_dtype: Type of the prior.
          stateless: Whether the tables are tensors rather than variables.
          num_noise_levels: Number of values that the shared noise takes.
          decode_sanity_check: Whether `decompress()` raises an error for damaged strings.
          streams: Into how many streams each string is divided; 1 gives TFC's strings.

        Raises:
          TypeError: if functions are not callable, or names no strings.
          ValueError: if arguments contradict each other or are out of their range.
        """
        if coding_rank <= 0:
            raise ValueError(f"`coding_rank` must be larger than 0. Received: {coding_rank}.")
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
        # The noise level is one more index, before the others.
        self._set_family(prior_fn, parameter_fns, prior_dtype, (num_noise_levels, *index_ranges))
        self._num_noise_levels = num_noise_levels
        self.decode_sanity_check = decode_sanity_check
        with self.name_scope:
            if self.compression:
                self._prior = self._make_prior(all_indexes(self.index_ranges_without_offsets, -1))
                offset = table_offsets(
                    self._num_noise_levels, self.prior.batch_shape.rank, self.bottleneck_dtype
                )
                cdf, cdf_offset = self._build_tables(self.prior, range_coder_precision, offset)
                self._init_compression(cdf, cdf_offset, None)

    @property
    def index_ranges_without_offsets(self) -> tuple[int, ...]:
        """Number of values of each index, without the noise level."""
        return self._index_ranges[1:]

    def _normalize_indexes(self, indexes: TensorLike) -> tf.Tensor:
        indexes = tf.convert_to_tensor(indexes)
        expected = len(self.index_ranges_without_offsets)
        if indexes.shape[-1] != expected:
            raise ValueError(
                f"The last dimension of `indexes` must run over the {expected} index ranges. "
                f"Received shape: {indexes.shape}."
            )
        return clamp_indexes(indexes, self.index_ranges_without_offsets, -1)

    def _rows_and_offset(self, indexes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Table and noise of each value, for indexes in their ranges."""
        levels = noise_levels(tf.shape(indexes)[:-1], self._num_noise_levels)
        offset = level_to_offset(levels, self._num_noise_levels, self.bottleneck_dtype)
        size = 1
        for index_range in self.index_ranges_without_offsets:
            size *= index_range
        rows = levels * size + flatten_indexes(indexes, self.index_ranges_without_offsets, -1)
        return rows, offset

    @with_name_scope
    def __call__(
        self, bottleneck: TensorLike, indexes: TensorLike, training: bool = True
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Perturbs or quantises values and estimates their rate.

        Args:
          bottleneck: Tensor [..., coding unit].
          indexes: Tensor of its shape and a last dimension over the index ranges.
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
            _, offset = self._rows_and_offset(indexes)
            perturbed = tf.round(bottleneck - offset) + offset
            log_probs = log_prob(perturbed, indexes)
        return perturbed, self._sum_bits(log_probs)

    @with_name_scope
    def compress(self, bottleneck: TensorLike, indexes: TensorLike) -> tf.Tensor:
        """Quantises values and codes them.

        Args:
          bottleneck: Tensor [..., coding unit].
          indexes: Tensor of its shape and a last dimension over the index ranges.

        Returns:
          String tensor, one string per coding unit.
        """
        self._check_compression()
        bottleneck = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype)
        rows, offset = self._rows_and_offset(self._normalize_indexes(indexes))
        values = tf.cast(tf.round(bottleneck - offset), tf.int32)
        return self._encode(values, tf.shape(rows)[: -self.coding_rank], rows)

    @with_name_scope
    def decompress(self, strings: TensorLike, indexes: TensorLike) -> tf.Tensor:
        """Decodes the quantised values.

        Args:
          strings: String tensor, one string per coding unit.
          indexes: Tensor of the shape of the values and a last dimension over the index ranges.

        Returns:
          Tensor of one value for each combination of indexes.

        Raises:
          tf.errors.InvalidArgumentError: if a string is damaged, unless `decode_sanity_check` is
            off.
        """
        self._check_compression()
        strings = tf.convert_to_tensor(strings, dtype=tf.string)
        rows, offset = self._rows_and_offset(self._normalize_indexes(indexes))
        shape = tf.shape(rows)[-self.coding_rank :]
        values = self._decode(strings, shape, self.decode_sanity_check, rows)
        return tf.cast(values, self.bottleneck_dtype) + offset

    def get_config(self) -> NoReturn:
        """Not implemented, as in TFC."""
        raise NotImplementedError("Serializing universal entropy models is not implemented.")
