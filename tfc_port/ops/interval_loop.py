"""A range decoder's loop that reads one interval in every lane a step, each in its own place.

What a step reads, a symbol of a table or part of a code that follows one, is up to the caller.
Lanes that are done read the whole range, which changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from tfc_port.ops._int64 import shift_left, shift_right, where
from tfc_port.ops._loops import run_loop
from tfc_port.ops.lookup import ROW_SHIFT, Lookup

_WORD = 16


class Reading(NamedTuple):
    """How far lanes have been read: the columns of the state of a `RangeDecoder`, int64 [lanes]."""

    distance: tf.Tensor
    size: tf.Tensor
    read: tf.Tensor
    possible: tf.Tensor


class Step(NamedTuple):
    """What a step did.

    Attributes:
      reading: What it left.
      own: The variables that only it knows.
      complete: Boolean [lanes], whether it found a value.
      value: int64 [lanes], the value; anything where there is none.
    """

    reading: Reading
    own: tuple[tf.Tensor, ...]
    complete: tf.Tensor
    value: tf.Tensor


TakeStep = Callable[["tf.Tensor", "tf.Tensor", Reading, "tuple[tf.Tensor, ...]"], Step]


def decode_places(
    rows: tf.Tensor, state: tf.Tensor, own: tuple[int, ...], take_step: TakeStep
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the values of each lane.

    Args:
      rows: int64 [lanes, n], the row of each value.
      state: int64 [lanes, 4], as in `RangeDecoder`.
      own: What the variables begin with that only `take_step` knows.
      take_step: Function of each lane's row, int64 [lanes], whether it is done, boolean [lanes],
        its `Reading` and those variables, int64 [lanes], that reads one interval. It must end each
        code after some steps, with a value or with what makes the lane impossible.

    Returns:
      int64 [lanes, n], the values found, and the new state.
    """
    lanes, n = tf.unstack(tf.shape(rows, tf.int64))
    zero = tf.zeros([lanes], tf.int64)
    lane = tf.range(lanes)
    # One more column takes what lanes in the middle of a code, or done, write.
    trash = lane * (n + 1) + n
    padded_rows = tf.pad(rows, [[0, 0], [0, 1]])

    def body(
        number: tf.Tensor,
        place: tf.Tensor,
        targets: tf.TensorArray,
        written: tf.TensorArray,
        *variables: tf.Tensor,
    ) -> tuple[Any, ...]:
        reading, own = Reading(*variables[:4]), variables[4:]
        done = (place >= n) | tf.equal(reading.possible, 0)
        row = tf.gather(padded_rows, tf.minimum(place, n), batch_dims=1)
        step = take_step(row, done, reading, own)
        complete = step.complete & ~done
        targets = targets.write(number, where(complete, lane * (n + 1) + place, trash))
        written = written.write(number, step.value)
        place += tf.cast(complete, tf.int64)
        return (number + 1, place, targets, written, *step.reading, *step.own)

    def unfinished(number: tf.Tensor, place: tf.Tensor, *variables: Any) -> tf.Tensor:
        possible = variables[5]
        return tf.reduce_any((place < n) & tf.equal(possible, 1))

    def record(first: tf.Tensor) -> tf.TensorArray:
        record = tf.TensorArray(tf.int64, size=1, dynamic_size=True, element_shape=[rows.shape[0]])
        return record.write(0, first)

    start = (tf.constant(1), zero, record(trash), record(zero), *tf.unstack(state, axis=1))
    results = run_loop(unfinished, body, (*start, *(zero + number for number in own)))
    targets, written = results[2].stack(), results[3].stack()
    values = tf.scatter_nd(
        tf.reshape(targets, [-1, 1]),
        tf.reshape(where(tf.equal(targets, trash), 0, written), [-1]),
        tf.reshape(lanes * (n + 1), [1]),
    )
    values = tf.reshape(values, tf.stack([lanes, n + 1]))[:, :-1]
    return values, tf.stack(results[4:8], axis=1)


def find_count(lookup: Lookup, row: tf.Tensor, reading: Reading) -> tuple[tf.Tensor, tf.Tensor]:
    """The count out of 2**16 that each lane stands at, and where in `lookup.cdf` its symbol ends.

    Both int64 [lanes].
    """
    numerator = shift_left(reading.distance + 1, _WORD) - 1
    count = tf.raw_ops.TruncateDiv(x=numerator, y=reading.size)
    keys = shift_left(row, ROW_SHIFT) + count
    return count, tf.searchsorted(lookup.keys, keys, side="right", out_type=tf.int64)


def narrow(reading: Reading, low: tf.Tensor, high: tf.Tensor, words: tf.Tensor) -> Reading:
    """The state after reading the interval between the counts `low` and `high`, int64 [lanes].

    Args:
      reading: The state before.
      low: The count that the interval begins at.
      high: The count that it ends at.
      words: int64 [lanes, w + 1], 16-bit words, the last being 0.
    """
    distance, size, read, possible = reading
    below = shift_right(size * low, _WORD)
    distance -= below
    size = shift_right(size * high, _WORD) - below
    shifts = size <= 1 << _WORD
    place = tf.minimum(read, tf.shape(words, tf.int64)[1] - 1)
    following = tf.gather(words, place, batch_dims=1)
    shifted = shift_left(distance, _WORD) | following
    return Reading(
        where(shifts, shifted, distance),
        where(shifts, shift_left(size, _WORD), size),
        read + tf.cast(shifts, tf.int64),
        possible,
    )


def with_zeros(words: tf.Tensor) -> tf.Tensor:
    """Words [lanes, w + 1], with a 0 behind those of each lane."""
    return tf.pad(words, [[0, 0], [0, 1]])
