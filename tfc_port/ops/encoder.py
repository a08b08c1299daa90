"""Range encoding: handles, and the ops that add to them."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfc_port._decorators import do_not_convert
from tfc_port._types import ShapeLike, TensorLike
from tfc_port.coding.python import encode_stream
from tfc_port.ops._checks import require
from tfc_port.ops.intervals import symbols_to_intervals
from tfc_port.ops.lockstep_encoder import encode_lanes
from tfc_port.ops.lookup import Lookup, parse_lookup


class RangeEncoder(NamedTuple):
    """Handle of range encoders, one per element of `shape`. Its insides are no part of the API.

    It is a value, not a state: every op returns a new handle. As a structure of tensors it can be
    passed to and from a `tf.function`.

    Attributes:
      shape: int32 [rank].
      lookup: int32, the lookup tensor.
      intervals: int64 [encoders, t, 2], what has been encoded so far.
    """

    shape: tf.Tensor
    lookup: tf.Tensor
    intervals: tf.Tensor


@do_not_convert
def create_range_encoder(
    shape: ShapeLike, lookup: TensorLike, name: str | None = None
) -> RangeEncoder:
    """Makes range encoders that all use the same tables.

    Args:
      shape: int32 vector, the shape of the set of encoders.
      lookup: int32 tensor of rank 1 or 2: rows `[±precision, 0, ..., 2**precision]` of cumulative
        counts, concatenated or stacked. A negative precision turns on overflow: the row's last
        symbol is kept for values outside the row, which are coded by an Elias gamma code after it.
      name: Name of the op.

    Returns:
      A handle.

    Raises:
      tf.errors.InvalidArgumentError: if `lookup` is not as described.
    """
    with tf.name_scope(name or "create_range_encoder"), tf.device("CPU:0"):
        shape = tf.convert_to_tensor(shape, tf.int32, name="shape")
        require(shape.shape.rank != 0, "`shape` must be a vector. Received a scalar.")
        shape = tf.reshape(shape, [-1])
        lookup = tf.convert_to_tensor(lookup, tf.int32, name="lookup")
        parse_lookup(lookup)
        check = require(tf.reduce_all(shape >= 0), "`shape` must not be negative. Received:", shape)
        with tf.control_dependencies([] if check is None else [check]):
            lanes = tf.reduce_prod(tf.cast(shape, tf.int64))
        return RangeEncoder(shape, lookup, tf.zeros(tf.stack([lanes, 0, 2]), tf.int64))


@do_not_convert
def entropy_encode_channel(
    handle: RangeEncoder, value: TensorLike, name: str | None = None
) -> RangeEncoder:
    """Encodes values by their place: the j-th value of each encoder by row j modulo the rows.

    Args:
      handle: Handle of encoders of some shape.
      value: int32 tensor whose shape starts with the handle's; symbols counted from 0. The
        rest is encoded in row-major order.
      name: Name of the op.

    Returns:
      The new handle.

    Raises:
      tf.errors.InvalidArgumentError: if the shapes do not fit, or a value lies outside a row
        without overflow.
    """
    with tf.name_scope(name or "entropy_encode_channel"), tf.device("CPU:0"):
        lookup = parse_lookup(handle.lookup)
        value = _to_lanes(handle.shape, _int32(value, "value"), "value")
        rows = tf.math.floormod(tf.range(tf.shape(value, tf.int64)[1]), lookup.rows)
        rows = tf.broadcast_to(rows, tf.shape(value))
        return _append(handle, symbols_to_intervals(lookup, rows, value))


@do_not_convert
def entropy_encode_index(
    handle: RangeEncoder, index: TensorLike, value: TensorLike, name: str | None = None
) -> RangeEncoder:
    """Encodes values by rows given one by one.

    Args:
      handle: Handle of encoders of some shape.
      index: int32 tensor of the shape of `value`: the row of each.
      value: int32 tensor whose shape starts with the handle's; symbols counted from 0.
      name: Name of the op.

    Returns:
      The new handle.

    Raises:
      tf.errors.InvalidArgumentError: if the shapes do not fit, an index names no row, or a value
        lies outside a row without overflow.
    """
    with tf.name_scope(name or "entropy_encode_index"), tf.device("CPU:0"):
        lookup = parse_lookup(handle.lookup)
        index, value = _int32(index, "index"), _int32(value, "value")
        check = require_same_shape(index, value)
        with tf.control_dependencies([] if check is None else [check]):
            value = _to_lanes(handle.shape, value, "value")
        rows = checked_rows(tf.reshape(index, tf.shape(value)), lookup)
        return _append(handle, symbols_to_intervals(lookup, rows, value))


@do_not_convert
def entropy_encode_finalize(handle: RangeEncoder, name: str | None = None) -> tf.Tensor:
    """Ends the encoders.

    Args:
      handle: Handle of encoders of some shape.
      name: Name of the op.

    Returns:
      String tensor of that shape: one string per encoder, TFC's bytes.
    """
    with tf.name_scope(name or "entropy_encode_finalize"), tf.device("CPU:0"):
        return tf.reshape(intervals_to_strings(handle.intervals), handle.shape)


def intervals_to_strings(intervals: tf.Tensor) -> tf.Tensor:
    """The strings [encoders] of intervals [encoders, t, 2]."""
    if tf.executing_eagerly():
        # Plain Python is far faster than ops called one by one.
        strings = [encode_stream([0] * len(lane), lane) for lane in intervals.numpy().tolist()]
        return tf.constant(strings, tf.string, shape=[len(strings)])
    return encode_lanes(intervals)


def checked_rows(
    index: tf.Tensor, lookup: Lookup, expected: str = "index must name a row of `lookup`."
) -> tf.Tensor:
    """`index` as int64, after the check that every element names a row.

    Raises:
      tf.errors.InvalidArgumentError: if one does not; says what was `expected`.
    """
    rows = tf.cast(index, tf.int64)
    valid = (rows >= 0) & (rows < lookup.rows)
    check = require(
        tf.reduce_all(valid),
        f"{expected} Received (rows, then the first bad index):",
        lookup.rows,
        tf.boolean_mask(rows, ~valid)[:1],
    )
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(rows)


def require_same_shape(index: tf.Tensor, value: tf.Tensor) -> tf.Operation | None:
    """Checks that `index` and `value` have one shape; returns what `require` returns."""
    message = "'index' shape should match 'value' shape. Received:"
    if index.shape.rank is not None and value.shape.rank is not None:
        same_rank = index.shape.rank == value.shape.rank
        require(same_rank, f"{message} {index.shape} and {value.shape}.")
        same = tf.reduce_all(tf.equal(tf.shape(index), tf.shape(value)))
        return require(same, message, tf.shape(index), tf.shape(value))
    return None


def _int32(tensor: TensorLike, name: str) -> tf.Tensor:
    tensor = tf.convert_to_tensor(tensor, name=name)
    if tensor.shape.num_elements() == 0 and tensor.dtype == tf.float32:
        tensor = tf.cast(tensor, tf.int32)  # what an empty Python list becomes
    require(tensor.dtype == tf.int32, f"'{name}' must have type int32. Received: {tensor.dtype}.")
    return tensor


def _to_lanes(shape: tf.Tensor, value: tf.Tensor, name: str) -> tf.Tensor:
    """`value` as int64 [encoders, n]."""
    rank = tf.size(shape)
    leading = tf.shape(value)[:rank]
    fits = tf.equal(tf.size(leading), rank)
    known = tf.get_static_value(fits)
    if known is None or known:
        fits = tf.reduce_all(tf.equal(leading, shape))
    check = require(
        fits, f"'{name}' shape should start with 'handle' shape. Received:", tf.shape(value), shape
    )
    with tf.control_dependencies([] if check is None else [check]):
        sizes = tf.cast(tf.shape(value), tf.int64)
    lanes = tf.stack([tf.reduce_prod(sizes[:rank]), tf.reduce_prod(sizes[rank:])])
    return tf.reshape(tf.cast(value, tf.int64), lanes)


def _append(handle: RangeEncoder, intervals: tf.Tensor) -> RangeEncoder:
    return handle._replace(intervals=tf.concat([handle.intervals, intervals], axis=1))
