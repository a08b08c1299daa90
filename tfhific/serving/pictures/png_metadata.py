"""ICC profile and EXIF block in a PNG file that TensorFlow wrote without them, in a graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfhific.pictures.exif import EXIF_PREFIX
from tfhific.pictures.header import PNG_SIGNATURE
from tfhific.serving.graph.octets import picked, to_octets, to_string

_POLYNOMIAL = 0xEDB88320
_MAX_LOG2 = 26
_ADLER = 65521
_STORED_BLOCK = 65535


def with_metadata(png: tf.Tensor, icc: tf.Tensor, exif: tf.Tensor) -> tf.Tensor:
    """A PNG file, a string, with an ICC profile and an EXIF block, where these are not empty.

    Args:
      png: a file as TensorFlow writes it: IHDR comes first and has 13 bytes.
      icc: the profile.
      exif: the block, with or without `Exif\\0\\0` in front.
    """
    head = len(PNG_SIGNATURE) + 25
    prefixed = tf.equal(
        tf.strings.substr(exif, 0, tf.minimum(6, tf.strings.length(exif))), EXIF_PREFIX
    )
    cut = tf.where(prefixed, len(EXIF_PREFIX), 0)
    exif = tf.strings.substr(exif, cut, tf.strings.length(exif) - cut)

    def write():
        profile = tf.strings.join([b"iCCPICC Profile\x00\x00", _stored(icc)])
        bodies = tf.stack([profile, tf.strings.join([b"eXIf", exif])])
        present = tf.stack([tf.strings.length(icc) > 0, tf.strings.length(exif) > 0])
        chunks = tf.map_fn(_chunk, picked(bodies, present))
        rest = tf.strings.substr(png, head, tf.strings.length(png) - head)
        first = tf.strings.substr(png, 0, head)
        return tf.strings.join([first, tf.strings.reduce_join(chunks), rest])

    return tf.cond(tf.strings.length(icc) + tf.strings.length(exif) > 0, write, lambda: png)


def _big(number: tf.Tensor) -> tf.Tensor:
    """A number below 2**32 as 4 bytes, a string."""
    number = tf.cast(number, tf.int64)
    digits = tf.stack([number // 256**place % 256 for place in (3, 2, 1, 0)])
    return to_string(tf.cast(digits, tf.uint8))


def _chunk(body: tf.Tensor) -> tf.Tensor:
    """A chunk of a kind and content."""
    return tf.strings.join([_big(tf.strings.length(body) - 4), body, _big(crc32(body))])


def _stored(data: tf.Tensor) -> tf.Tensor:
    """A zlib stream that holds `data` uncompressed, which core ops can write."""
    octets = to_octets(data)
    total = tf.size(octets)
    first = tf.range(0, total, _STORED_BLOCK)
    lengths = tf.minimum(total - first, _STORED_BLOCK)
    last = tf.equal(first + lengths, total)
    head = tf.stack(
        [
            tf.cast(last, tf.int32),
            lengths % 256,
            lengths // 256,
            255 - lengths % 256,
            255 - lengths // 256,
        ],
        axis=1,
    )
    table = tf.constant([bytes([value]) for value in range(256)])
    heads = tf.strings.reduce_join(tf.gather(table, head), axis=1)
    bodies = tf.strings.substr(tf.fill([tf.size(first)], data), first, lengths)
    # Adler-32 (RFC 1950): sums of the bytes, and of these sums, modulo a prime.
    wide = tf.cast(octets, tf.int64)
    low = (1 + tf.reduce_sum(wide)) % _ADLER
    weights = tf.range(tf.cast(total, tf.int64), 0, -1, dtype=tf.int64)
    high = (tf.cast(total, tf.int64) + tf.reduce_sum(weights * wide)) % _ADLER
    blocks = tf.strings.reduce_join(tf.reshape(tf.stack([heads, bodies], axis=1), [-1]))
    return tf.strings.join([b"\x78\x01", blocks, _big(high * 65536 + low)])


def _crc_table() -> np.ndarray:
    table = np.arange(256, dtype=np.int64)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ _POLYNOMIAL, table >> 1)
    return table


def _crc_shifts() -> np.ndarray:
    """int64 [levels, 4, 256]: what a register's byte becomes behind 2**level zero bytes."""
    table = _crc_table()

    def behind_zero(register):
        return table[register & 255] ^ register >> 8

    basis = 1 << np.arange(32, dtype=np.int64)
    columns, levels = behind_zero(basis), []
    for _ in range(_MAX_LOG2):
        bits = (np.arange(256)[:, None] >> np.arange(8) & 1).astype(bool)
        levels.append(
            [
                np.bitwise_xor.reduce(np.where(bits, columns[8 * byte : 8 * byte + 8], 0), axis=1)
                for byte in range(4)
            ]
        )
        # Twice as many zeros: the same map again.
        taken = (columns[:, None] >> np.arange(32) & 1).astype(bool)
        columns = np.bitwise_xor.reduce(np.where(taken, columns, 0), axis=1)
    return np.array(levels)


def crc32(data: tf.Tensor) -> tf.Tensor:
    """The CRC-32 of a string of 4 to 2**26 bytes, int64.

    A CRC is linear: that of two halves is the first's, moved on behind as many zeros as the second
    is long, plus the second's. So all pairs are put together at once, and in log2(length) steps.
    """
    octets = tf.cast(to_octets(data), tf.int64)
    # To begin with ones is to complement the first four bytes; zeros before them change nothing.
    octets = tf.concat([255 - octets[:4], octets[4:]], axis=0)
    shifts = tf.constant(_crc_shifts())
    state = tf.gather(tf.constant(_crc_table()), octets)

    def halve(level, state):
        state = tf.pad(state, [[tf.size(state) % 2, 0]])
        first, second = state[0::2], state[1::2]
        tables = tf.gather(shifts, level)
        moved = tf.zeros_like(first)
        for byte in range(4):
            index = tf.bitwise.bitwise_and(first // 256**byte, 255)
            moved = tf.bitwise.bitwise_xor(moved, tf.gather(tables[byte], index))
        return level + 1, tf.bitwise.bitwise_xor(moved, second)

    _, state = tf.while_loop(
        lambda level, state: tf.size(state) > 1,
        halve,
        (tf.constant(0), state),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None])),
        maximum_iterations=_MAX_LOG2,
    )
    return tf.bitwise.bitwise_xor(state[0], tf.constant(0xFFFFFFFF, tf.int64))
