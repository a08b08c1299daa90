"""The range decoder in core TensorFlow ops: many lanes in lockstep.

There are two loops. The first reads a symbol in every lane a step, `_UNROLL` of them a step of the
loop, in float64 (see `tfc_port.coding.graph_loops`, which proves it exact); it can't read overflow
codes. In the second, `tfc_port.ops.interval_loop`, each lane is in its own place. It takes some ten
times as long a step, so that for few lanes the first tries each block of symbols, and the second
repeats the blocks with an overflow in them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from tfc_port.coding.graph_loops import divide_unless, shift_room, zero_unless
from tfc_port.ops._int64 import shift_left, shift_right, where
from tfc_port.ops._loops import run_loop
from tfc_port.ops.interval_loop import (
    Reading,
    Step,
    decode_places,
    find_count,
    narrow,
    with_zeros,
)
from tfc_port.ops.lookup import ROW_SHIFT, Lookup
from tfc_port.ops.serial_decoder import MOST_ZEROS

_WORD = 16
_HALF = 1 << (_WORD - 1)
DecodeLanes = Callable[
    [Lookup, "tf.Tensor", "tf.Tensor", "tf.Tensor"], "tuple[tf.Tensor, tf.Tensor]"
]
"""A function of tables, words, state and rows that returns values and state."""

_SYMBOL, _ZEROS, _BITS, _SIGN = range(4)
# Symbols per step of the first loop. Larger blocks repeat more where there is an overflow.
_UNROLL = 8
# With more lanes than this, most blocks have an overflow in some lane.
_FEW_LANES = 16
# The value less the base is held as that and this, which makes quotients round down rightly.
_AHEAD = 1 - 2.0**-_WORD


def decode_lanes(
    lookup: Lookup,
    words: tf.Tensor,
    state: tf.Tensor,
    rows: tf.Tensor,
    decode_with_overflow: DecodeLanes | None = None,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the values of each lane.

    Args:
      lookup: As in `serial_decoder.decode_lanes`, and the next three.
      words: See there.
      state: See there.
      rows: See there.
      decode_with_overflow: What decodes where there is an overflow, a function of these four that
        returns values and state; None for one that reads Elias gamma codes.

    Returns:
      As there.
    """
    decode_with_overflow = decode_with_overflow or _decode_with_overflow
    many = tf.shape(rows)[0] > _FEW_LANES
    values, state = tf.cond(
        many & (tf.reduce_sum(lookup.overflow) > 0),
        lambda: decode_with_overflow(lookup, words, state, rows),
        lambda: _decode_by_blocks(
            _with_certain_row(lookup), words, state, rows, decode_with_overflow
        ),
    )
    values = tf.reshape(values, tf.shape(rows))
    possible = tf.equal(state[:, 3:], 1)
    return where(possible, values, tf.zeros_like(values)), state


def _with_certain_row(lookup: Lookup) -> Lookup:
    """The tables and one more row, of one symbol, which is read without any change."""
    whole = tf.constant([0, 1 << _WORD], tf.int64)
    return Lookup(
        cdf=tf.concat([lookup.cdf, whole], 0),
        keys=tf.concat([lookup.keys, shift_left(lookup.rows, ROW_SHIFT) + whole], 0),
        starts=tf.concat([lookup.starts, [tf.size(lookup.cdf, tf.int64)]], 0),
        symbols=tf.concat([lookup.symbols, [1]], 0),
        overflow=tf.concat([lookup.overflow, [0]], 0),
    )


def _decode_by_blocks(
    lookup: Lookup,
    words: tf.Tensor,
    state: tf.Tensor,
    rows: tf.Tensor,
    decode_with_overflow: DecodeLanes,
) -> tuple[tf.Tensor, tf.Tensor]:
    lanes, steps, width = tf.shape(rows)[0], tf.shape(rows)[1], tf.shape(words)[1]
    blocks = -(-steps // _UNROLL)
    filler = lookup.rows - 1
    block_rows = tf.pad(rows, [[0, 0], [0, blocks * _UNROLL - steps]])
    block_rows = where(tf.range(blocks * _UNROLL) < steps, block_rows, filler)
    block_rows = tf.reshape(tf.transpose(block_rows), tf.stack([blocks, _UNROLL, lanes]))

    # Behind a lane's end all words are 0: two before the place where reading begins anew with each
    # block, and as many behind it as a block can read.
    spare = 2 + _UNROLL
    first = tf.range(lanes)[tf.newaxis, :] * (width + spare)
    last = first + width + 2
    flat = tf.reshape(tf.cast(tf.pad(words, [[0, 0], [0, spare]]), tf.float64), [-1])
    shifted = flat + (_AHEAD - _AHEAD * 2.0**_WORD)
    above = tf.cast(lookup.cdf, tf.float64)
    below = tf.roll(above, 1, axis=0)
    keys = lookup.keys[tf.newaxis, :]
    announced = tf.boolean_mask(lookup.starts + lookup.symbols, tf.equal(lookup.overflow, 1))
    announces = tf.scatter_nd(
        announced[:, tf.newaxis], tf.ones_like(announced), tf.shape(above, tf.int64)
    )

    def block(
        index: tf.Tensor,
        ahead: tf.Tensor,
        scaled: tf.Tensor,
        position: tf.Tensor,
        possible: tf.Tensor,
        values: tf.TensorArray,
    ) -> tuple[Any, ...]:
        before = ahead, scaled, position
        of_row = block_rows[index]
        position = tf.minimum(position, last)
        ends = []
        for row_key in tf.split(shift_left(of_row, ROW_SHIFT), _UNROLL):
            key = row_key + tf.cast(ahead / scaled, tf.int64)
            end = tf.raw_ops.UpperBound(sorted_inputs=keys, values=key)
            begin = tf.floor(scaled * tf.gather(below, end))
            size = tf.floor(scaled * tf.gather(above, end)) - begin
            room = shift_room(size)
            ahead = divide_unless(room, (ahead - begin) * 2.0**_WORD)
            ahead += zero_unless(room, tf.gather(shifted, position))
            scaled = divide_unless(room, size)
            position += tf.cast(room > 0, tf.int32)
            ends.append(end)
        ends = tf.concat(ends, 0)

        def plain() -> tuple[tf.Tensor, ...]:
            found = tf.cast(ends, tf.int64) - 1 - tf.gather(lookup.starts, of_row)
            return ahead, scaled, position, possible, found

        def with_overflow() -> tuple[tf.Tensor, ...]:
            state = from_floats(*before, possible)
            found, state = decode_with_overflow(lookup, words, state, tf.transpose(of_row))
            return *to_floats(state), tf.transpose(found)

        overflow = tf.reduce_any(tf.gather(announces, ends) > 0)
        *state, found = tf.cond(overflow, with_overflow, plain)
        return index + 1, *state, values.write(index, found)

    def to_floats(state: tf.Tensor) -> tuple[tf.Tensor, ...]:
        distance, size, read, possible = tf.split(tf.transpose(state), 4)
        return (
            tf.cast(distance, tf.float64) + _AHEAD,
            tf.cast(size, tf.float64) * 2.0**-_WORD,
            first + tf.cast(tf.minimum(read, tf.cast(width, tf.int64) + 2), tf.int32),
            possible,
        )

    def from_floats(
        ahead: tf.Tensor, scaled: tf.Tensor, position: tf.Tensor, possible: tf.Tensor
    ) -> tf.Tensor:
        numbers = tf.floor(ahead), scaled * 2.0**_WORD, position - first, possible
        state = tf.concat([tf.cast(number, tf.int64) for number in numbers], 0)
        return tf.ensure_shape(tf.transpose(state), [None, 4])

    # One element more, written here, since an empty record has no shape to stack.
    record = tf.TensorArray(tf.int64, blocks + 1, element_shape=[_UNROLL, None])
    record = record.write(blocks, tf.zeros(tf.stack([_UNROLL, lanes]), tf.int64))
    *state, values = run_loop(
        lambda index, *_: index < blocks,
        block,
        (tf.constant(0), *to_floats(state), record),
    )[1:]
    values = tf.reshape(values.stack(), tf.stack([-1, lanes]))[:steps]
    return tf.transpose(values), from_floats(*state)


def _decode_with_overflow(
    lookup: Lookup, words: tf.Tensor, state: tf.Tensor, rows: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """A step reads one interval in every lane, a symbol or one bit of an Elias gamma code."""
    words = with_zeros(words)
    escape_symbol = where(tf.equal(lookup.overflow, 1), lookup.symbols - 1, -1)

    def take_step(
        row: tf.Tensor, done: tf.Tensor, reading: Reading, own: tuple[tf.Tensor, ...]
    ) -> Step:
        mode, zeros, gamma = own
        count, end = find_count(lookup, row, reading)
        at_symbol = tf.equal(mode, _SYMBOL)
        bit = shift_right(count, _WORD - 1)
        low = where(at_symbol, tf.gather(lookup.cdf, end - 1), bit * _HALF)
        high = where(at_symbol, tf.gather(lookup.cdf, end), (bit + 1) * _HALF)
        low = where(done, 0, low)
        high = where(done, 1 << _WORD, high)
        reading = narrow(reading, low, high, words)

        symbol = end - 1 - tf.gather(lookup.starts, row)
        escape = tf.gather(escape_symbol, row)
        announces = at_symbol & tf.equal(symbol, escape)
        is_zero, is_one = tf.equal(bit, 0), tf.equal(bit, 1)
        at_zeros, at_bits, at_sign = (tf.equal(mode, m) for m in (_ZEROS, _BITS, _SIGN))
        # The code's first one ends the zeros, and is the top bit of the number.
        ends_zeros = at_zeros & is_one
        gamma = where(ends_zeros, 1, where(at_bits, 2 * gamma + bit, gamma))
        zeros = where(at_zeros & is_zero, zeros + 1, where(at_bits, zeros - 1, zeros))
        zeros = where(announces, 0, zeros)
        bits_left = (ends_zeros | at_bits) & (zeros > 0)
        to_sign = (ends_zeros | at_bits) & tf.equal(zeros, 0)
        number = where(is_one, -gamma, gamma + escape - 1)
        fits = (number >= -(1 << 31)) & (number < 1 << 31)
        # A code takes at most 2 * MOST_ZEROS + 3 steps, so each lane comes to its end.
        bad = (at_zeros & (zeros > MOST_ZEROS)) | (at_sign & ~fits)
        possible = where(bad & ~done, 0, reading.possible)

        mode = where(announces | (at_zeros & is_zero), _ZEROS, _SYMBOL)
        mode = where(bits_left, _BITS, where(to_sign, _SIGN, mode))
        return Step(
            reading=reading._replace(possible=possible),
            own=(mode, zeros, gamma),
            complete=(at_symbol & ~announces) | at_sign,
            value=where(at_sign, number, symbol),
        )

    return decode_places(rows, state, (_SYMBOL, 0, 0), take_step)
