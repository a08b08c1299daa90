"""Range decoding: handles, and the ops that read from them."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfc_port._decorators import do_not_convert
from tfc_port._types import DTypeLike, ShapeLike, TensorLike
from tfc_port.ops import lockstep_decoder, serial_decoder
from tfc_port.ops._checks import require
from tfc_port.ops._int64 import shift_left, where
from tfc_port.ops.encoder import checked_rows
from tfc_port.ops.lookup import Lookup, parse_lookup


class RangeDecoder(NamedTuple):
    """Handle of range decoders, one per element of `shape`. Its insides are no part of the API.

    It is a value, not a state: every op that reads returns a new handle. As a structure of tensors
    it can be passed to and from a `tf.function`.

    Attributes:
      shape: int32 [rank].
      lookup: int32, the lookup tensor.
      words: int64 [decoders, w], the strings as big-endian 16-bit words, with zeros behind them.
      lengths: int64 [decoders], bytes of each string.
      state: int64 [decoders, 4]: distance of the value from the base, size of the interval, number
        of words read, and 1 as long as no impossible code was met.
    """

    shape: tf.Tensor
    lookup: tf.Tensor
    words: tf.Tensor
    lengths: tf.Tensor
    state: tf.Tensor


@do_not_convert
def create_range_decoder(
    encoded: TensorLike, lookup: TensorLike, name: str | None = None
) -> RangeDecoder:
    """Makes range decoders, one per string, that all use the same tables.

    Args:
      encoded: String tensor.
      lookup: int32 tensor, the tables; see `create_range_encoder`.
      name: Name of the op.

    Returns:
      A handle of the shape of `encoded`.

    Raises:
      tf.errors.InvalidArgumentError: if `lookup` is not as described, or `encoded` has no element.
    """
    with tf.name_scope(name or "create_range_decoder"), tf.device("CPU:0"):
        encoded = tf.convert_to_tensor(encoded, tf.string, name="encoded")
        check = require(tf.size(encoded) > 0, "`encoded` is empty: expected at least one string.")
        with tf.control_dependencies([] if check is None else [check]):
            encoded = tf.identity(encoded)
        return decoder_of(encoded, lookup)


@do_not_convert
def decoder_of(encoded: tf.Tensor, lookup: TensorLike) -> RangeDecoder:
    """As `create_range_decoder`, for any number of strings; the entropy models' way in."""
    with tf.device("CPU:0"):
        lookup = tf.convert_to_tensor(lookup, tf.int32, name="lookup")
        parse_lookup(lookup)
        words, lengths, state = read_strings(tf.reshape(encoded, [-1]))
        return RangeDecoder(tf.shape(encoded), lookup, words, lengths, state)


def read_strings(strings: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The words, lengths and state of a `RangeDecoder` at the beginning of strings [decoders]."""
    lengths = tf.strings.length(strings)
    # At least the two words of the first value; `decode_raw` wants whole words.
    width = tf.maximum((tf.reduce_max(lengths) + 1) // 2 * 2, 4)
    octets = tf.cast(tf.io.decode_raw(strings, tf.uint8, fixed_length=width), tf.int64)
    words = shift_left(octets[:, 0::2], 8) | octets[:, 1::2]
    value = shift_left(words[:, 0], 16) | words[:, 1]
    size = tf.fill(tf.shape(value), tf.constant(1 << 32, tf.int64))
    state = tf.stack([value, size, tf.zeros_like(value) + 2, tf.ones_like(value)], axis=1)
    return words, tf.cast(lengths, tf.int64), state


@do_not_convert
def entropy_decode_channel(
    handle: RangeDecoder, shape: ShapeLike, Tdecoded: DTypeLike = tf.int32, name: str | None = None
) -> tuple[RangeDecoder, tf.Tensor]:
    """Decodes values by their place: the j-th value of each decoder by row j modulo the rows.

    Args:
      handle: Handle of decoders of some shape.
      shape: int32 vector, the shape of what each decoder returns.
      Tdecoded: tf.int32, the type of the values.
      name: Name of the op.

    Returns:
      The pair of the new handle and an int32 tensor of the handle's shape followed by `shape`.

    Raises:
      tf.errors.InvalidArgumentError: if an argument is not as described.
    """
    with tf.name_scope(name or "entropy_decode_channel"), tf.device("CPU:0"):
        shape = _checked(shape, Tdecoded)
        lookup = parse_lookup(handle.lookup)
        count = tf.reduce_prod(tf.cast(shape, tf.int64))
        rows = tf.math.floormod(tf.range(count), lookup.rows)
        rows = tf.broadcast_to(rows, tf.stack([tf.size(handle.lengths, tf.int64), count]))
        return _decode(handle, lookup, rows, shape)


@do_not_convert
def entropy_decode_index(
    handle: RangeDecoder,
    index: TensorLike,
    shape: ShapeLike,
    Tdecoded: DTypeLike = tf.int32,
    name: str | None = None,
) -> tuple[RangeDecoder, tf.Tensor]:
    """Decodes values by rows given one by one.

    Args:
      handle: Handle of decoders of some shape.
      index: int32 tensor of the handle's shape followed by `shape`: the row of each value.
      shape: int32 vector, the shape of what each decoder returns.
      Tdecoded: tf.int32, the type of the values.
      name: Name of the op.

    Returns:
      The pair of the new handle and an int32 tensor of the shape of `index`.

    Raises:
      tf.errors.InvalidArgumentError: if an argument is not as described.
    """
    with tf.name_scope(name or "entropy_decode_index"), tf.device("CPU:0"):
        shape = _checked(shape, Tdecoded)
        lookup = parse_lookup(handle.lookup)
        index = tf.convert_to_tensor(index, tf.int32, name="index")
        expected = tf.concat([handle.shape, shape], 0)
        fits = tf.equal(tf.rank(index), tf.size(expected))
        known = tf.get_static_value(fits)
        if known is None or known:
            fits = tf.reduce_all(tf.equal(tf.shape(index), expected))
        check = require(
            fits,
            "'index' shape should be 'handle' shape followed by 'shape'. Received:",
            tf.shape(index),
            expected,
        )
        with tf.control_dependencies([] if check is None else [check]):
            count = tf.reduce_prod(tf.cast(shape, tf.int64))
        lanes = tf.size(handle.lengths, tf.int64)
        rows = checked_rows(tf.reshape(index, tf.stack([lanes, count])), lookup)
        return _decode(handle, lookup, rows, shape)


@do_not_convert
def entropy_decode_finalize(handle: RangeDecoder, name: str | None = None) -> tf.Tensor:
    """Says whether each string was read to its end and ends as an encoder ends it.

    Args:
      handle: Handle of decoders of some shape.
      name: Name of the op.

    Returns:
      Boolean tensor of that shape.
    """
    with tf.name_scope(name or "entropy_decode_finalize"), tf.device("CPU:0"):
        distance, size, read, possible = tf.unstack(handle.state, axis=1)
        all_read = handle.lengths <= 2 * read
        # The value is in the last two words read; behind the string there are zeros.
        padded = tf.pad(handle.words, [[0, 0], [0, 2]])
        last = tf.shape(padded, tf.int64)[1] - 1
        low = tf.gather(padded, tf.minimum(read - 1, last), batch_dims=1)
        high = tf.gather(padded, tf.minimum(read - 2, last), batch_dims=1)
        value = shift_left(high, 16) | low
        mask = (1 << 32) - 1
        base = (value - distance) & mask
        # The value in [base, base + size) that ends in the most zero bytes.
        final = (base + 0xFFFF) & ~0xFFFF
        for bits in (24, 32):
            rounded = (base + (1 << bits) - 1) & ~((1 << bits) - 1)
            final = where(rounded < base + size, rounded, final)
        ends_well = tf.equal(value, final & mask)
        return tf.reshape(all_read & ends_well & tf.equal(possible, 1), handle.shape)


def _checked(shape: ShapeLike, dtype: DTypeLike) -> tf.Tensor:
    dtype = tf.as_dtype(dtype)
    require(dtype == tf.int32, f"'Tdecoded' must be int32. Received: {dtype.name}.")
    shape = tf.convert_to_tensor(shape, tf.int32, name="shape")
    require(shape.shape.rank != 0, "`shape` must be a vector. Received a scalar.")
    check = require(tf.reduce_all(shape >= 0), "`shape` must not be negative. Received:", shape)
    with tf.control_dependencies([] if check is None else [check]):
        return tf.identity(shape)


def _decode(
    handle: RangeDecoder, lookup: Lookup, rows: tf.Tensor, shape: tf.Tensor
) -> tuple[RangeDecoder, tf.Tensor]:
    decode = (
        serial_decoder.decode_lanes if tf.executing_eagerly() else lockstep_decoder.decode_lanes
    )
    values, state = decode(lookup, handle.words, handle.state, rows)
    values = tf.reshape(tf.cast(values, tf.int32), tf.concat([handle.shape, shape], 0))
    return handle._replace(state=state), values
