"""The payload's frame, varints and strings of bytes in core TensorFlow operations."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfc_port.coding import varints

_PLACES = varints.MAX_BYTES


def to_string(octets: tf.Tensor) -> tf.Tensor:
    """Returns uint8 [k] as a string of k bytes."""
    # A serialised tensor ends with its content: in the order of their numbers the protocol
    # buffer's fields are dtype, shape and content, and those behind are not set.
    return tf.strings.substr(
        tf.io.serialize_tensor(octets), -tf.size(octets), tf.size(octets), unit="BYTE"
    )


def picked(values: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
    """Returns those of a vector's values where `which` is true.

    `tf.boolean_mask` does too, in two dozen nodes of the graph for these four. A graph that picks a
    hundred times is slow to load.
    """
    return tf.gather(values, tf.squeeze(tf.where(which), 1))


def encode_varints(numbers: tf.Tensor) -> tf.Tensor:
    """Returns int64 [k] numbers, each from 0 to 2**35 - 1, as uint8 varints."""
    shifts = np.array([[7 * place for place in range(_PLACES + 1)]], np.int64)
    numbers = tf.expand_dims(numbers, 1)
    rest = tf.bitwise.right_shift(numbers, shifts[:, :-1])
    more = tf.bitwise.right_shift(numbers, shifts[:, 1:]) > 0
    digits = tf.bitwise.bitwise_and(rest, 127) + 128 * tf.cast(more, tf.int64)
    # A number has one digit at least, also if that is zero.
    used = tf.maximum(rest, np.eye(1, _PLACES, dtype=np.int64)) > 0
    return tf.cast(tf.gather_nd(digits, tf.where(used)), tf.uint8)


def decode_varints(octets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the numbers of int32 [k] bytes, int64, and whether they are sound varints.

    If they are not, there are as many numbers but they mean nothing.
    """
    ends = octets < 128
    which = tf.cumsum(tf.cast(ends, tf.int32), exclusive=True)
    count = tf.reduce_sum(tf.cast(ends, tf.int32))
    position = tf.range(tf.size(octets))
    begins = tf.concat([[0], picked(position, ends) + 1], axis=0)
    place = position - tf.gather(begins, which)
    needless = ends & (octets == 0) & (place > 0)
    sound = ~tf.reduce_any(needless) & tf.reduce_all(place < _PLACES)
    sound &= tf.reduce_all(ends[-1:])
    shifts = 7 * tf.cast(tf.minimum(place, _PLACES - 1), tf.int64)
    digits = tf.bitwise.left_shift(tf.cast(octets & 127, tf.int64), shifts)
    # Bytes behind the last end belong to no number; they are unsound, and left out.
    which = tf.where(which < count, which, -1)
    return tf.math.unsorted_segment_sum(digits, which, count), sound


def _read_varint(octets: tf.Tensor, offset: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Returns the number at `offset`, int64, the offset behind it, and whether it is sound."""
    piece = octets[offset : offset + _PLACES]
    ends = picked(tf.range(tf.size(piece)), piece < 128)
    length = tf.concat([ends[:1] + 1, [0]], axis=0)[0]
    numbers, sound = decode_varints(piece[:length])
    return tf.concat([numbers, [0]], axis=0)[0], offset + length, sound & (length > 0)


def join(lengths: tf.Tensor, octets: tf.Tensor, escapes: tf.Tensor) -> tf.Tensor:
    """Returns the payload, a string.

    Args:
      lengths: int64 [N], bytes of each stream.
      octets: uint8 [sum of lengths], the streams.
      escapes: uint8, the escape list.
    """
    others = lengths[:-1]
    some = tf.size(others) > 0
    base = tf.cond(some, lambda: tf.reduce_min(others), lambda: tf.constant(0, tf.int64))
    rest = others - base
    largest = tf.reduce_max(tf.concat([rest, [0]], axis=0))
    powers = tf.bitwise.left_shift(tf.ones([31], tf.int64), tf.range(31, dtype=tf.int64))
    width = tf.reduce_sum(tf.cast(largest >= powers, tf.int32))
    places = tf.cast(tf.range(width - 1, -1, -1), tf.int64)
    bits = tf.bitwise.bitwise_and(tf.bitwise.right_shift(rest[:, None], places[None, :]), 1)
    bits = tf.reshape(bits, [-1])
    bits = tf.pad(bits, [[0, tf.math.floormod(-tf.size(bits), 8)]])
    weights = tf.constant([128, 64, 32, 16, 8, 4, 2, 1], tf.int64)
    packed = tf.cast(tf.reduce_sum(tf.reshape(bits, [-1, 8]) * weights, axis=1), tf.uint8)
    count = tf.size(escapes, out_type=tf.int64)
    marked = tf.cast(count > 0, tf.int32)
    return to_string(
        tf.concat(
            [
                tf.cast(width + 128 * marked, tf.uint8)[None],
                encode_varints(tf.repeat(count, marked)),
                escapes,
                encode_varints(tf.repeat(base, tf.cast(some, tf.int32))),
                packed,
                octets,
            ],
            axis=0,
        )
    )


def split(
    octets: tf.Tensor, streams: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Reads a payload's frame.

    Args:
      octets: int32 [k], its bytes.
      streams: int32, how many streams it has, 1 to `MAX_STREAMS`.

    Returns:
      int32 [N], where the streams begin; int32 [N], where they end; int32, the escape list's
      bytes; bool, whether all of it is as `join` writes it. If it isn't, the streams and the list
      are empty. What is allocated is at most the payload's length and N, times a constant.
    """
    total = tf.size(octets)
    head = tf.concat([octets[:1], [0]], axis=0)[0]
    width = head & 31
    sound = (total > 0) & tf.equal(head & 96, 0) & ((streams > 1) | tf.equal(width, 0))

    offset = tf.constant(1)
    marked = head >= 128
    count, behind, fine = _read_varint(octets, offset)
    left = tf.cast(total - behind, tf.int64)
    sound &= ~marked | (fine & (count >= 1) & (count <= left))
    begin = tf.where(sound & marked, behind, 0)
    offset = tf.where(sound & marked, behind + tf.cast(tf.minimum(count, left), tf.int32), offset)
    end = tf.where(sound & marked, offset, 0)
    escapes = octets[begin:end]

    several = streams > 1
    base, behind, fine = _read_varint(octets, offset)
    sound &= ~several | fine
    base = tf.where(several, base, 0)
    offset = tf.where(several, behind, offset)
    used = (streams - 1) * width
    packed = (used + 7) // 8
    sound &= packed <= total - offset
    used, packed = tf.where(sound, used, 0), tf.where(sound, packed, 0)
    width = tf.where(sound, width, 0)
    others = tf.where(sound, streams - 1, 0)
    shifts = tf.constant([7, 6, 5, 4, 3, 2, 1, 0])
    bits = tf.reshape(
        tf.bitwise.right_shift(octets[offset : offset + packed, None], shifts[None, :]) & 1, [-1]
    )
    sound &= tf.reduce_all(tf.equal(bits[used:], 0))
    places = tf.cast(tf.range(width - 1, -1, -1), tf.int64)
    weights = tf.bitwise.left_shift(tf.ones_like(places), places)
    rest = tf.reduce_sum(
        tf.cast(tf.reshape(bits[:used], [others, width]), tf.int64) * weights, axis=1
    )
    offset += packed
    # The fewest bits: one is 0, and one needs them all.
    wide = tf.cast(width, tf.int64)
    half = tf.bitwise.left_shift(tf.constant(1, tf.int64), tf.maximum(wide - 1, 0))
    least = tf.reduce_any(tf.equal(rest, 0)) & (tf.equal(width, 0) | tf.reduce_any(rest >= half))
    sound &= ~several | least
    lengths = base + rest
    left = tf.cast(total - offset, tf.int64)
    sound &= tf.reduce_sum(lengths) <= left
    ends = tf.cast(offset, tf.int64) + tf.cumsum(lengths)
    starts = tf.concat([tf.cast(offset, tf.int64)[None], ends], axis=0)
    ends = tf.concat([ends, tf.cast(total, tf.int64)[None]], axis=0)
    nowhere = tf.zeros([streams], tf.int64)
    # Without soundness these may not be N long.
    starts, ends = tf.cond(sound, lambda: (starts, ends), lambda: (nowhere, nowhere))
    escapes = escapes[: tf.where(sound, tf.size(escapes), 0)]
    return tf.cast(starts, tf.int32), tf.cast(ends, tf.int32), escapes, sound
