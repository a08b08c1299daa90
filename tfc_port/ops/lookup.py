"""The tables of the range coder, as one tensor.

A lookup tensor holds rows `[±p, 0, ..., 2**p]`: the precision p of the row, negative where values
outside the row are coded as overflow, then the cumulative counts. Rows are concatenated (rank 1) or
stacked (rank 2); repetitions of `2**p` at the end of a row are padding.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfc_port._types import TensorLike
from tfc_port.ops._checks import require
from tfc_port.ops._int64 import shift_left, where

FULL_PRECISION = 16
# Keys of different rows must not meet: 2**16 + 1 values a row.
ROW_SHIFT = FULL_PRECISION + 1


class Lookup(NamedTuple):
    """A lookup tensor taken apart; all tensors are int64.

    Attributes:
      cdf: [total], the flat tensor with all counts brought to 16 bits. Entries that are no
        counts hold the row's last count.
      keys: [total], not decreasing: the row's number times 2**17 plus the count.
      starts: [rows], where each row's first count, 0, is found in `cdf`.
      symbols: [rows], number of symbols of each row.
      overflow: [rows], 1 where the last symbol announces a value outside the row, else 0.
    """

    cdf: tf.Tensor
    keys: tf.Tensor
    starts: tf.Tensor
    symbols: tf.Tensor
    overflow: tf.Tensor

    @property
    def rows(self) -> tf.Tensor:
        """Number of rows, int64 scalar."""
        return tf.size(self.starts, tf.int64)


def parse_lookup(lookup: TensorLike) -> Lookup:
    """Takes a lookup tensor apart and checks it.

    Args:
      lookup: int32 tensor of rank 1 or 2, as the module's docstring describes it.

    Returns:
      A `Lookup`.

    Raises:
      tf.errors.InvalidArgumentError: if the tensor is not as described.
    """
    lookup = tf.convert_to_tensor(lookup, tf.int32, name="lookup")
    require(
        lookup.shape.rank is None or lookup.shape.rank in (1, 2),
        f"`lookup` must be rank 1 or 2. Received shape: {lookup.shape}.",
    )
    flat = tf.reshape(tf.cast(lookup, tf.int64), [-1])
    size = tf.size(flat, tf.int64)
    checks = [require(size >= 3, "`lookup` is too short to hold a row. Received size:", size)]
    with tf.control_dependencies([check for check in checks if check is not None]):
        flat = tf.identity(flat)
    marker = _markers(flat, lookup)
    row_of = tf.cumsum(tf.cast(marker, tf.int64)) - 1
    start = "Each row of `lookup` must be its precision and then counts that start with 0."
    check = require(marker[0], start)
    with tf.control_dependencies([] if check is None else [check]):
        first = tf.where(marker)[:, 0]
    precision = tf.abs(tf.gather(flat, first))
    checks = [
        require(tf.reduce_all(tf.equal(tf.gather(flat, first + 1), 0)), start),
        require(
            tf.reduce_all((precision >= 1) & (precision <= FULL_PRECISION)),
            f"The precision of each row of `lookup` must be in [1, {FULL_PRECISION}]. Received:",
            precision,
        ),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        top = shift_left(tf.constant(1, tf.int64), precision)
    entry_top = tf.gather(top, row_of)
    ends = tf.concat([first[1:], [size]], 0)
    within_row = ~tf.concat([marker[1:], [True]], 0)
    rises = tf.concat([flat[1:] >= flat[:-1], [True]], 0)
    checks = [
        require(
            tf.reduce_all(rises | marker | ~within_row),
            "CDF must be monotonically increasing.",
        ),
        require(
            tf.reduce_all(tf.equal(tf.gather(flat, ends - 1), top)),
            "CDF must end with 1 << precision.",
        ),
        require(tf.reduce_all((flat >= 0) | marker), "CDF must not be negative."),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        inside = tf.cast(~marker & (flat < entry_top), tf.int64)
    # With monotone counts, the entries below the top are those before the row's end.
    symbols = tf.math.unsorted_segment_sum(inside, row_of, tf.size(first))
    scale = FULL_PRECISION - tf.gather(precision, row_of)
    cdf = where(marker, entry_top, flat)
    cdf = shift_left(cdf, scale)
    # A marker stands before its row: as the end of the row before, it keeps the keys in order.
    key = where(marker, 0, cdf) + shift_left(row_of, ROW_SHIFT)
    return Lookup(
        cdf=cdf,
        keys=key,
        starts=first + 1,
        symbols=symbols,
        overflow=tf.cast(tf.gather(flat, first) < 0, tf.int64),
    )


def _markers(flat: tf.Tensor, lookup: tf.Tensor) -> tf.Tensor:
    """Boolean [total]: where a row's precision stands."""
    if lookup.shape.rank == 2:
        position = tf.range(tf.size(flat), dtype=tf.int32)
        return tf.equal(position % tf.shape(lookup)[1], 0)
    # Counts never fall within a row, so that one that is not 0 is never followed by 0.
    followed_by_zero = tf.concat([tf.equal(flat[1:], 0), [False]], 0)
    return followed_by_zero & tf.not_equal(flat, 0)
