"""Mixtures of distributions with uniform noise."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfc_port._keras_files import KeptByKeras
from tfc_port._probability import load_probability
from tfc_port._types import Distribution, Numeric, TensorLike
from tfc_port.distributions.adapter import ShapesOfBase
from tfc_port.distributions.tails import lower_tail, quantization_offset, upper_tail
from tfc_port.distributions.uniform_noise import UniformNoiseAdapter

tfp = load_probability()
_Mixture: Any = tfp.distributions.MixtureSameFamily


class NoisyMixtureSameFamily(ShapesOfBase, _Mixture, KeptByKeras):
    """Mixture of components of one family, with uniform noise on [-1/2, 1/2] added."""

    def __init__(
        self,
        mixture_distribution: Distribution,
        components_distribution: Distribution,
        name: str = "NoisyMixtureSameFamily",
    ) -> None:
        """Makes the distribution, from the arguments of `tfp.distributions.MixtureSameFamily`.

        Args:
          mixture_distribution: A `tfp.distributions.Categorical`, the weights.
          components_distribution: Distribution whose last batch dimension runs over components,
            without noise.
          name: Its name.
        """
        super().__init__(
            mixture_distribution=mixture_distribution,
            components_distribution=UniformNoiseAdapter(components_distribution),
            name=name,
        )
        self._base = tfp.distributions.MixtureSameFamily(
            mixture_distribution=mixture_distribution,
            components_distribution=components_distribution,
            name=f"{name}Base",
        )

    def _quantization_offset(self) -> tf.Tensor:
        """The offset of the component at whose offset the mixture is densest."""
        offsets = quantization_offset(self.components_distribution)
        rank = self.batch_shape.rank
        candidates = tf.transpose(offsets, [rank, *range(rank)])
        densest = tf.argmax(self.log_prob(candidates), axis=0)
        return tf.gather(offsets, densest, axis=-1, batch_dims=rank)

    def _lower_tail(self, tail_mass: Numeric) -> tf.Tensor:
        return lower_tail(self.base, tail_mass)

    def _upper_tail(self, tail_mass: Numeric) -> tf.Tensor:
        return upper_tail(self.base, tail_mass)


class NoisyNormalMixture(NoisyMixtureSameFamily):
    """Mixture of normal distributions with uniform noise."""

    def __init__(
        self,
        loc: TensorLike,
        scale: TensorLike,
        weight: TensorLike,
        name: str = "NoisyNormalMixture",
    ) -> None:
        """Makes the distribution.

        Args:
          loc: Means, [..., components].
          scale: Standard deviations, [..., components].
          weight: Probabilities of the components, [..., components].
          name: Its name.
        """
        super().__init__(
            mixture_distribution=tfp.distributions.Categorical(probs=weight),
            components_distribution=tfp.distributions.Normal(loc=loc, scale=scale),
            name=name,
        )


class NoisyLogisticMixture(NoisyMixtureSameFamily):
    """Mixture of logistic distributions with uniform noise."""

    def __init__(
        self,
        loc: TensorLike,
        scale: TensorLike,
        weight: TensorLike,
        name: str = "NoisyLogisticMixture",
    ) -> None:
        """Makes the distribution.

        Args:
          loc: Means, [..., components].
          scale: Scale parameters, [..., components].
          weight: Probabilities of the components, [..., components].
          name: Its name.
        """
        super().__init__(
            mixture_distribution=tfp.distributions.Categorical(probs=weight),
            components_distribution=tfp.distributions.Logistic(loc=loc, scale=scale),
            name=name,
        )
