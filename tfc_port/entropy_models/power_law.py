"""Entropy model for values that follow a power law."""

from __future__ import annotations

import tensorflow as tf

from tfc_port._decorators import with_name_scope
from tfc_port._types import DTypeLike, TensorLike
from tfc_port.entropy_models.run_length_base import RunLengthEntropyModel


class PowerLawEntropyModel(RunLengthEntropyModel):
    """Entropy model for values of which most are 0 and others rarer the larger they are.

    Strings are those of `run_length_gamma_encode`: they need no tables. The Elias gamma code takes
    1 + 2 floor(log2 x) bits for x, which suits a power law and is never far from the best (Elias,
    "Universal Codeword Sets and Representations of the Integers",
    https://doi.org/10.1109/TIT.1975.1055349). In training the sum of log((|x| + alpha) / alpha)
    stands for it.
    """

    def __init__(
        self, coding_rank: int, alpha: float = 0.01, bottleneck_dtype: DTypeLike | None = None
    ) -> None:
        """Makes the model.

        Args:
          coding_rank: Number of innermost dimensions that make up one coding unit.
          alpha: Number above 0; keeps the gradient finite around 0.
          bottleneck_dtype: Type of the values; Keras's compute type unless given.

        Raises:
          ValueError: if `coding_rank` is negative, or `alpha` is not above 0.
        """
        super().__init__(coding_rank, bottleneck_dtype, (-1, -1, False))
        self._alpha = float(alpha)
        if self.alpha <= 0:
            raise ValueError(f"`alpha` must be above 0. Received: {alpha}.")

    @property
    def alpha(self) -> float:
        """What keeps the gradient finite around 0."""
        return self._alpha

    @with_name_scope
    def penalty(self, bottleneck: TensorLike) -> tf.Tensor:
        """Rates values, by how large they are.

        Args:
          bottleneck: Tensor [..., coding unit].

        Returns:
          Tensor without the dimensions of the coding unit.
        """
        bottleneck = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype)
        return self._sum_unit(tf.math.log((tf.abs(bottleneck) + self.alpha) / self.alpha))
