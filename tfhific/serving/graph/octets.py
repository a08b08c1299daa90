"""Bytes in a graph: int32 vectors of 0..255, read without ever leaving their bounds.

A graph cannot raise for one picture of a batch, so that nothing here fails: what lies outside reads
as 0, and what is wrong is told beside the result.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfc_port.coding.graph_payload import encode_varints, picked, to_string

MAX_VARINT_BYTES = 5

__all__ = [
    "encode_varints",
    "first_case",
    "first_error",
    "picked",
    "read_number",
    "read_varint",
    "to_octets",
    "to_string",
    "varint_string",
]


def to_octets(data: tf.Tensor) -> tf.Tensor:
    """A string's bytes, int32 [k]."""
    return tf.cast(tf.io.decode_raw(data, tf.uint8), tf.int32)


def varint_string(number: tf.Tensor) -> tf.Tensor:
    """A non-negative number as the bytes of a varint, a string."""
    return to_string(encode_varints(tf.cast(number, tf.int64)[None]))


def read_number(
    octets: tf.Tensor, at: tf.Tensor, size: int, little: bool | tf.Tensor = False
) -> tf.Tensor:
    """Numbers of `size` bytes each at the positions `at`: int64, shaped like `at`.

    Args:
      octets: int32 [k].
      at: int32, of any shape; bytes outside 0..k - 1 read as 0, and so does a single number that
        begins before 0.
      size: 1 to 4.
      little: whether the least byte comes first; a tensor may say so.
    """
    weights = np.array([256**place for place in range(size)], np.int64)
    if isinstance(little, tf.Tensor):
        weights = tf.where(little, weights, weights[::-1])
    elif not little:
        weights = weights[::-1].copy()
    if at.shape.rank == 0:
        return _single_number(size)(octets, at, tf.convert_to_tensor(weights))
    total = tf.size(octets)
    where = tf.expand_dims(at, -1) + np.arange(size, dtype=np.int32)
    where = tf.where((where >= 0) & (where < total), where, total)
    found = tf.gather(tf.concat([octets, [0]], axis=0), where)
    return tf.reduce_sum(tf.cast(found, tf.int64) * weights, axis=-1)


@functools.cache
def _single_number(size: int) -> Callable[..., tf.Tensor]:
    """Reads one number of `size` bytes.

    A function that stays one: graphs of pictures ask hundreds of times, and what is put in place is
    optimised anew in each.
    """

    def read(octets: tf.Tensor, at: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        # In a loop over a file's parts nothing may take time that grows with the file.
        begin = tf.maximum(at, 0)[None]
        piece = tf.strided_slice(octets, begin, begin + size)
        piece = tf.concat([piece, np.zeros([size], np.int32)], axis=0)[:size]
        number = tf.reduce_sum(tf.cast(piece, tf.int64) * weights, axis=0)
        return tf.where(at >= 0, number, np.int64(0))

    signature = [tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.int32)]
    return tf.function(
        read,
        input_signature=[*signature, tf.TensorSpec([size], tf.int64)],
        autograph=False,
        experimental_attributes={"_noinline": True},
    )


def read_varint(
    octets: tf.Tensor, at: tf.Tensor, end: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """A varint in its shortest form.

    Args:
      octets: int32 [k].
      at: int32, where it begins.
      end: int32, where what may be read ends, at most k.

    Returns:
      The number, int64; where it ends, int32; bool, whether the bytes end inside it; bool, whether
      it is none, for another reason.
    """
    piece = octets[at : tf.minimum(at + MAX_VARINT_BYTES, end)]
    missing = MAX_VARINT_BYTES - tf.size(piece)
    # What is missing goes on and on, like a number that is too long.
    piece = tf.ensure_shape(tf.pad(piece, [[0, missing]], constant_values=128), [MAX_VARINT_BYTES])
    last = tf.cast(piece < 128, tf.int32)
    found = tf.reduce_max(last) > 0
    length = tf.argmax(last, output_type=tf.int32) + 1
    place = tf.range(MAX_VARINT_BYTES)
    digits = tf.cast(tf.where(place < length, piece & 127, 0), tf.int64)
    weights = [128**power for power in range(MAX_VARINT_BYTES)]
    number = tf.reduce_sum(digits * tf.constant(weights, tf.int64))
    needless = found & (length > 1) & tf.equal(tf.gather(piece, length - 1), 0)
    cut = ~found & (missing > 0)
    return number, at + length, cut, needless | (~found & ~cut)


def first_error(checks: list[tuple[tf.Tensor, tf.Tensor | str]]) -> tf.Tensor:
    """The message of the first check that fails, or an empty string.

    Args:
      checks: a bool scalar that is true where something is wrong, and what to say then.
    """
    wrong, messages = zip(*checks)
    wrong = tf.stack([*wrong, tf.constant(True)])
    messages = tf.stack([*messages, ""])
    return tf.gather(messages, tf.argmax(tf.cast(wrong, tf.int32), output_type=tf.int32))


def first_case(branches: list[tuple[tf.Tensor, Callable]], default: Callable):
    """What the first branch whose condition holds returns, or `default`.

    `tf.case` puts each branch inside the ones before it; here they stand side by side. TensorFlow
    takes longer to prepare what is inside many others, which a model's first calls wait for.

    Args:
      branches: a bool scalar each, and a function without arguments. All return the same structure.
      default: such a function.
    """
    conditions, functions = zip(*branches)
    holds = tf.cast(tf.stack([*conditions, tf.constant(True)]), tf.int32)
    return tf.switch_case(tf.argmax(holds, output_type=tf.int32), [*functions, default])
