"""Values outside their table, coded digit by digit: decoding. See `tfc_port.ops.digit_overflow`."""

from __future__ import annotations

import functools
from bisect import bisect_right

import tensorflow as tf

from tfc_port.ops import lockstep_decoder
from tfc_port.ops._int64 import shift_left, shift_right, where
from tfc_port.ops.digit_overflow import MOST_BITS, add_digit, most_digits, to_value
from tfc_port.ops.interval_loop import (
    Reading,
    Step,
    decode_places,
    find_count,
    narrow,
    with_zeros,
)
from tfc_port.ops.lookup import FULL_PRECISION, Lookup
from tfc_port.ops.serial_decoder import decode_each

_SYMBOL, _COUNTER, _DIGIT = range(3)


def decode_lanes(
    lookup: Lookup, words: tf.Tensor, state: tf.Tensor, rows: tf.Tensor, width: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes the values of each lane.

    Args:
      lookup: The tables; the last symbol of every row announces an overflow.
      words: int64 [lanes, w], 16-bit words; what is missing is 0.
      state: int64 [lanes, 4], as in `RangeDecoder`.
      rows: int64 [lanes, n], the row of each value.
      width: Bits of a digit.

    Returns:
      int64 [lanes, n], the values, and the new state. A lane that meets a code no encoder writes
      returns zeros, and a state that says so.
    """
    if tf.executing_eagerly():
        decode_lane = functools.partial(_decode_lane, width=width)
        return decode_each(lookup, words, state, rows, decode_lane)
    with_overflow = functools.partial(_decode_with_overflow, width=width)
    return lockstep_decoder.decode_lanes(lookup, words, state, rows, with_overflow)


def _decode_lane(
    words: list[int], state: list[int], rows: list[int], tables: list[list[int]], width: int
) -> tuple[list[int], list[int]]:
    value, size, read, possible = state
    available, top = len(words), (1 << width) - 1

    def take(low: int, high: int) -> None:
        nonlocal value, size, read
        low = size * low >> FULL_PRECISION
        size = (size * high >> FULL_PRECISION) - low
        value -= low
        if size <= 1 << 16:
            value = value << 16 | (words[read] if read < available else 0)
            size <<= 16
            read += 1

    def next_digit() -> int:
        shift = FULL_PRECISION - width
        digit = (value << 16 | 0xFFFF) // size >> shift
        take(digit << shift, (digit + 1) << shift)
        return digit

    def overflow_value(last: int) -> int | None:
        digits = 0
        while True:
            digit = next_digit()
            digits += digit
            if digits > most_digits(width):
                return None
            if digit != top:
                break
        number = 0
        for place in range(digits):
            number |= next_digit() << place * width
        return to_value(number, last) if number < 1 << MOST_BITS else None

    decoded = []
    for row in rows if possible else []:
        cdf = tables[row]
        symbol = bisect_right(cdf, (value << 16 | 0xFFFF) // size) - 1
        take(cdf[symbol], cdf[symbol + 1])
        last = len(cdf) - 2
        if symbol == last:
            outside = overflow_value(last)
            if outside is None:
                possible = 0
                break
            symbol = outside
        decoded.append(symbol)
    if not possible:
        decoded = [0] * len(rows)
    return decoded, [value, size, read, possible]


def _decode_with_overflow(
    lookup: Lookup, words: tf.Tensor, state: tf.Tensor, rows: tf.Tensor, width: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """A step reads one interval in every lane, a symbol or a digit."""
    words = with_zeros(words)
    shift, top, whole = FULL_PRECISION - width, (1 << width) - 1, 1 << FULL_PRECISION

    def take_step(
        row: tf.Tensor, done: tf.Tensor, reading: Reading, own: tuple[tf.Tensor, ...]
    ) -> Step:
        mode, digits, done_digits, number = own
        count, end = find_count(lookup, row, reading)
        at_symbol = tf.equal(mode, _SYMBOL)
        digit = shift_right(count, shift)
        low = where(at_symbol, tf.gather(lookup.cdf, end - 1), shift_left(digit, shift))
        high = where(at_symbol, tf.gather(lookup.cdf, end), shift_left(digit + 1, shift))
        low, high = where(done, 0, low), where(done, whole, high)
        reading = narrow(reading, low, high, words)
        symbol = end - 1 - tf.gather(lookup.starts, row)
        last = tf.gather(lookup.symbols, row) - 1
        # The filler that blocks are brought to their length with announces nothing.
        announces = at_symbol & tf.equal(symbol, last)
        announces &= tf.equal(tf.gather(lookup.overflow, row), 1)
        at_counter, at_digit = tf.equal(mode, _COUNTER), tf.equal(mode, _DIGIT)
        digits = where(announces, 0, where(at_counter, digits + digit, digits))
        number = where(announces, 0, number)
        number = where(at_digit, add_digit(number, digit, done_digits, width), number)
        done_digits = where(at_digit, done_digits + 1, where(announces, 0, done_digits))
        counted = at_counter & tf.not_equal(digit, top)
        ends = (counted & tf.equal(digits, 0)) | (at_digit & tf.equal(done_digits, digits))
        # A code takes at most twice as many steps as a number has digits, and three.
        bad = (at_counter & (digits > most_digits(width))) | (ends & (number >= 1 << MOST_BITS))
        possible = where(bad & ~done, 0, reading.possible)
        in_digits = (counted | at_digit) & ~ends
        mode = where(announces | (at_counter & ~counted), _COUNTER, _SYMBOL)
        mode = where(in_digits, _DIGIT, mode)
        return Step(
            reading=reading._replace(possible=possible),
            own=(mode, digits, done_digits, number),
            complete=(at_symbol & ~announces) | ends,
            value=where(ends, to_value(number, last), symbol),
        )

    return decode_places(rows, state, (_SYMBOL, 0, 0, 0), take_step)
