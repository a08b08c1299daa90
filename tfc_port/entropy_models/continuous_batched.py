"""Entropy model for values that are independent and whose distributions are given."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from absl import logging

from tfc_port._decorators import with_name_scope
from tfc_port._keras import PACKAGE, load_keras
from tfc_port._types import Distribution, DTypeLike, ShapeLike, TensorLike
from tfc_port.distributions.tails import quantization_offset as offset_of
from tfc_port.entropy_models.continuous_base import ContinuousEntropyModelBase
from tfc_port.ops.perturb import perturb_and_apply
from tfc_port.ops.rounding import round_st


@load_keras().utils.register_keras_serializable(package=PACKAGE)
class ContinuousBatchedEntropyModel(ContinuousEntropyModelBase):
    """Entropy model for independent values under a prior that does not depend on data.

    The innermost dimensions of the values are those of the prior's batch; over the dimensions to
    their left values are identically distributed. In training, values get uniform noise, and the
    bits are those of the noisy values, a differentiable bound; otherwise values are rounded, and
    the bits are the information content that `compress()` comes close to. See Balle, Laparra and
    Simoncelli, "End-to-end optimized image compression",
    https://openreview.net/forum?id=rJxdQ3jeg.

    A model with tables is made from a prior; or from a configuration, followed by `set_weights`;
    or from the tables themselves.

    Values are rounded to the integers plus `quantization_offset`: the given one; else, with
    `offset_heuristic`, one derived from the prior, computed once if the model has tables and at
    every call otherwise; else 0.
    """

    def __init__(
        self,
        prior: Distribution | None = None,
        coding_rank: int | None = None,
        compression: bool = False,
        stateless: bool = False,
        expected_grads: bool = False,
        tail_mass: float = 2**-8,
        range_coder_precision: int = 12,
        bottleneck_dtype: DTypeLike | None = None,
        prior_shape: ShapeLike | None = None,
        cdf: TensorLike | None = None,
        cdf_offset: TensorLike | None = None,
        cdf_shapes: Sequence[int] | None = None,
        offset_heuristic: bool = True,
        quantization_offset: TensorLike | None = None,
        decode_sanity_check: bool = True,
        laplace_tail_mass: float | tf.Tensor = 0,
        streams: int = 1,
    ) -> None:
        """Makes the model.

        Args:
          prior: A scalar `tfp.distributions.Distribution`, that of the values with uniform noise;
            its parameters are variables or constants.
          coding_rank: Number of innermost dimensions that make up one coding unit; at least the
            rank of the prior's batch shape.
          compression: Whether to make tables.
          stateless: Whether the tables are tensors rather than variables.
          expected_grads: Whether gradients are expectations over the noise.
          tail_mass: Probability that is left to the overflow code.
          range_coder_precision: Precision of the tables, 1 to 16.
          bottleneck_dtype: Type of the values; Keras's compute type unless given.
          prior_shape: The prior's batch shape, where there is no prior.
          cdf: Tables to use instead of making them, an int32 lookup tensor.
          cdf_offset: The integers that these tables begin with.
          cdf_shapes: Sizes of `cdf` and `cdf_offset`, to make variables for `set_weights`. Then
            `quantization_offset` is a boolean, whether there is one.
          offset_heuristic: Whether to derive the offset from the prior. Turn it off when training
            with soft rounding.
          quantization_offset: Tensor of the prior's batch shape, or None.
          decode_sanity_check: Whether `decompress()` raises an error for damaged strings.
          laplace_tail_mass: Weight of a Laplace distribution mixed into the prior.
          streams: Into how many streams each string is divided; 1 gives TFC's strings.

        Raises:
          ValueError: if arguments contradict each other or are out of their range.
        """
        if (prior is None) == (prior_shape is None):
            raise ValueError("Either `prior` or `prior_shape` must be provided.")
        if sum(source is not None for source in (prior, cdf_shapes, cdf)) != 1:
            raise ValueError("Must provide exactly one of `prior`, `cdf`, or `cdf_shapes`.")
        if not compression and (cdf, cdf_offset, cdf_shapes) != (None, None, None):
            raise ValueError("CDFs can't be provided with `compression=False`")
        if prior is not None and prior.event_shape.rank:
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
        self._offset_heuristic = bool(offset_heuristic)
        self._prior_shape = tf.TensorShape(prior_shape if prior is None else prior.batch_shape)
        if self.coding_rank < self.prior_shape.rank:
            raise ValueError("`coding_rank` can't be smaller than `prior_shape`.")
        self.decode_sanity_check = decode_sanity_check
        with self.name_scope:
            offset = self._initial_offset(quantization_offset, restored=cdf_shapes is not None)
            self._quantization_offset = self._store_offset(offset)
            if self.compression:
                if cdf is None and cdf_shapes is None:
                    cdf, cdf_offset = self._build_tables(
                        self.prior, range_coder_precision, offset=offset
                    )
                self._init_compression(cdf, cdf_offset, cdf_shapes)

    def _initial_offset(self, given: TensorLike | None, restored: bool) -> TensorLike | None:
        """The offset to keep, None for none."""
        if restored:
            if not isinstance(given, bool):
                raise ValueError(
                    f"With `cdf_shapes`, `quantization_offset` must be a boolean. "
                    f"Received: {given!r}."
                )
            return tf.zeros(self.prior_shape_tensor) if given else None
        if given is not None:
            return given
        if not (self.offset_heuristic and self.compression):
            return None
        if self._prior is None:
            raise ValueError("To use the offset heuristic, a `prior` needs to be provided.")
        offset = offset_of(self.prior)
        # Without an offset there is nothing to add or to store; only known eagerly.
        if tf.executing_eagerly() and tf.reduce_all(tf.equal(offset, 0.0)):
            return None
        return tf.broadcast_to(offset, self.prior_shape_tensor)

    def _store_offset(self, offset: TensorLike | None) -> tf.Variable | tf.Tensor | None:
        if offset is None:
            return None
        offset = tf.cast(offset, self.bottleneck_dtype)
        if self.compression and not self.stateless:
            return tf.Variable(offset, trainable=False, name="quantization_offset")
        return tf.convert_to_tensor(offset, name="quantization_offset")

    @property
    def prior_shape(self) -> tf.TensorShape:
        """Batch shape of the prior."""
        return self._prior_shape

    @property
    def prior_shape_tensor(self) -> tf.Tensor:
        """Batch shape of the prior, int32 vector."""
        return tf.constant(self.prior_shape.as_list(), dtype=tf.int32)

    @property
    def offset_heuristic(self) -> bool:
        """Whether the quantisation offset is derived from the prior."""
        return self._offset_heuristic

    @property
    def quantization_offset(self) -> tf.Tensor | None:
        """What is added to the integers that values are rounded to; None for nothing."""
        if self._quantization_offset is not None:
            return tf.convert_to_tensor(self._quantization_offset)
        if self.compression or not self.offset_heuristic:
            return None
        if self._prior is None:
            raise RuntimeError("To use the offset heuristic, a `prior` needs to be provided.")
        if not tf.executing_eagerly():
            logging.warning(
                "Computing quantization offsets by the offset heuristic within a tf.function, at "
                "every call. This can be expensive; after training, make a model with "
                "`compression=True`, which computes them once."
            )
        return tf.cast(offset_of(self.prior), self.bottleneck_dtype)

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
            perturbed = self.quantize(bottleneck)
            log_probs = log_prob(perturbed)
        return perturbed, self._sum_bits(log_probs)

    @with_name_scope
    def quantize(self, bottleneck: TensorLike) -> tf.Tensor:
        """Rounds values to the integers plus `quantization_offset`; gradients pass unchanged."""
        bottleneck = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype)
        return round_st(bottleneck, self.quantization_offset)

    @with_name_scope
    def compress(self, bottleneck: TensorLike) -> tf.Tensor:
        """Quantises values and codes them.

        Args:
          bottleneck: Tensor [..., coding unit], whose last dimensions are the prior's batch.

        Returns:
          String tensor, one string per coding unit.
        """
        bottleneck = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype)
        shape = tf.shape(bottleneck)
        rank = tf.size(shape)
        iid_shape = shape[: rank - self.prior_shape.rank]
        offset = self.quantization_offset
        if offset is not None:
            bottleneck -= offset
        values = tf.cast(tf.round(bottleneck), tf.int32)
        values = tf.reshape(values, tf.concat([iid_shape, [-1]], 0))
        return self._encode(values, shape[: rank - self.coding_rank])

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
        strings = tf.convert_to_tensor(strings, dtype=tf.string)
        broadcast_shape = tf.convert_to_tensor(broadcast_shape, dtype=tf.int32)
        prior_shape = self.prior_shape_tensor
        decode_shape = tf.concat([broadcast_shape, [tf.reduce_prod(prior_shape)]], 0)
        values = self._decode(strings, decode_shape, self.decode_sanity_check)
        values = tf.reshape(values, tf.concat([tf.shape(strings), broadcast_shape, prior_shape], 0))
        outputs = tf.cast(values, self.bottleneck_dtype)
        offset = self.quantization_offset
        return outputs if offset is None else outputs + offset

    def get_config(self) -> dict[str, Any]:
        """Returns the configuration, which JSON can hold; the tables are among `get_weights`.

        Raises:
          RuntimeError: if the model has no tables, or they are no variables.
        """
        config = super().get_config()
        config.update(
            prior_shape=tuple(int(size) for size in self.prior_shape),
            offset_heuristic=self.offset_heuristic,
            quantization_offset=self.quantization_offset is not None,
        )
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ContinuousBatchedEntropyModel:
        """Makes a model whose tables are to be set by `set_weights`."""
        return cls(**config)
