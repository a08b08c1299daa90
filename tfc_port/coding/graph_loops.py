"""The range coder on N streams in lockstep, in core TensorFlow operations.

Numbers are held in float64, which computes them exactly: a product of an interval's size (at most
2**32) and a count (at most 2**16) has at most 48 bits, and so has the code value with 16 bits of
fraction behind it. A loop step codes `UNROLL` symbols of every stream, since it is the number of
operations, not their size, that takes the time; and among them arithmetic takes a third of what
`tf.where` and `tf.gather` do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfc_port.coding.graph_tables import WHOLE

UNROLL = 16

_REAL = tf.float64
_WORD = float(WHOLE)
_PER_WORD = 1 / _WORD
_RANGE = _WORD * _WORD


def whole_steps(symbols: tf.Tensor, streams: tf.Tensor) -> tf.Tensor:
    """Returns how many symbols a stream takes, filler included: a multiple of `UNROLL`, not 0."""
    steps = -(-symbols // streams)
    return tf.maximum(-(-steps // UNROLL), 1) * UNROLL


def deal(array: tf.Tensor, steps: tf.Tensor, streams: tf.Tensor, filler: int) -> tf.Tensor:
    """Returns [m] as [steps, streams], the k-th in stream k mod N, with filler at the end."""
    missing = steps * streams - tf.size(array)
    return tf.reshape(tf.pad(array, [[0, missing]], constant_values=filler), [steps, streams])


def final_value(base: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Returns the value in [base, base + size) that ends in the most zero bytes of four.

    float64; `size` is more than 2**16, so that there is a multiple of 2**16 at least.
    """
    end = base + size
    by32 = tf.math.ceil(base / _RANGE) * _RANGE
    by24 = tf.math.ceil(base / 2.0**24) * 2.0**24
    by16 = tf.math.ceil(base / _WORD) * _WORD
    return tf.where(by32 < end, by32, tf.where(by24 < end, by24, by16))


def shift_room(size: tf.Tensor) -> tf.Tensor:
    """Returns a number that is positive where an interval this small is shifted by a word."""
    return (_WORD + 0.5) - size


def divide_unless(positive: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Returns value where `positive` is, else value / 2**16: one cheap operation."""
    return tf.raw_ops.LeakyReluGrad(gradients=value, features=positive, alpha=_PER_WORD)


def zero_unless(positive: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    """Returns value where `positive` is, else 0: one cheap operation."""
    return tf.raw_ops.ReluGrad(gradients=value, features=positive)


def narrow(
    entries: tf.Tensor, low: tf.Tensor, high: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Encodes, but for adding up: narrows the interval symbol by symbol.

    Args:
      entries: int32 [steps, N]; steps a multiple of `UNROLL`.
      low: float64 [entries], their lower cumulative counts.
      high: float64 [entries], their upper ones.

    Returns:
      float64 [steps, N], where in the interval so far each symbol's begins; bool [steps, N],
      whether it is then shifted by a word; float64 [N], the sizes of the last intervals.
    """
    streams = tf.shape(entries)[1]
    entries = tf.reshape(entries, [-1, UNROLL, streams])
    blocks = tf.shape(entries)[0]

    def block(
        index: tf.Tensor, scaled: tf.Tensor, begins: tf.Tensor, rooms: tf.Tensor
    ) -> tuple[Any, ...]:
        begun, left = [], []
        coded = tf.gather(entries, index)
        lows, highs = tf.unstack(tf.gather(low, coded)), tf.unstack(tf.gather(high, coded))
        for lower, upper in zip(lows, highs):
            begin = tf.floor(scaled * lower)
            size = tf.floor(scaled * upper) - begin
            room = shift_room(size)
            scaled = divide_unless(room, size)
            begun.append(begin)
            left.append(room)
        begins = begins.write(index, tf.stack(begun))
        return index + 1, scaled, begins, rooms.write(index, tf.stack(left))

    # The size is held divided by 2**16, by which counts are to be divided.
    _, scaled, begins, rooms = tf.while_loop(
        lambda index, *_: index < blocks,
        block,
        (
            tf.constant(0),
            tf.fill([streams], tf.constant(_WORD, _REAL)),
            tf.TensorArray(_REAL, blocks, element_shape=[UNROLL, None]),
            tf.TensorArray(_REAL, blocks, element_shape=[UNROLL, None]),
        ),
        shape_invariants=(
            tf.TensorShape([]),
            tf.TensorShape([None]),
            tf.TensorShape(None),
            tf.TensorShape(None),
        ),
    )
    shape = [-1, streams]
    return tf.reshape(begins.stack(), shape), tf.reshape(rooms.stack(), shape) > 0, scaled * _WORD


def find_entries(
    words: tf.Tensor,
    first: tf.Tensor,
    last: tf.Tensor,
    bases: tf.Tensor,
    find: Callable[[tf.Tensor], tf.Tensor],
    low: tf.Tensor,
    high: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Decodes.

    Args:
      words: int32 [words], the 16-bit words of all streams.
      first: int32 [N], where each stream's begin.
      last: int32 [N], from where on each stream's words are 0; there are two before it at least,
        and `UNROLL` from it on.
      bases: int32 [steps, N], where each symbol's row begins in the numbering of all counts; steps
        a multiple of `UNROLL`.
      find: from such numbers, int32 [N], to the entries there; see `GraphTables.finder`.
      low: float64 [entries], the entries' lower cumulative counts.
      high: float64 [entries], their upper ones.

    Returns:
      int32 [steps, N], the entries; int32 [N], how many words were read, or more than there are;
      bool [N], whether each stream ends as an encoder ends it.
    """
    streams = tf.shape(bases)[1]
    bases = tf.reshape(bases, [-1, UNROLL, streams])
    blocks = tf.shape(bases)[0]
    # The code value less the interval's base is held as `ahead` = value + 1 - 2**-16. Shifted by a
    # word it becomes (ahead - 1 + 2**-16) * 2**16 + word + 1 - 2**-16.
    shifted = tf.cast(words, _REAL) + (2.0 - _WORD - _PER_WORD)
    window = tf.cast(tf.gather(words, first), _REAL) * _WORD
    window += tf.cast(tf.gather(words, first + 1), _REAL)

    def block(
        index: tf.Tensor,
        ahead: tf.Tensor,
        scaled: tf.Tensor,
        position: tf.Tensor,
        output: tf.TensorArray,
    ) -> tuple[Any, ...]:
        found = []
        # Behind a stream's end the words are 0, whichever is read.
        position = tf.minimum(position, last)
        for base in tf.unstack(tf.gather(bases, index)):
            # The largest count c with size * c >> 16 <= value is floor(ahead / scaled). In floating
            # point too: a quotient below 2**16 of a multiple of 2**-16 and one of 2**-16 below
            # 2**16 that isn't whole is 2**-32 off the next whole number, and rounding moves it by
            # less than 2**-37.
            entry = find(base + tf.cast(ahead / scaled, tf.int32))
            begin = tf.floor(scaled * tf.gather(low, entry))
            size = tf.floor(scaled * tf.gather(high, entry)) - begin
            room = shift_room(size)
            ahead = divide_unless(room, (ahead - begin) * _WORD)
            ahead += zero_unless(room, tf.gather(shifted, position))
            scaled = divide_unless(room, size)
            position += tf.cast(room > 0, tf.int32)
            found.append(entry)
        return index + 1, ahead, scaled, position, output.write(index, tf.stack(found))

    _, ahead, scaled, position, output = tf.while_loop(
        lambda index, *_: index < blocks,
        block,
        (
            tf.constant(0),
            window + (1 - _PER_WORD),
            tf.fill([streams], tf.constant(_WORD, _REAL)),
            first + 2,
            tf.TensorArray(tf.int32, blocks, element_shape=[UNROLL, None]),
        ),
        shape_invariants=(
            tf.TensorShape([]),
            tf.TensorShape([None]),
            tf.TensorShape([None]),
            tf.TensorShape([None]),
            tf.TensorShape(None),
        ),
    )
    window = tf.cast(tf.gather(words, position - 2), _REAL) * _WORD
    window += tf.cast(tf.gather(words, position - 1), _REAL)
    base = tf.math.floormod(window - tf.floor(ahead), _RANGE)
    sound = tf.equal(tf.math.floormod(final_value(base, scaled * _WORD), _RANGE), window)
    return tf.reshape(output.stack(), [-1, streams]), position - first, sound
