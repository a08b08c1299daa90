"""Run-length decoding, all codes of a string at a time.

Where a code ends follows from where it begins. For every bit of the string as a beginning that is
computed at once, and so is where two codes end, four, and so on: which beginnings are met on the
way from the first takes as many steps as the number of codes has digits. Nothing loops as often as
a string says.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import tensorflow as tf

from tfc_port.ops._checks import require
from tfc_port.ops._int64 import shift_left
from tfc_port.ops._loops import run_loop
from tfc_port.ops._strings import octets_of

_TOO_MANY = 31
"""Zeros that begin no gamma code of a number that int32 holds."""

_MOST_OCTETS = (1 << 28) - 1
_GOES_ON, _COMPLETE, _OUT_OF_BITS, _PAST_END, _TOO_LARGE = range(5)


def decode(
    code: tf.Tensor,
    size: tf.Tensor,
    run_code: int | tf.Tensor,
    magnitude_code: int | tf.Tensor,
    by_runs: bool,
) -> tf.Tensor:
    """Decodes `size` values.

    Args:
      code: String scalar.
      size: int64 scalar.
      run_code: int32 scalar, -1 for the gamma code or a Rice code's parameter.
      magnitude_code: The same.
      by_runs: Whether the lengths of runs of other values than zero are in the string.

    Returns:
      int32 [size].

    Raises:
      tf.errors.InvalidArgumentError: if the string is no code of so many values.
    """
    if tf.executing_eagerly():
        # Many small ops: as a graph they take a small part of the time.
        values, status = _function(by_runs)(code, size, run_code, magnitude_code)
    else:
        values, status = _decode(code, size, run_code, magnitude_code, by_runs)
    checks = [
        require(tf.not_equal(status, _OUT_OF_BITS), "Out of bits to read."),
        require(tf.not_equal(status, _PAST_END), "Decoded past end of tensor."),
        require(
            tf.not_equal(status, _TOO_LARGE),
            "Exceeded maximum gamma bit width, or what int32 holds.",
        ),
    ]
    with tf.control_dependencies([check for check in checks if check is not None]):
        return tf.identity(values)


@functools.lru_cache(maxsize=2)
def _function(by_runs: bool) -> Callable[..., tuple[tf.Tensor, tf.Tensor]]:
    return tf.function(
        lambda code, size, run_code, magnitude_code: _decode(
            code, size, run_code, magnitude_code, by_runs
        ),
        input_signature=[
            tf.TensorSpec([], tf.string),
            tf.TensorSpec([], tf.int64),
            tf.TensorSpec([], tf.int32),
            tf.TensorSpec([], tf.int32),
        ],
        autograph=False,
    )


def _decode(
    code: tf.Tensor,
    size: tf.Tensor,
    run_code: int | tf.Tensor,
    magnitude_code: int | tf.Tensor,
    by_runs: bool,
) -> tuple[tf.Tensor, tf.Tensor]:
    run_code, magnitude_code = tf.cast(run_code, tf.int32), tf.cast(magnitude_code, tf.int32)
    check = require(
        tf.strings.length(code) <= _MOST_OCTETS, "A string must be shorter than 256 MiB."
    )
    with tf.control_dependencies([] if check is None else [check]):
        bits = _Bits(octets_of(code))
    run_ends = bits.code_ends(run_code)
    pair_ends = _then(bits.after_one(), bits.code_ends(magnitude_code))
    by = _by_runs if by_runs else _one_by_one
    place, position, status = by(bits, run_ends, pair_ends, size, run_code, magnitude_code)
    sign = bits.at(position)
    magnitude, too_large = bits.numbers(position + 1, magnitude_code)
    too_large |= magnitude >= (1 << 31) - 1
    status = tf.where(tf.equal(status, _COMPLETE) & tf.reduce_any(too_large), _TOO_LARGE, status)
    value = tf.cast(magnitude + 1, tf.int32) * (2 * sign - 1)
    complete = tf.equal(status, _COMPLETE)
    # Without values where the string is not sound.
    keep = tf.where(complete, tf.size(place), 0)
    shape = tf.where(complete, size, 0)[tf.newaxis]
    return tf.scatter_nd(place[:keep, tf.newaxis], value[:keep], shape), status


class _Bits:
    """The bits of a string; positions are int32, and the last but one stands for its end.

    The last position is where reading ends that would go on behind the end.
    """

    def __init__(self, octets: tf.Tensor) -> None:
        self.count = 8 * tf.size(octets)
        self.nowhere = self.count + 1
        self._octets = tf.pad(octets, [[0, 6]])
        bits = tf.bitwise.right_shift(octets[:, tf.newaxis], tf.range(8)) & 1
        bits = tf.reshape(bits, [-1])
        ones = tf.concat([tf.cast(tf.where(bits > 0)[:, 0], tf.int32), [self.nowhere]], 0)
        following = tf.gather(ones, tf.cumsum(bits, exclusive=True))
        # For each position the next one bit, from there on.
        self._next_one = tf.concat([following, tf.fill([2], self.nowhere)], 0)

    def positions(self) -> tf.Tensor:
        """All positions, [count + 2]."""
        return tf.range(self.count + 2)

    def after_one(self) -> tf.Tensor:
        """For each position the one behind it, [count + 2]."""
        return tf.minimum(self.positions() + 1, self.nowhere)

    def at(self, position: tf.Tensor) -> tf.Tensor:
        """The bits at positions."""
        octet = tf.gather(self._octets, tf.minimum(position, self.count) // 8)
        return tf.bitwise.right_shift(octet, position & 7) & 1

    def code_ends(self, parameter: tf.Tensor) -> tf.Tensor:
        """For each position as a beginning of a code, where it ends, [count + 2]."""
        one = self._next_one
        below = tf.where(parameter < 0, tf.minimum(one - self.positions(), _TOO_MANY), parameter)
        ends = one + 1 + below
        broken = (one > self.count) | (ends > self.count) | self._too_wide(below, parameter)
        return tf.where(broken, self.nowhere, ends)

    @staticmethod
    def _too_wide(zeros: tf.Tensor, parameter: tf.Tensor) -> tf.Tensor:
        return (parameter < 0) & (zeros >= tf.cast(_TOO_MANY, zeros.dtype))

    def numbers(self, position: tf.Tensor, parameter: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The numbers coded at positions, int64, and whether each is too large for its code."""
        position = tf.minimum(position, self.nowhere)
        one = tf.gather(self._next_one, position)
        zeros = tf.cast(one - position, tf.int64)
        first = tf.minimum(one + 1, self.count)
        octet = first // 8
        window = tf.zeros_like(zeros)
        for place in range(5):
            part = tf.cast(tf.gather(self._octets, octet + place), tf.int64)
            window |= shift_left(part, 8 * place)
        window = tf.bitwise.right_shift(window, tf.cast(first & 7, tf.int64))
        below = tf.cast(tf.maximum(parameter, 0), tf.int64)
        below = tf.where(parameter < 0, tf.minimum(zeros, _TOO_MANY), below)
        power = shift_left(tf.ones_like(zeros), below)
        rest = window & (power - 1)
        number = tf.where(parameter < 0, rest + power - 1, zeros * power + rest)
        return number, self._too_wide(zeros, parameter) | (number >= 1 << 31)

    def breaks(self, position: tf.Tensor, parameter: tf.Tensor) -> tf.Tensor:
        """What is wrong with codes that end nowhere: a status for each position."""
        one = tf.gather(self._next_one, tf.minimum(position, self.nowhere))
        too_wide = (one <= self.count) & self._too_wide(one - position, parameter)
        return tf.where(too_wide, _TOO_LARGE, _OUT_OF_BITS)


def _then(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Where `second` ends that begins where `first` ends, for each position."""
    return tf.gather(second, first)


def _follow(start: tf.Tensor, jump: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
    """Where one is after so many jumps, each from a position to its entry in `jump`."""

    def body(
        left: tf.Tensor, position: tf.Tensor, jump: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        position = tf.where(tf.equal(left & 1, 1), tf.gather(jump, position), position)
        return tf.bitwise.right_shift(left, tf.ones_like(left)), position, tf.gather(jump, jump)

    return run_loop(lambda left, *_: tf.reduce_any(left > 0), body, (times, start, jump))[1]


def _steps(bits: _Bits, size: tf.Tensor, shortest: int) -> tf.Tensor:
    """More steps than there can be, when each takes a value and `shortest` bits at least."""
    return tf.cast(tf.minimum(size, tf.cast(bits.count // shortest, tf.int64)), tf.int32) + 1


def _first_end(statuses: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The first step whose status ends the decoding, and that status."""
    ends = tf.cast(tf.argmax(tf.cast(tf.not_equal(statuses, _GOES_ON), tf.int32)), tf.int32)
    return ends, statuses[ends]


def _one_by_one(
    bits: _Bits,
    run_ends: tf.Tensor,
    pair_ends: tf.Tensor,
    size: tf.Tensor,
    run_code: int | tf.Tensor,
    magnitude_code: int | tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Places of the values that are not zero, int64; where their signs are; the outcome."""
    steps = _steps(bits, size, 3)
    number = tf.range(steps)
    begins = _follow(tf.zeros_like(number), _then(run_ends, pair_ends), number)
    zeros, _ = bits.numbers(begins, run_code)
    signs = tf.gather(run_ends, begins)
    # What stands behind a code that ends nowhere is not read; its number may be anything.
    zeros = tf.where(signs > bits.count, tf.constant(0, tf.int64), zeros)
    place = tf.cumsum(zeros) + tf.cast(number, tf.int64)
    after = tf.gather(pair_ends, signs)
    broken = bits.breaks(signs + 1, magnitude_code)
    statuses = tf.where(after > bits.count, broken, _GOES_ON)
    statuses = tf.where(place > size, _PAST_END, statuses)
    statuses = tf.where(tf.equal(place, size), _COMPLETE, statuses)
    statuses = tf.where(signs > bits.count, bits.breaks(begins, run_code), statuses)
    # Complete without a further code, the value before being the last.
    done = tf.equal(tf.concat([[tf.constant(0, tf.int64)], place[:-1] + 1], 0), size)
    statuses = tf.where(done, _COMPLETE, statuses)
    end, status = _first_end(statuses)
    return place[:end], signs[:end], status


def _by_runs(
    bits: _Bits,
    run_ends: tf.Tensor,
    pair_ends: tf.Tensor,
    size: tf.Tensor,
    run_code: int | tf.Tensor,
    magnitude_code: int | tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The same, with runs of values that are not zero."""
    del magnitude_code
    count_at = run_ends
    values_at = _then(run_ends, run_ends)
    counts, _ = bits.numbers(count_at, run_code)
    most = tf.cast(bits.count, tf.int64)
    run_after = _follow(values_at, pair_ends, tf.cast(tf.minimum(counts, most) + 1, tf.int32))
    steps = _steps(bits, size, 2)
    number = tf.range(steps)
    begins = _follow(tf.zeros_like(number), run_after, number)
    zeros, _ = bits.numbers(begins, run_code)
    zeros += tf.cast(number > 0, tf.int64)
    counts_at = tf.gather(count_at, begins)
    lengths = tf.gather(counts, begins) + 1
    values_at = tf.gather(values_at, begins)
    no_zeros, no_length = counts_at > bits.count, values_at > bits.count
    zeros = tf.where(no_zeros, tf.constant(0, tf.int64), zeros)
    lengths = tf.where(no_length, tf.constant(1, tf.int64), lengths)
    after = tf.cumsum(zeros + lengths)
    place = after - lengths
    statuses = tf.where(tf.gather(run_after, begins) > bits.count, _OUT_OF_BITS, _GOES_ON)
    statuses = tf.where(after > size, _PAST_END, statuses)
    statuses = tf.where(no_length, bits.breaks(counts_at, run_code), statuses)
    statuses = tf.where(place > size, _PAST_END, statuses)
    statuses = tf.where(tf.equal(place, size), _COMPLETE, statuses)
    statuses = tf.where(no_zeros, bits.breaks(begins, run_code), statuses)
    done = tf.equal(tf.concat([[tf.constant(0, tf.int64)], after[:-1]], 0), size)
    statuses = tf.where(done, _COMPLETE, statuses)
    end, status = _first_end(statuses)
    # Runs that do not fit have not been let pass, so these are no more than `size`.
    lengths = tf.where(tf.equal(status, _COMPLETE), lengths[:end], tf.zeros_like(lengths[:end]))
    owner = tf.repeat(tf.range(end), lengths)
    within = tf.range(tf.size(owner, tf.int64))
    within -= tf.gather(tf.cumsum(lengths, exclusive=True), owner)
    signs = _follow(tf.gather(values_at, owner), pair_ends, tf.cast(within, tf.int32))
    return tf.gather(place, owner) + within, signs, status
