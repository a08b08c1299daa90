"""Distributions of rounded and of soft-rounded values.

From Agustsson and Theis, "Universally Quantized Neural Compression", appendix E,
https://arxiv.org/abs/2006.09952.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import tensorflow as tf

from tfc_port._probability import load_probability
from tfc_port._types import Distribution, Numeric, TensorLike
from tfc_port.distributions.adapter import Adapter
from tfc_port.distributions.deep_factorized import DeepFactorized
from tfc_port.distributions.tails import lower_tail, quantization_offset, upper_tail
from tfc_port.distributions.uniform_noise import UniformNoiseAdapter
from tfc_port.ops.rounding import soft_round, soft_round_inverse

tfp = load_probability()


class MonotonicAdapter(Adapter):
    """The distribution of f(X), for X from a base distribution and f ascending.

    Subclasses implement `transform`, f, and `inverse_transform`, g(y) = inf {x : f(x) >= y}; then
    P(f(X) <= y) = P(X <= g(y)). Where f has no inverse they set `invertible` to False, and what
    needs one is not implemented.
    """

    invertible = True

    def __init__(self, base: Distribution, name: str = "MonotonicAdapter") -> None:
        """Makes the distribution.

        Args:
          base: A continuous `tfp.distributions.Distribution`.
          name: Its name.
        """
        super().__init__(base, name)

    def transform(self, x: tf.Tensor) -> tf.Tensor:
        """f, of any shape, elementwise."""
        raise NotImplementedError

    def inverse_transform(self, y: tf.Tensor) -> tf.Tensor:
        """g, of any shape, elementwise."""
        raise NotImplementedError

    def _sample_n(self, n: TensorLike, seed: int | tf.Tensor | None = None) -> tf.Tensor:
        with tf.name_scope("round"):
            return self.transform(self.base.sample(tf.convert_to_tensor(n, name="n"), seed=seed))

    def _prob(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError

    def _log_prob(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError

    # The base's private methods: its public ones would hide that one is missing, or check again.
    def _cdf(self, y: tf.Tensor) -> tf.Tensor:
        return self.base._cdf(self.inverse_transform(y))

    def _log_cdf(self, y: tf.Tensor) -> tf.Tensor:
        return self.base._log_cdf(self.inverse_transform(y))

    def _survival_function(self, y: tf.Tensor) -> tf.Tensor:
        return self.base._survival_function(self.inverse_transform(y))

    def _log_survival_function(self, y: tf.Tensor) -> tf.Tensor:
        return self.base._log_survival_function(self.inverse_transform(y))

    def _transformed(self, point_of_base: Callable[[], tf.Tensor]) -> tf.Tensor:
        """f at a point of the base, which is the same point of this distribution."""
        if not self.invertible:
            raise NotImplementedError
        return self.transform(point_of_base())

    def _quantile(self, value: tf.Tensor) -> tf.Tensor:
        return self._transformed(lambda: self.base._quantile(value))

    def _mode(self) -> tf.Tensor:
        return self._transformed(self.base._mode)

    def _quantization_offset(self) -> tf.Tensor:
        return self._transformed(lambda: quantization_offset(self.base))

    def _lower_tail(self, tail_mass: Numeric) -> tf.Tensor:
        return self._transformed(lambda: lower_tail(self.base, tail_mass))

    def _upper_tail(self, tail_mass: Numeric) -> tf.Tensor:
        return self._transformed(lambda: upper_tail(self.base, tail_mass))


class RoundAdapter(MonotonicAdapter):
    """The distribution of round(X)."""

    invertible = False

    def transform(self, x: tf.Tensor) -> tf.Tensor:
        """round(x), of any shape; halves go to the even neighbour."""
        return tf.round(x)

    def inverse_transform(self, y: tf.Tensor) -> tf.Tensor:
        """The least x that is rounded to `y` or more, of any shape."""
        # round(x) >= y exactly if round(x) >= ceil(y), which begins half below the integer.
        return tf.math.ceil(y) - 0.5

    def _quantization_offset(self) -> tf.Tensor:
        return tf.convert_to_tensor(0.0, dtype=self.dtype)

    def _lower_tail(self, tail_mass: Numeric) -> tf.Tensor:
        return tf.math.floor(lower_tail(self.base, tail_mass))

    def _upper_tail(self, tail_mass: Numeric) -> tf.Tensor:
        return tf.math.ceil(upper_tail(self.base, tail_mass))


class SoftRoundAdapter(MonotonicAdapter):
    """The distribution of soft_round(X, alpha)."""

    def __init__(self, base: Distribution, alpha: Numeric, name: str = "SoftRoundAdapter") -> None:
        """Makes the distribution.

        Args:
          base: A continuous `tfp.distributions.Distribution`.
          alpha: Number or tensor; the larger, the nearer to rounding.
          name: Its name.
        """
        super().__init__(base=base, name=name)
        self._alpha = alpha

    def transform(self, x: tf.Tensor) -> tf.Tensor:
        """soft_round(x, alpha), of any shape."""
        return soft_round(x, self._alpha)

    def inverse_transform(self, y: tf.Tensor) -> tf.Tensor:
        """The x whose soft_round(x, alpha) is `y`, of any shape."""
        return soft_round_inverse(y, self._alpha)


class NoisyRoundAdapter(UniformNoiseAdapter):
    """The distribution of round(X) + U."""

    def __init__(self, base: Distribution, name: str = "NoisyRoundAdapter") -> None:
        super().__init__(RoundAdapter(base), name=name)


class NoisyRoundedDeepFactorized(NoisyRoundAdapter):
    """`DeepFactorized`, rounded, with uniform noise; takes its arguments."""

    def __init__(self, name: str = "NoisyRoundedDeepFactorized", **kwargs: Any) -> None:
        super().__init__(base=DeepFactorized(**kwargs), name=name)


class NoisyRoundedNormal(NoisyRoundAdapter):
    """`tfp.distributions.Normal`, rounded, with uniform noise; takes its arguments."""

    def __init__(self, name: str = "NoisyRoundedNormal", **kwargs: Any) -> None:
        super().__init__(base=tfp.distributions.Normal(**kwargs), name=name)


class NoisySoftRoundAdapter(UniformNoiseAdapter):
    """The distribution of soft_round(X, alpha) + U."""

    def __init__(
        self, base: Distribution, alpha: Numeric, name: str = "NoisySoftRoundAdapter"
    ) -> None:
        super().__init__(SoftRoundAdapter(base, alpha), name=name)


class NoisySoftRoundedNormal(NoisySoftRoundAdapter):
    """`tfp.distributions.Normal`, soft-rounded, with uniform noise; takes its arguments."""

    def __init__(
        self, alpha: Numeric = 5.0, name: str = "NoisySoftRoundedNormal", **kwargs: Any
    ) -> None:
        super().__init__(base=tfp.distributions.Normal(**kwargs), alpha=alpha, name=name)


class NoisySoftRoundedDeepFactorized(NoisySoftRoundAdapter):
    """`DeepFactorized`, soft-rounded, with uniform noise; takes its arguments."""

    def __init__(
        self, alpha: Numeric = 5.0, name: str = "NoisySoftRoundedDeepFactorized", **kwargs: Any
    ) -> None:
        super().__init__(base=DeepFactorized(**kwargs), alpha=alpha, name=name)
