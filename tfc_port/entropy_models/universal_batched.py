"""Entropy model with universal quantisation, under a given prior."""

from __future__ import annotations

import functools
from typing import NoReturn

import tensorflow as tf

from tfc_port._decorators import with_name_scope
from tfc_port._types import Distribution, DTypeLike, ShapeLike, TensorLike
from tfc_port.entropy_models.continuous_base import ContinuousEntropyModelBase
from tfc_port.entropy_models.shared_noise import level_to_offset, noise_levels, table_offsets
from tfc_port.ops.perturb import perturb_and_apply


class UniversalBatchedEntropyModel(ContinuousEntropyModelBase):
    """Entropy model for independent values that get noise in coding as they do in training.

    Values are rounded to the integers plus a noise that sender and receiver share. Otherwise as
    `ContinuousBatchedEntropyModel`. See Agustsson and Theis, "Universally Quantized Neural
    Compression", section 3.2, https://arxiv.org/abs/2006.09952.
    """

    def __init__(
        self,
        prior: Distribution,
        coding_rank: int,
        compression: bool = False,
        laplace_tail_mass: float | tf.Tensor = 0.0,
        expected_grads: bool = False,
        tail_mass: float = 2**-8,
        range_coder_precision: int = 12,
        bottleneck_dtype: DTypeLike | None = None,
        num_noise_levels: int = 15,
        stateless: bool = False,
        decode_sanity_check: bool = True,
        streams: int = 1,
    ) -> None:
        """Makes the model.

        Args:
          prior: A scalar `tfp.distributions.Distribution`, that of the values with uniform noise.
          coding_rank: Number of innermost dimensions in one coding unit; at least the rank of the
            prior's batch shape.
          compression: Whether to make tables.
          laplace_tail_mass: Weight of a Laplace distribution mixed into the prior.
          expected_grads: Whether gradients are expectations over the noise.
          tail_mass: Probability that is left to the overflow code.
          range_coder_precision: Precision of the tables, 1 to 16.
          bottleneck_dtype: Type of the values; Keras's compute type unless given.
          num_noise_levels: Number of values that the shared noise takes.
          stateless: Whether the tables are tensors rather than variables.
          decode_sanity_check: Whether `decompress()` raises an error for damaged strings.
          streams: Into how many streams each string is divided; 1 gives TFC's strings.

        Raises:
          ValueError: if arguments contradict each other or are out of their range.
        """
        if prior.event_shape.rank:
            raise ValueError("`prior` must be a (batch of) scalar distribution(s).")
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
        self._prior = prior
        self._num_noise_levels = num_noise_levels
        if self.coding_rank < self.prior_shape.rank:
            raise ValueError("`coding_rank` can't be smaller than `prior_shape`.")
        self.decode_sanity_check = decode_sanity_check
        with self.name_scope:
            if self.compression:
                offset = table_offsets(
                    self._num_noise_levels, self.prior_shape.rank, self.bottleneck_dtype
                )
                cdf, cdf_offset = self._build_tables(self.prior, range_coder_precision, offset)
                self._init_compression(cdf, cdf_offset, None)

    @property
    def prior_shape(self) -> tf.TensorShape:
        """Batch shape of the prior."""
        return tf.TensorShape(self.prior.batch_shape)

    @property
    def prior_shape_tensor(self) -> tf.Tensor:
        """Batch shape of the prior, int32 vector."""
        return tf.constant(self.prior_shape.as_list(), dtype=tf.int32)

    def _rows_and_offset(self, broadcast_shape: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Table and noise of each value of a coding unit.

        Args:
          broadcast_shape: int32 vector, the unit's dimensions to the left of the prior's.

        Returns:
          int32 and floating-point tensors of shape `broadcast_shape`, then the prior's batch.
        """
        size = int(self.prior_shape.num_elements())
        levels = noise_levels(tf.concat([broadcast_shape, [size]], 0), self._num_noise_levels)
        offset = level_to_offset(levels, self._num_noise_levels, self.bottleneck_dtype)
        # A block of tables per level, in each the prior's batch.
        rows = levels * size + tf.range(size, dtype=tf.int32)
        shape = tf.concat([broadcast_shape, self.prior_shape_tensor], 0)
        return tf.reshape(rows, shape), tf.reshape(offset, shape)

    def _split_shape(self, bottleneck: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The shape of the strings, and a unit's dimensions to the left of the prior's."""
        shape = tf.shape(bottleneck)
        rank = tf.size(shape)
        units = rank - self.coding_rank
        return shape[:units], shape[units : rank - self.prior_shape.rank]

    @with_name_scope
    def __call__(
        self, bottleneck: TensorLike, training: bool = True
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Perturbs or quantises values and estimates their rate.

        Args:
          bottleneck: Tensor [..., coding unit], whose last dimensions are the prior's batch.
          training: Whether to add noise, rather than to quantise.

        Returns:
          The pair of the perturbed values and the bits of each coding unit.
        """
        bottleneck = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype)
        log_prob = functools.partial(self._log_prob, self.prior)
        if training:
            log_probs, perturbed = perturb_and_apply(
                log_prob, bottleneck, expected_grads=self.expected_grads
            )
        else:
            _, offset = self._rows_and_offset(self._split_shape(bottleneck)[1])
            perturbed = tf.round(bottleneck - offset) + offset
            log_probs = log_prob(perturbed)
        return perturbed, self._sum_bits(log_probs)

    @with_name_scope
    def compress(self, bottleneck: TensorLike) -> tf.Tensor:
        """Quantises values and codes them.

        Args:
          bottleneck: Tensor [..., coding unit], whose last dimensions are the prior's batch.

        Returns:
          String tensor, one string per coding unit.
        """
        self._check_compression()
        bottleneck = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype)
        batch_shape, broadcast_shape = self._split_shape(bottleneck)
        rows, offset = self._rows_and_offset(broadcast_shape)
        values = tf.cast(tf.round(bottleneck - offset), tf.int32)
        return self._encode(values, batch_shape, tf.broadcast_to(rows, tf.shape(values)))

    @with_name_scope
    def decompress(self, strings: TensorLike, broadcast_shape: ShapeLike) -> tf.Tensor:
        """Decodes the quantised values.

        Args:
          strings: String tensor, one string per coding unit.
          broadcast_shape: Integers, the dimensions of a coding unit to the left of the prior's.

        Returns:
          Tensor of the shape of `strings`, then `broadcast_shape`, then the prior's batch.

        Raises:
          tf.errors.InvalidArgumentError: if a string is damaged, unless `decode_sanity_check` is
            off.
        """
        self._check_compression()
        strings = tf.convert_to_tensor(strings, dtype=tf.string)
        broadcast_shape = tf.convert_to_tensor(broadcast_shape, dtype=tf.int32)
        rows, offset = self._rows_and_offset(broadcast_shape)
        shape = tf.shape(rows)
        rows = tf.broadcast_to(rows, tf.concat([tf.shape(strings), shape], 0))
        values = self._decode(strings, shape, self.decode_sanity_check, rows)
        return tf.cast(values, self.bottleneck_dtype) + offset

    def get_config(self) -> NoReturn:
        """Not implemented, as in TFC."""
        raise NotImplementedError("Serializing universal entropy models is not implemented.")
