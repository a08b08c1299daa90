"""Run-length coding of integers of which many are zero.

A string is a row of bits, the lowest of each byte first. Numbers x >= 0 are coded either by the
Elias gamma code of g = x + 1: as many zeros as g has bits below its first, a one, and those bits,
the lowest first; or by a Rice code: x >> parameter zeros, a one, and the parameter lowest bits of
x, the lowest first. For each value that is not zero there are: the number of zeros before it, a bit
that is one if it is positive, and its magnitude less one. Zeros behind the last such value are one
more number of zeros. With run lengths for non-zeros, these numbers come only before a run of such
values, less one but for the first, and after each the length of the run less one.
"""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from tfc_port._decorators import do_not_convert
from tfc_port._types import ShapeLike, TensorLike
from tfc_port.ops._checks import require
from tfc_port.ops._int64 import bit_length, shift_left, shift_right, where
from tfc_port.ops._strings import string_of
from tfc_port.ops.run_length_decoder import decode

MAX_RICE = 31
"""Larger parameters would have more bits than the numbers."""

_LARGEST = (1 << 31) - 1
_MOST_BITS = 1 << 31


class _Codes(NamedTuple):
    """Codes of numbers, int64 tensors of one shape: zeros, then the bits of `payload`.

    Attributes:
      zeros: How many zeros.
      payload: The bits after them, the lowest first.
      width: How many these are.
    """

    zeros: tf.Tensor
    payload: tf.Tensor
    width: tf.Tensor


@do_not_convert
def run_length_encode(
    data: TensorLike,
    run_length_code: int,
    magnitude_code: int,
    use_run_length_for_non_zeros: bool,
    name: str | None = None,
) -> tf.Tensor:
    """Codes integers.

    Args:
      data: int32 tensor of any shape; -2**31 is coded as if it were one more.
      run_length_code: Python integer: the Rice code's parameter for numbers of zeros and lengths of
        runs, at most 31; negative for the Elias gamma code.
      magnitude_code: The same for magnitudes.
      use_run_length_for_non_zeros: Whether the lengths of runs of other values are coded.
      name: Name of the op.

    Returns:
      String scalar, TFC's bytes. The shape is not part of it.

    Raises:
      tf.errors.InvalidArgumentError: if an argument is not as described, or the string would be
        longer than 256 MiB.
    """
    with tf.name_scope(name or "run_length_encode"), tf.device("CPU:0"):
        run_code, magnitude_code = _checked_codes(run_length_code, magnitude_code)
        data = tf.convert_to_tensor(data, name="data")
        if data.shape.num_elements() == 0 and data.dtype == tf.float32:
            data = tf.cast(data, tf.int32)  # what an empty Python list becomes
        require(
            data.dtype == tf.int32, f"'data' must have type int32. Received: {data.dtype.name}."
        )
        values = tf.reshape(tf.cast(data, tf.int64), [-1])
        by_runs = bool(use_run_length_for_non_zeros)
        return string_of(_encode(values, run_code, magnitude_code, by_runs))


@do_not_convert
def run_length_decode(
    code: TensorLike,
    shape: ShapeLike,
    run_length_code: int,
    magnitude_code: int,
    use_run_length_for_non_zeros: bool,
    name: str | None = None,
) -> tf.Tensor:
    """Decodes what `run_length_encode` wrote.

    Args:
      code: String scalar.
      shape: int32 vector, the shape of the result.
      run_length_code: As in encoding; the same for the other two.
      magnitude_code: See there.
      use_run_length_for_non_zeros: See there.
      name: Name of the op.

    Returns:
      int32 tensor of shape `shape`. What follows its last value in the string is not looked at.

    Raises:
      tf.errors.InvalidArgumentError: if an argument is not as described, or the string is no code
        of so many values. Time and memory are bounded by the string's length and the shape.
    """
    with tf.name_scope(name or "run_length_decode"), tf.device("CPU:0"):
        run_code, magnitude_code = _checked_codes(run_length_code, magnitude_code)
        code = tf.convert_to_tensor(code, tf.string, name="code")
        require(
            code.shape.rank in (None, 0), f"Invalid `code` shape: {code.shape}. Expected a scalar."
        )
        shape = tf.convert_to_tensor(shape, tf.int32, name="shape")
        require(
            shape.shape.rank in (None, 1),
            f"Invalid `shape` shape: {shape.shape}. Expected a vector.",
        )
        check = require(tf.reduce_all(shape >= 0), "`shape` must be >= 0. Received:", shape)
        with tf.control_dependencies([] if check is None else [check]):
            size = tf.reduce_prod(tf.cast(shape, tf.int64))
        by_runs = bool(use_run_length_for_non_zeros)
        return tf.reshape(decode(code, size, run_code, magnitude_code, by_runs), shape)


def run_length_gamma_encode(data: TensorLike, name: str | None = None) -> tf.Tensor:
    """`run_length_encode` by Elias gamma codes, without lengths of runs of other values.

    Args:
      data: int32 tensor of any shape.
      name: Name of the op.

    Returns:
      String scalar.
    """
    return run_length_encode(data, -1, -1, False, name=name or "run_length_gamma_encode")


def run_length_gamma_decode(
    code: TensorLike, shape: ShapeLike, name: str | None = None
) -> tf.Tensor:
    """Decodes what `run_length_gamma_encode` wrote.

    Args:
      code: String scalar.
      shape: int32 vector, the shape of the result.
      name: Name of the op.

    Returns:
      int32 tensor of shape `shape`.

    Raises:
      tf.errors.InvalidArgumentError: as `run_length_decode`.
    """
    return run_length_decode(code, shape, -1, -1, False, name=name or "run_length_gamma_decode")


def _checked_codes(run_length_code: int, magnitude_code: int) -> tuple[int, int]:
    def checked(name: str, parameter: int) -> int:
        require(
            parameter <= MAX_RICE, f"`{name}` must be at most {MAX_RICE}. Received: {parameter}."
        )
        return max(parameter, -1)

    run_code = checked("run_length_code", int(run_length_code))
    return run_code, checked("magnitude_code", int(magnitude_code))


def _encode(values: tf.Tensor, run_code: int, magnitude_code: int, by_runs: bool) -> tf.Tensor:
    """The bytes of the string, int64 [n]."""
    place = tf.where(tf.not_equal(values, 0))[:, 0]
    count = tf.size(place, tf.int64)
    previous = tf.concat([[tf.constant(-1, tf.int64)], place], 0)
    zeros = place - previous[:-1] - 1
    left = tf.size(values, tf.int64) - 1 - previous[-1]
    value = tf.gather(values, place)
    magnitude = tf.minimum(tf.abs(value), _LARGEST) - 1
    if by_runs:
        starts = (zeros > 0) | tf.equal(tf.range(count), 0)
        run_starts = tf.where(starts)[:, 0]
        lengths = tf.concat([run_starts[1:], [count]], 0)[: tf.size(run_starts)] - run_starts
        lengths = tf.scatter_nd(run_starts[:, tf.newaxis], lengths, tf.stack([count]))
        # The first number of zeros may be 0.
        later = tf.cast(previous[:-1] >= 0, tf.int64)
        fields = [
            _keep(_code(tf.maximum(zeros - later, 0), run_code), starts),
            _keep(_code(tf.maximum(lengths - 1, 0), run_code), starts),
        ]
        rest = left - tf.cast(count > 0, tf.int64)
    else:
        fields = [_code(zeros, run_code)]
        rest = left
    sign = tf.cast(value > 0, tf.int64)
    fields += [
        _Codes(tf.zeros_like(sign), sign, tf.ones_like(sign)),
        _code(magnitude, magnitude_code),
    ]
    last = _keep(_code(tf.maximum(rest, 0)[tf.newaxis], run_code), (left > 0)[tf.newaxis])
    codes = [
        tf.concat([tf.reshape(tf.stack(parts, 1), [-1]), end], 0)
        for parts, end in zip(zip(*fields), last)
    ]
    return _assemble(_Codes(*codes))


def _code(number: tf.Tensor, parameter: int) -> _Codes:
    if parameter < 0:
        number += 1
        below = bit_length(number) - 1
        payload = 1 | shift_left(number - shift_left(tf.ones_like(number), below), 1)
        return _Codes(below, payload, below + 1)
    rest = number & ((1 << parameter) - 1)
    return _Codes(
        shift_right(number, parameter),
        1 | shift_left(rest, 1),
        tf.fill(tf.shape(number), tf.constant(parameter + 1, tf.int64)),
    )


def _keep(codes: _Codes, present: tf.Tensor) -> _Codes:
    return _Codes(*(where(present, field, 0) for field in codes))


def _assemble(codes: _Codes) -> tf.Tensor:
    ends = tf.cumsum(codes.zeros + codes.width)
    bits = tf.reduce_max(tf.concat([ends, [0]], 0))
    check = require(
        bits <= _MOST_BITS,
        "The string would be longer than 256 MiB: raise the codes' parameters. Received bits:",
        bits,
    )
    with tf.control_dependencies([] if check is None else [check]):
        size = (bits + 7) // 8
    owner = tf.repeat(tf.range(tf.size(ends)), codes.width)
    within = tf.range(tf.size(owner, tf.int64))
    within -= tf.gather(tf.cumsum(codes.width, exclusive=True), owner)
    bit = tf.bitwise.right_shift(tf.gather(codes.payload, owner), within) & 1
    position = tf.gather(ends - codes.width, owner) + within
    return tf.math.unsorted_segment_sum(
        tf.bitwise.left_shift(bit, position & 7), shift_right(position, 3), size
    )
