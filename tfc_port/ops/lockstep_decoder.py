"""The range decoder in core TensorFlow ops: many lanes in lockstep.

There are two loops. The first reads a symbol in every lane a step, `_UNROLL` of them a step of the
loop, in float64 (see `tfc_port.coding.graph_loops`, which proves it exact); it can't read overflow
codes. In the second each lane is in its own place: a step reads one interval in every lane, a
symbol or one bit of the Elias gamma code of an overflow, and lanes that are done read the whole
range, which changes nothing. The second takes some ten times as long a step, so that for few lanes
the first tries each block of symbols, and the second repeats the blocks with an overflow in them.
"""

from __future__ import annotations

import tensorflow as tf

from tfc_port.coding.graph_loops import divide_unless, shift_room, zero_unless
from tfc_port.ops._int64 import shift_left, shift_right, where
from tfc_port.ops._loops import run_loop
from tfc_port.ops.lookup import ROW_SHIFT, Lookup
from tfc_port.ops.serial_decoder import MOST_ZEROS

_WORD = 16
_HALF = 1 << (_WORD - 1)
_SYMBOL, _ZEROS, _BITS, _SIGN = range(4)
# Symbols per step of the first loop. Larger blocks repeat more where there is an overflow.
_UNROLL = 8
# With more lanes than this, most blocks have an overflow in some lane.
_FEW_LANES = 16
# The value less the base is held as that and this, which makes quotients round down rightly.
_AHEAD = 1 - 2.0**-_WORD


def decode_lanes(lookup: Lookup, words, state, rows, decode_with_overflow=None):
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


def _with_certain_row(lookup):
    """The tables and one more row, of one symbol, which is read without any change."""
    whole = tf.constant([0, 1 << _WORD], tf.int64)
    return Lookup(
        cdf=tf.concat([lookup.cdf, whole], 0),
        keys=tf.concat([lookup.keys, shift_left(lookup.rows, ROW_SHIFT) + whole], 0),
        starts=tf.concat([lookup.starts, [tf.size(lookup.cdf, tf.int64)]], 0),
        symbols=tf.concat([lookup.symbols, [1]], 0),
        overflow=tf.concat([lookup.overflow, [0]], 0),
    )


def _decode_by_blocks(lookup, words, state, rows, decode_with_overflow):
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

    def block(index, ahead, scaled, position, possible, values):
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

        def plain():
            found = tf.cast(ends, tf.int64) - 1 - tf.gather(lookup.starts, of_row)
            return ahead, scaled, position, possible, found

        def with_overflow():
            state = from_floats(*before, possible)
            found, state = decode_with_overflow(lookup, words, state, tf.transpose(of_row))
            return *to_floats(state), tf.transpose(found)

        overflow = tf.reduce_any(tf.gather(announces, ends) > 0)
        *state, found = tf.cond(overflow, with_overflow, plain)
        return index + 1, *state, values.write(index, found)

    def to_floats(state):
        distance, size, read, possible = tf.split(tf.transpose(state), 4)
        return (
            tf.cast(distance, tf.float64) + _AHEAD,
            tf.cast(size, tf.float64) * 2.0**-_WORD,
            first + tf.cast(tf.minimum(read, tf.cast(width, tf.int64) + 2), tf.int32),
            possible,
        )

    def from_floats(ahead, scaled, position, possible):
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


def narrow(distance, size, read, low, high, words):
    """The state after reading the interval between `low` and `high`, given times `size`."""
    low = shift_right(low, _WORD)
    distance -= low
    size = shift_right(high, _WORD) - low
    shifts = size <= 1 << _WORD
    place = tf.minimum(read, tf.shape(words, tf.int64)[1] - 1)
    following = tf.gather(words, place, batch_dims=1)
    shifted = shift_left(distance, _WORD) | following
    return (
        where(shifts, shifted, distance),
        where(shifts, shift_left(size, _WORD), size),
        read + tf.cast(shifts, tf.int64),
    )


def count_at(distance, size):
    """The count out of 2**16 that the value stands at."""
    numerator = shift_left(distance + 1, _WORD) - 1
    return tf.raw_ops.TruncateDiv(x=numerator, y=size)


def with_zeros(words):
    return tf.pad(words, [[0, 0], [0, 1]])


def _decode_with_overflow(lookup, words, state, rows):
    lanes, n = tf.unstack(tf.shape(rows, tf.int64))
    words = with_zeros(words)
    distance, size, read, possible = tf.unstack(state, axis=1)
    zero = tf.zeros([lanes], tf.int64)
    lane = tf.range(lanes)
    # One more column takes what lanes in the middle of a code, or done, write.
    trash = lane * (n + 1) + n
    padded_rows = tf.pad(rows, [[0, 0], [0, 1]])
    escape_symbol = where(tf.equal(lookup.overflow, 1), lookup.symbols - 1, -1)

    def body(step, distance, size, read, place, mode, zeros, gamma, possible, targets, written):
        done = (place >= n) | tf.equal(possible, 0)
        row = tf.gather(padded_rows, tf.minimum(place, n), batch_dims=1)
        count = count_at(distance, size)
        keys = shift_left(row, ROW_SHIFT) + count
        end = tf.searchsorted(lookup.keys, keys, side="right", out_type=tf.int64)
        at_symbol = tf.equal(mode, _SYMBOL)
        bit = shift_right(count, _WORD - 1)
        low = where(at_symbol, tf.gather(lookup.cdf, end - 1), bit * _HALF)
        high = where(at_symbol, tf.gather(lookup.cdf, end), (bit + 1) * _HALF)
        low = where(done, 0, low)
        high = where(done, 1 << _WORD, high)
        distance, size, read = narrow(distance, size, read, size * low, size * high, words)

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
        bad = (at_zeros & (zeros > MOST_ZEROS)) | (at_sign & ~fits)
        possible = where(bad & ~done, 0, possible)

        complete = ((at_symbol & ~announces) | at_sign) & ~done
        mode = where(announces | (at_zeros & is_zero), _ZEROS, _SYMBOL)
        mode = where(bits_left, _BITS, where(to_sign, _SIGN, mode))
        targets = targets.write(step, where(complete, lane * (n + 1) + place, trash))
        written = written.write(step, where(at_sign, number, symbol))
        place += tf.cast(complete, tf.int64)
        return (
            step + 1, distance, size, read, place, mode, zeros, gamma, possible, targets, written
        )  # fmt: skip

    def unfinished(step, distance, size, read, place, mode, zeros, gamma, possible, *_):
        # A code takes at most 2 * MOST_ZEROS + 3 steps, so this ends.
        return tf.reduce_any((place < n) & tf.equal(possible, 1))

    def record(first):
        record = tf.TensorArray(tf.int64, size=1, dynamic_size=True, element_shape=[rows.shape[0]])
        return record.write(0, first)

    symbol_mode = zero + _SYMBOL
    results = run_loop(
        unfinished,
        body,
        (
            tf.constant(1), distance, size, read, zero, symbol_mode, zero, zero, possible,
            record(trash), record(zero),
        ),
    )  # fmt: skip
    distance, size, read = results[1:4]
    possible, targets, written = results[8:]
    targets, written = targets.stack(), written.stack()
    values = tf.scatter_nd(
        tf.reshape(targets, [-1, 1]),
        tf.reshape(where(tf.equal(targets, trash), 0, written), [-1]),
        tf.reshape(lanes * (n + 1), [1]),
    )
    values = tf.reshape(values, tf.stack([lanes, n + 1]))[:, :-1]
    return values, tf.stack([distance, size, read, possible], axis=1)
