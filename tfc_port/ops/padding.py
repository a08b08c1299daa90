"""How much to pad for a convolution that keeps the size."""

from __future__ import annotations

from collections.abc import Sequence


def same_padding_for_kernel(
    shape: Sequence[int], corr: bool, strides_up: Sequence[int] | None = None
) -> list[tuple[int, int]]:
    """Padding after which a "valid" convolution gives as many samples as the unpadded input had.

    The centre of a kernel of length K is its sample K // 2; convolution mirrors the kernel, so for
    even lengths the two sides swap.

    Args:
      shape: Lengths of the kernel, one per spatial dimension.
      corr: True for cross correlation, False for convolution.
      strides_up: Upsampling factors, one per dimension, where zeros are inserted after padding;
        None for no upsampling. Downsampling has no influence.

    Returns:
      List of `(before, after)`, one pair per dimension, in samples of the input.
    """
    factors = [1] * len(shape) if strides_up is None else strides_up
    padding = []
    for length, factor in zip(shape, factors):
        before, after = length // 2, (length - 1) // 2
        if not corr:
            before, after = after, before
        padding.append((_ceil_divide(before, factor), _ceil_divide(after, factor)))
    return padding


def _ceil_divide(numerator: int, denominator: int) -> int:
    return -(-numerator // denominator)
