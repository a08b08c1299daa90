"""Entropy model for values that follow a Laplace distribution."""

from __future__ import annotations

import tensorflow as tf

from tfc_port._decorators import with_name_scope
from tfc_port._types import DTypeLike, ShapeLike, TensorLike
from tfc_port.entropy_models.run_length_base import RunLengthEntropyModel
from tfc_port.ops.run_length import run_length_decode, run_length_encode


class LaplaceEntropyModel(RunLengthEntropyModel):
    """Entropy model for values of which most are near 0, by Rice codes.

    Strings are those of `run_length_encode`: they need no tables. In training the sum of absolute
    values stands for it.
    """

    def __init__(
        self,
        coding_rank: int,
        l1: float = 0.01,
        run_length_code: int = -1,
        magnitude_code: int = 0,
        use_run_length_for_non_zeros: bool = False,
        bottleneck_dtype: DTypeLike | None = None,
    ) -> None:
        """Makes the model.

        Args:
          coding_rank: Number of innermost dimensions that make up one coding unit.
          l1: Factor of the penalty, at least 0.
          run_length_code: The Rice code's parameter for numbers of zeros, 31 at most; negative for
            the Elias gamma code.
          magnitude_code: The same for magnitudes.
          use_run_length_for_non_zeros: Whether the lengths of runs of other values are coded too.
          bottleneck_dtype: Type of the values; Keras's compute type unless given.

        Raises:
          ValueError: if `coding_rank` or `l1` is negative.
        """
        codes = int(run_length_code), int(magnitude_code), bool(use_run_length_for_non_zeros)
        super().__init__(coding_rank, bottleneck_dtype, codes)
        self._l1 = float(l1)
        if self.l1 < 0:
            raise ValueError(f"`l1` must be at least 0. Received: {l1}.")

    @property
    def l1(self) -> float:
        """Factor of the penalty."""
        return self._l1

    @property
    def run_length_code(self) -> int:
        """The Rice code's parameter for numbers of zeros, or negative."""
        return self._codes[0]

    @property
    def magnitude_code(self) -> int:
        """The Rice code's parameter for magnitudes, or negative."""
        return self._codes[1]

    @property
    def use_run_length_for_non_zeros(self) -> bool:
        """Whether the lengths of runs of other values than 0 are coded."""
        return self._codes[2]

    def encode_fn(self, x: TensorLike) -> tf.Tensor:
        """Returns the string of an int32 tensor."""
        return run_length_encode(x, *self._codes)

    def decode_fn(self, x: TensorLike, shape: ShapeLike) -> tf.Tensor:
        """Returns the int32 tensor of a string."""
        return run_length_decode(x, shape, *self._codes)

    @with_name_scope
    def penalty(self, bottleneck: TensorLike) -> tf.Tensor:
        """Rates values, by how large they are.

        Args:
          bottleneck: Tensor [..., coding unit].

        Returns:
          Tensor without the dimensions of the coding unit.
        """
        bottleneck = tf.convert_to_tensor(bottleneck, dtype=self.bottleneck_dtype)
        return self.l1 * self._sum_unit(tf.abs(bottleneck))
