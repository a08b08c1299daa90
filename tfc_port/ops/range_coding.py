"""The range coder's older ops: whole tensors to one string, by tables given as tensors."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfc_port._decorators import do_not_convert
from tfc_port._types import ShapeLike, TensorLike
from tfc_port.ops import digit_overflow, digit_overflow_decoder, lockstep_decoder, serial_decoder
from tfc_port.ops._checks import require
from tfc_port.ops._int64 import shift_left, where
from tfc_port.ops.decoder import read_strings
from tfc_port.ops.encoder import checked_rows, intervals_to_strings
from tfc_port.ops.lookup import FULL_PRECISION, ROW_SHIFT, Lookup

_BAD_INDEX = "'index' must be in [0, number of rows of 'cdf')."


@do_not_convert
def range_encode(
    data: TensorLike, cdf: TensorLike, precision: int, debug_level: int = 1, name: str | None = None
) -> tf.Tensor:
    """Codes symbols by cumulative counts that are broadcast to them.

    Args:
      data: int16 tensor; symbols, counted from 0.
      cdf: int32 tensor with one more dimension than `data`, the others being those of `data` or 1:
        counts that rise strictly from 0 to 2**precision.
      precision: Python integer, 1 to 16.
      debug_level: 0 or 1; arguments are checked in either case.
      name: Name of the op.

    Returns:
      String scalar, TFC's bytes.

    Raises:
      tf.errors.InvalidArgumentError: if an argument is not as described.
    """
    with tf.name_scope(name or "range_encode"), tf.device("CPU:0"):
        data = _typed(data, tf.int16, "data")
        cdf = _typed(cdf, tf.int32, "cdf")
        lookup, rows = _broadcast_tables(data.shape, tf.shape(data), cdf, precision)
        _check_debug_level(debug_level)
        values = tf.reshape(tf.cast(data, tf.int64), [1, -1])
        size = tf.shape(cdf, tf.int64)[-1] - 1
        check = require(
            tf.reduce_all((values >= 0) & (values < size)),
            "'data' must be in [0, number of symbols). Received (number, then data):",
            size,
            data,
        )
        with tf.control_dependencies([] if check is None else [check]):
            first = tf.gather(lookup.starts, rows) + values
        low, high = tf.gather(lookup.cdf, first), tf.gather(lookup.cdf, first + 1)
        return tf.reshape(intervals_to_strings(tf.stack([low, high], axis=-1)), [])


@do_not_convert
def range_decode(
    encoded: TensorLike,
    shape: ShapeLike,
    cdf: TensorLike,
    precision: int,
    debug_level: int = 1,
    name: str | None = None,
) -> tf.Tensor:
    """Decodes what `range_encode` wrote.

    Args:
      encoded: String scalar.
      shape: int32 vector, the shape of the result.
      cdf: As in encoding; the same for the others.
      precision: See there.
      debug_level: See there.
      name: Name of the op.

    Returns:
      int16 tensor of shape `shape`: other symbols where the string is not of these tables.

    Raises:
      tf.errors.InvalidArgumentError: if an argument is not as described.
    """
    with tf.name_scope(name or "range_decode"), tf.device("CPU:0"):
        encoded = _scalar_string(encoded)
        shape = tf.convert_to_tensor(shape, tf.int32, name="shape")
        require(
            shape.shape.rank in (None, 1),
            f"Invalid `shape` shape: {shape.shape}. Expected a vector.",
        )
        negative = require(tf.reduce_all(shape >= 0), "`shape` must be >= 0. Received:", shape)
        known = tf.get_static_value(shape)
        static = tf.TensorShape(None if known is None else known.tolist())
        if known is None and shape.shape.rank == 1:
            static = tf.TensorShape([None] * shape.shape[0])
        lookup, rows = _broadcast_tables(static, shape, _typed(cdf, tf.int32, "cdf"), precision)
        _check_debug_level(debug_level)
        with tf.control_dependencies([] if negative is None else [negative]):
            words, _, state = read_strings(encoded[tf.newaxis])
        eager = tf.executing_eagerly()
        decode = serial_decoder.decode_lanes if eager else lockstep_decoder.decode_lanes
        values, _ = decode(lookup, words, state, rows)
        return tf.reshape(tf.cast(values, tf.int16), shape)


@do_not_convert
def unbounded_index_range_encode(
    data: TensorLike,
    index: TensorLike,
    cdf: TensorLike,
    cdf_size: TensorLike,
    offset: TensorLike,
    precision: int,
    overflow_width: int,
    debug_level: int = 1,
    name: str | None = None,
) -> tf.Tensor:
    """Codes integers by tables given one by one, whatever their size.

    Args:
      data: int32 tensor.
      index: int32 tensor of its shape: the table of each.
      cdf: int32 tensor [tables, size]: rows of counts that rise strictly from 0 to 2**precision.
        The last symbol announces a value outside the table, which is coded behind it.
      cdf_size: int32 [tables]: how many counts of each row there are, at least 3.
      offset: int32 [tables]: the value of each row's first symbol.
      precision: As for `range_encode`; so are `debug_level`, `name` and the result.
      overflow_width: Python integer, 1 to 16: bits of a digit of what is coded behind.
      debug_level: See there.
      name: See there.

    Returns:
      String scalar.

    Raises:
      tf.errors.InvalidArgumentError: if an argument is not as described.
    """
    with tf.name_scope(name or "unbounded_index_range_encode"), tf.device("CPU:0"):
        data = _typed(data, tf.int32, "data")
        index = _typed(index, tf.int32, "index")
        require(
            data.shape.is_compatible_with(index.shape),
            f"`data` and `index` should have the same shape: data.shape={data.shape}, "
            f"index.shape={index.shape}.",
        )
        tables = unbounded_tables(cdf, cdf_size, offset, precision, overflow_width)
        _check_debug_level(debug_level)
        strings = encode_unbounded(
            tf.reshape(data, [1, -1]), tf.reshape(index, [1, -1]), tables, overflow_width
        )
        return tf.reshape(strings, [])


@do_not_convert
def unbounded_index_range_decode(
    encoded: TensorLike,
    index: TensorLike,
    cdf: TensorLike,
    cdf_size: TensorLike,
    offset: TensorLike,
    precision: int,
    overflow_width: int,
    debug_level: int = 1,
    name: str | None = None,
) -> tf.Tensor:
    """Decodes what `unbounded_index_range_encode` wrote.

    Args:
      encoded: String scalar.
      index: As in encoding; the same for the others.
      cdf: See there.
      cdf_size: See there.
      offset: See there.
      precision: See there.
      overflow_width: See there.
      debug_level: See there.
      name: Name of the op.

    Returns:
      int32 tensor of the shape of `index`: other values where the string is not of these tables.

    Raises:
      tf.errors.InvalidArgumentError: if an argument is not as described, or the string holds a code
        that no encoder writes.
    """
    with tf.name_scope(name or "unbounded_index_range_decode"), tf.device("CPU:0"):
        encoded = _scalar_string(encoded)
        index = _typed(index, tf.int32, "index")
        tables = unbounded_tables(cdf, cdf_size, offset, precision, overflow_width)
        _check_debug_level(debug_level)
        rows = tf.reshape(index, [1, -1])
        values = decode_unbounded(encoded[tf.newaxis], rows, tables, overflow_width)
        return tf.reshape(values, tf.shape(index))


def unbounded_tables(
    cdf: TensorLike, cdf_size: TensorLike, offset: TensorLike, precision: int, overflow_width: int
) -> tuple[Lookup, tf.Tensor]:
    """The checked tables of the unbounded ops.

    Args:
      cdf: As in `unbounded_index_range_encode`; the same for the others.
      cdf_size: See there.
      offset: See there.
      precision: See there.
      overflow_width: See there.

    Returns:
      The pair of a `Lookup` and the int64 offsets [tables].
    """
    precision = _checked_precision(precision)
    require(
        1 <= int(overflow_width) <= FULL_PRECISION,
        f"`overflow_width` must be in [1, {FULL_PRECISION}]. Received: {overflow_width}.",
    )
    cdf = tf.cast(_typed(cdf, tf.int32, "cdf"), tf.int64)
    cdf_size = tf.cast(_typed(cdf_size, tf.int32, "cdf_size"), tf.int64)
    offset = tf.cast(_typed(offset, tf.int32, "offset"), tf.int64)
    require(
        cdf.shape.rank in (None, 2) and (cdf.shape.rank is None or (cdf.shape[1] or 3) >= 3),
        f"'cdf' should be 2-D and cdf.dim_size(1) >= 3: {cdf.shape}.",
    )
    for name, vector in (("cdf_size", cdf_size), ("offset", offset)):
        require(
            vector.shape.rank in (None, 1)
            and (cdf.shape.rank is None or vector.shape.is_compatible_with(cdf.shape[:1])),
            f"'{name}' should be 1-D and its length should match the number of rows in 'cdf': "
            f"{name}.shape={vector.shape}, cdf.shape={cdf.shape}.",
        )
    cdf = tf.ensure_shape(cdf, [None, None])
    rows, width = tf.unstack(tf.shape(cdf, tf.int64))
    checks = [
        require(width >= 3, "'cdf' should be 2-D and cdf.dim_size(1) >= 3. Received:", width),
        require(
            tf.equal(tf.size(cdf_size, tf.int64), rows) & tf.equal(tf.size(offset, tf.int64), rows),
            "'cdf_size' and 'offset' should be as long as 'cdf' has rows. Received:",
            tf.size(cdf_size),
            tf.size(offset),
            rows,
        ),
        require(
            tf.reduce_all((cdf_size >= 3) & (cdf_size <= width)),
            "'cdf_size' must be in [3, cdf.dim_size(1)]. Received:",
            cdf_size,
        ),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        cdf_size = tf.ensure_shape(tf.identity(cdf_size), [None])
    return _lookup(cdf, cdf_size, precision, overflow=1), offset


def encode_unbounded(
    data: tf.Tensor, index: tf.Tensor, tables: tuple[Lookup, tf.Tensor], overflow_width: int
) -> tf.Tensor:
    """Codes integers [strings, n], int32, by the tables of the same shape, as strings [strings]."""
    lookup, offset = tables
    rows = checked_rows(index, lookup, _BAD_INDEX)
    values = tf.cast(data, tf.int64) - tf.gather(offset, rows)
    return intervals_to_strings(
        digit_overflow.to_intervals(lookup, rows, values, int(overflow_width))
    )


def decode_unbounded(
    strings: tf.Tensor, index: tf.Tensor, tables: tuple[Lookup, tf.Tensor], overflow_width: int
) -> tf.Tensor:
    """Decodes strings [strings] to integers int32 [strings, n] by the tables of the same shape.

    Raises:
      tf.errors.InvalidArgumentError: if a string holds a code that no encoder writes.
    """
    lookup, offset = tables
    rows = checked_rows(index, lookup, _BAD_INDEX)
    words, _, state = read_strings(strings)
    values, state = digit_overflow_decoder.decode_lanes(
        lookup, words, state, rows, int(overflow_width)
    )
    values += tf.gather(offset, rows)
    sound = tf.reduce_all(tf.equal(state[:, 3], 1))
    sound &= tf.reduce_all((values >= tf.int32.min) & (values <= tf.int32.max))
    check = require(
        sound, "'encoded' is damaged: it holds a code of a value that does not fit int32."
    )
    with tf.control_dependencies([] if check is None else [check]):
        return tf.cast(values, tf.int32)


def _broadcast_tables(
    static_shape: tf.TensorShape, shape: tf.Tensor, cdf: tf.Tensor, precision: int
) -> tuple[Lookup, tf.Tensor]:
    """The tables, and the row of each symbol, int64 [1, n]."""
    precision = _checked_precision(precision)
    rank, cdf_rank = static_shape.rank, cdf.shape.rank
    require(
        rank is not None and cdf_rank is not None,
        "The ranks of `cdf` and of the data must be known when the graph is made.",
    )
    require(
        cdf_rank == rank + 1,
        f"`cdf` should have one more axis than `data`: data shape={static_shape}, "
        f"cdf shape={cdf.shape}.",
    )
    prefix = tf.shape(cdf)[:-1]
    symbols = tf.shape(cdf, tf.int64)[-1]
    checks = [
        require(symbols > 2, "CDF size should be > 2. Received:", symbols),
        require(
            tf.reduce_all(tf.equal(prefix, shape) | tf.equal(prefix, 1)),
            "`cdf` can't be broadcast to the data. Received shapes:",
            tf.shape(cdf),
            shape,
        ),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        count = tf.reduce_prod(tf.cast(prefix, tf.int64))
        flat = tf.reshape(tf.cast(cdf, tf.int64), tf.stack([count, symbols]))
    number = tf.reshape(tf.range(tf.shape(flat, tf.int64)[0]), prefix)
    rows = tf.reshape(tf.broadcast_to(number, shape), [1, -1])
    sizes = tf.fill(tf.shape(flat)[:1], symbols)
    return _lookup(flat, sizes, precision, overflow=0), rows


def _lookup(cdf: tf.Tensor, sizes: tf.Tensor, precision: int, overflow: int) -> Lookup:
    """Rows int64 [rows, width], of which the first `sizes` counts are there, as a `Lookup`."""
    rows, width = tf.unstack(tf.shape(cdf, tf.int64))
    place = tf.range(width)[tf.newaxis]
    present = place < sizes[:, tf.newaxis]
    ends = tf.gather(cdf, sizes - 1, batch_dims=1)
    rises = (cdf[:, 1:] > cdf[:, :-1]) | ~present[:, 1:]
    checks = [
        require(
            tf.reduce_all(tf.equal(cdf[:, 0], 0) & tf.equal(ends, 1 << precision)),
            f"Each CDF should start from 0 and end at {1 << precision}. Received:",
            cdf[:, 0],
            ends,
        ),
        require(tf.reduce_all(rises), "CDF is not monotonic: it must rise strictly."),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        counts = where(present, shift_left(cdf, FULL_PRECISION - precision), 1 << FULL_PRECISION)
    keys = counts + shift_left(tf.range(rows), ROW_SHIFT)[:, tf.newaxis]
    return Lookup(
        cdf=tf.reshape(counts, [-1]),
        keys=tf.reshape(keys, [-1]),
        starts=tf.range(rows) * width,
        symbols=sizes - 1,
        overflow=tf.fill(tf.shape(sizes), tf.constant(overflow, tf.int64)),
    )


def _checked_precision(precision: int) -> int:
    precision = int(precision)
    require(
        1 <= precision <= FULL_PRECISION,
        f"`precision` must be in [1, {FULL_PRECISION}]: {precision}.",
    )
    return precision


def _check_debug_level(debug_level: int) -> None:
    require(int(debug_level) in (0, 1), f"`debug_level` must be 0 or 1. Received: {debug_level}.")


def _typed(tensor: Any, dtype: tf.DType, name: str) -> tf.Tensor:
    if not tf.is_tensor(tensor) and not isinstance(tensor, tf.Variable):
        return tf.convert_to_tensor(tensor, dtype, name=name)
    require(
        tensor.dtype == dtype,
        f"'{name}' must have type {dtype.name}. Received: {tensor.dtype.name}.",
    )
    return tf.convert_to_tensor(tensor)


def _scalar_string(encoded: TensorLike) -> tf.Tensor:
    encoded = tf.convert_to_tensor(encoded, tf.string, name="encoded")
    require(
        encoded.shape.rank in (None, 0),
        f"Invalid `encoded` shape: {encoded.shape}. Expected a scalar.",
    )
    return tf.reshape(encoded, [])
