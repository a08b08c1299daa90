"""Entropy model for values with a mean each and a scale selected by an integer."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfc_port._decorators import with_name_scope
from tfc_port._types import DTypeLike, PriorFn, TensorLike
from tfc_port.entropy_models.continuous_indexed import ContinuousIndexedEntropyModel
from tfc_port.ops.rounding import round_st


class LocationScaleIndexedEntropyModel(ContinuousIndexedEntropyModel):
    """Entropy model for a location-scale family: indexes select scales, values are shifted.

    The location of each value is subtracted before and added after, so that tables depend on the
    scale alone; `prior_fn` must have a `loc` that translates it. Figure 10 of Balle et al.,
    "Nonlinear Transform Coding", https://doi.org/10.1109/JSTSP.2020.3034501.
    """

    def __init__(
        self,
        prior_fn: PriorFn,
        num_scales: int,
        scale_fn: Callable[[tf.Tensor], TensorLike],
        coding_rank: int,
        compression: bool = False,
        stateless: bool = False,
        expected_grads: bool = False,
        tail_mass: float = 2**-8,
        range_coder_precision: int = 12,
        bottleneck_dtype: DTypeLike | None = None,
        prior_dtype: DTypeLike = tf.float32,
        laplace_tail_mass: float | tf.Tensor = 0,
        streams: int = 1,
    ) -> None:
        """Makes the model.

        Args:
          prior_fn: Callable that returns a scalar `tfp.distributions.Distribution` for `loc` and
            `scale`, that of the values with uniform noise.
          num_scales: Number of scales.
          scale_fn: Function from indexes, in [0, num_scales), to scales.
          coding_rank: Number of innermost dimensions of the values in one coding unit.
          compression: Whether to make tables.
          stateless: Whether the tables are tensors rather than variables.
          expected_grads: Whether gradients are expectations over the noise.
          tail_mass: Probability that is left to the overflow code.
          range_coder_precision: Precision of the tables, 1 to 16.
          bottleneck_dtype: Type of the values; Keras's compute type unless given.
          prior_dtype: Type of the prior.
          laplace_tail_mass: Weight of a Laplace distribution mixed into the prior.
          streams: Into how many streams each string is divided; 1 gives TFC's strings.
        """
        super().__init__(
            prior_fn=prior_fn,
            index_ranges=(int(num_scales),),
            parameter_fns={"loc": lambda _: 0.0, "scale": scale_fn},
            coding_rank=coding_rank,
            channel_axis=None,
            compression=compression,
            stateless=stateless,
            expected_grads=expected_grads,
            tail_mass=tail_mass,
            range_coder_precision=range_coder_precision,
            bottleneck_dtype=bottleneck_dtype,
            prior_dtype=prior_dtype,
            laplace_tail_mass=laplace_tail_mass,
            streams=streams,
        )

    @with_name_scope
    def __call__(  # type: ignore[override]  # the order of TFC, whose third argument is `loc`
        self,
        bottleneck: TensorLike,
        scale_indexes: TensorLike,
        loc: TensorLike | None = None,
        training: bool = True,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Perturbs or quantises values and estimates their rate.

        Args:
          bottleneck: Tensor [..., coding unit].
          scale_indexes: Tensor of its shape, the index of each scale.
          loc: None, or tensor of its shape, the location of each.
          training: Whether to add noise, rather than to quantise.

        Returns:
          The pair of the perturbed values and the bits of each coding unit.
        """
        if loc is None:
            return super().__call__(bottleneck, scale_indexes, training=training)
        shifted = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype) - loc
        perturbed, bits = super().__call__(shifted, scale_indexes, training=training)
        return perturbed + loc, bits

    @with_name_scope
    def quantize(self, bottleneck: TensorLike, loc: TensorLike | None = None) -> tf.Tensor:
        """Rounds values to integers plus `loc`; gradients pass to the values unchanged."""
        return round_st(tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype), loc)

    @with_name_scope
    def compress(
        self, bottleneck: TensorLike, scale_indexes: TensorLike, loc: TensorLike | None = None
    ) -> tf.Tensor:
        """Quantises values and codes them.

        Args:
          bottleneck: Tensor [..., coding unit].
          scale_indexes: Tensor of its shape, the index of each scale.
          loc: None, or tensor of its shape, the location of each.

        Returns:
          String tensor, one string per coding unit.
        """
        if loc is not None:
            bottleneck = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype) - loc
        return super().compress(bottleneck, scale_indexes)

    @with_name_scope
    def decompress(
        self, strings: TensorLike, scale_indexes: TensorLike, loc: TensorLike | None = None
    ) -> tf.Tensor:
        """Decodes the quantised values.

        Args:
          strings: String tensor, one string per coding unit.
          scale_indexes: Tensor, the index of each value's scale.
          loc: None, or tensor of its shape, the location of each.

        Returns:
          Tensor of the shape of `scale_indexes`.
        """
        values = super().decompress(strings, scale_indexes)
        return values if loc is None else values + loc
