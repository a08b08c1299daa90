"""Distributions of values to which uniform noise is added."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfc_port._probability import load_probability
from tfc_port._types import Distribution, Numeric, TensorLike
from tfc_port.distributions.adapter import Adapter
from tfc_port.distributions.tails import lower_tail, quantization_offset, upper_tail

tfp = load_probability()


class UniformNoiseAdapter(Adapter):
    """The distribution of X + U, for X from a base distribution and U uniform on [-1/2, 1/2].

    Its density is the base's mass of the unit interval around a value, c(y + 1/2) - c(y - 1/2): at
    integers, the probability mass function of X rounded. Appendix 6.2 of Balle et al., "Variational
    image compression with a scale hyperprior", https://openreview.net/forum?id=rkcQFMZRb.

    For precision the base should implement the survival function along with the CDF, and both as
    logarithms.
    """

    def __init__(self, base: Distribution, name: str = "UniformNoiseAdapter") -> None:
        """Makes the distribution.

        Args:
          base: A continuous `tfp.distributions.Distribution`.
          name: Its name.
        """
        super().__init__(base, name)

    def _sample_n(self, n: TensorLike, seed: int | tf.Tensor | None = None) -> tf.Tensor:
        with tf.name_scope("transform"):
            samples = self.base.sample(tf.convert_to_tensor(n, name="n"), seed=seed)
            noise = tf.random.uniform(tf.shape(samples), -0.5, 0.5, dtype=samples.dtype)
            return samples + noise

    def _log_prob(self, y: tf.Tensor) -> tf.Tensor:
        _require(self.base, "_log_cdf", "log_prob()", "log_cdf()")
        above, below = y + 0.5, y - 0.5
        try:
            survival_above = self.base.log_survival_function(above)
            survival_below = self.base.log_survival_function(below)
        except NotImplementedError:
            return _log_difference(self.base.log_cdf(above), self.base.log_cdf(below))
        cdf_above, cdf_below = self.base.log_cdf(above), self.base.log_cdf(below)
        # Right of the median the survival function is the smaller and so the more precise one. The
        # choice is made before the difference: chosen after it, an infinity in the branch left out
        # would put NaNs into the gradient.
        right = survival_above < cdf_above
        return _log_difference(
            tf.where(right, survival_below, cdf_above), tf.where(right, survival_above, cdf_below)
        )

    def _prob(self, y: tf.Tensor) -> tf.Tensor:
        _require(self.base, "_cdf", "prob()", "cdf()")
        above, below = y + 0.5, y - 0.5
        try:
            survival_above = self.base.survival_function(above)
            survival_below = self.base.survival_function(below)
        except NotImplementedError:
            return self.base.cdf(above) - self.base.cdf(below)
        cdf_above, cdf_below = self.base.cdf(above), self.base.cdf(below)
        right = survival_above < cdf_above
        return tf.where(right, survival_below - survival_above, cdf_above - cdf_below)

    def _mean(self) -> tf.Tensor:
        return self.base.mean()

    def _quantization_offset(self) -> tf.Tensor:
        return quantization_offset(self.base)

    def _lower_tail(self, tail_mass: Numeric) -> tf.Tensor:
        return lower_tail(self.base, tail_mass)

    def _upper_tail(self, tail_mass: Numeric) -> tf.Tensor:
        return upper_tail(self.base, tail_mass)


class NoisyNormal(UniformNoiseAdapter):
    """Normal distribution with uniform noise; takes the arguments of `tfp.distributions.Normal`."""

    def __init__(self, name: str = "NoisyNormal", **kwargs: Any) -> None:
        super().__init__(tfp.distributions.Normal(**kwargs), name=name)


class NoisyLogistic(UniformNoiseAdapter):
    """Logistic distribution with uniform noise; arguments of `tfp.distributions.Logistic`."""

    def __init__(self, name: str = "NoisyLogistic", **kwargs: Any) -> None:
        super().__init__(tfp.distributions.Logistic(**kwargs), name=name)


class NoisyLaplace(UniformNoiseAdapter):
    """Laplace distribution with uniform noise; arguments of `tfp.distributions.Laplace`."""

    def __init__(self, name: str = "NoisyLaplace", **kwargs: Any) -> None:
        super().__init__(tfp.distributions.Laplace(**kwargs), name=name)


def _require(base: Distribution, method: str, wanted: str, needed: str) -> None:
    if not hasattr(base, method):
        raise NotImplementedError(
            f"`{wanted}` is not implemented unless the base distribution implements `{needed}`. "
            f"Received: {base}."
        )


def _log_difference(larger: tf.Tensor, smaller: tf.Tensor) -> tf.Tensor:
    """log(exp(larger) - exp(smaller)), which is -inf where both are -inf."""
    difference = tf.math.log1p(-tf.exp(smaller - larger)) + larger
    return tf.where(tf.math.is_inf(larger), larger, difference)
