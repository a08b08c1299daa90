"""The entropy coder in core TensorFlow operations: eagerly, in a `tf.function`, in a SavedModel.

It writes the same bytes as the other implementations and accepts the same payloads. No custom
operation is needed to run it. All of it runs on the CPU.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfc_port._decorators import do_not_convert
from tfc_port.coding import graph_loops, graph_payload
from tfc_port.coding.errors import CodingError
from tfc_port.coding.graph_tables import GraphTables
from tfc_port.coding.payload import MAX_STREAMS
from tfc_port.coding.streams import ALLOWANCE, stream_thresholds
from tfc_port.coding.tables import Tables

_MESSAGES = (
    "",
    "The payload's frame is not sound: it is cut off, or its lengths are not written as an encoder "
    "writes them.",
    "Every stream must end as an encoder ends it; one does not.",
    "The escape list is not sound.",
    f"`streams` must be from 1 to {MAX_STREAMS}.",
)
_FRAME, _STREAM, _ESCAPES, _STREAMS = range(1, 5)
_INT32 = tf.int32


@do_not_convert
def encode_tensors(
    values: tf.Tensor, indexes: tf.Tensor, tables: GraphTables, streams: tf.Tensor
) -> tf.Tensor:
    """Codes integers by frozen tables.

    Args:
      values: int32 [n].
      indexes: int32 [n], the row of the tables that each is coded by; 0 to rows - 1.
      tables: the tables.
      streams: int32 scalar, over how many streams to deal the values, 1 to `MAX_STREAMS`.

    Returns:
      A string scalar, the payload: the bytes that `tfc_port.coding.encode` returns.
    """
    with tf.device("/CPU:0"):
        values, indexes = tf.cast(values, _INT32), tf.cast(indexes, _INT32)
        streams = tf.cast(streams, _INT32)
        entries, escapes = _to_entries(values, indexes, tables)
        # What is certain has the filler's entry already.
        entries = graph_payload.picked(entries, entries < tables.filler_entry)
        steps = graph_loops.whole_steps(tf.size(entries), streams)
        entries = graph_loops.deal(entries, steps, streams, tables.filler_entry)
        begins, shifted, sizes = graph_loops.narrow(entries, *tables.counts())
        # A step of filler shifts an interval of just 2**16 by a word more, which a stream that ends
        # before it doesn't have; the interval is then the whole range, and stays so.
        real = entries < tables.filler_entry
        shifted_more = tf.reduce_any(shifted & ~real, axis=0)
        sizes = tf.where(shifted_more, tf.constant(2.0**16, sizes.dtype), sizes)
        lengths, octets = _write(begins, shifted & real, sizes)
        return graph_payload.join(lengths, octets, escapes)


@do_not_convert
def choose_streams_tensor(
    values: tf.Tensor, indexes: tf.Tensor, tables: GraphTables, allowance: float = ALLOWANCE
) -> tf.Tensor:
    """How many streams `tfc_port.coding.choose_streams` deals values to, without coding them.

    Args:
      values: int32 [n].
      indexes: int32 [n], the row of the tables that each is coded by; 0 to rows - 1.
      tables: the tables.
      allowance: see there.

    Returns:
      int32 scalar, a power of two from 1 to 512, as of `tfc_port.coding.estimate_bytes`.
    """
    with tf.device("/CPU:0"):
        entries, escapes = _to_entries(tf.cast(values, _INT32), tf.cast(indexes, _INT32), tables)
        lengths = tf.cast(tf.gather(tables.constant("length"), entries), tf.int64)
        octets = tf.cast(tf.reduce_sum(lengths), tf.float64) / 2048.0
        octets += tf.cast(tf.size(escapes), tf.float64)
        reached = octets >= tf.constant(stream_thresholds(allowance), tf.float64)
        return tf.bitwise.left_shift(1, tf.reduce_sum(tf.cast(reached, _INT32)))


@do_not_convert
def decode_tensors(
    payload: tf.Tensor, indexes: tf.Tensor, tables: GraphTables, streams: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes what any implementation wrote.

    Args:
      payload: string scalar, the payload, exactly.
      indexes: int32 [n], the row of the tables that each value was coded by; 0 to rows - 1.
      tables: the tables it was coded by.
      streams: int32 scalar, how many streams it was dealt to.

    Returns:
      The values, int32 [n], and a string scalar that says what is wrong with the payload: empty if
      nothing is, else the values are all 0. Time and memory are bounded by n, N and the payload's
      length, whatever it holds.
    """
    with tf.device("/CPU:0"):
        indexes, streams = tf.cast(indexes, _INT32), tf.cast(streams, _INT32)
        possible = (streams >= 1) & (streams <= MAX_STREAMS)
        streams = tf.clip_by_value(streams, 1, MAX_STREAMS)
        octets = tf.cast(tf.io.decode_raw(payload, tf.uint8), _INT32)
        starts, ends, escapes, sound = graph_payload.split(octets, streams)
        sound &= possible

        def decode() -> tuple[tf.Tensor, tf.Tensor]:
            return _decode_sound(octets, starts, ends, escapes, indexes, tables, streams)

        def refuse() -> tuple[tf.Tensor, tf.Tensor]:
            return tf.zeros_like(indexes), tf.where(possible, _FRAME, _STREAMS)

        values, code = tf.cond(sound, decode, refuse)
        values *= tf.cast(tf.equal(code, 0), _INT32)
        return tf.ensure_shape(values, indexes.shape), tf.gather(tf.constant(_MESSAGES), code)


@do_not_convert
def check_tensors(payload: tf.Tensor, count: tf.Tensor, streams: tf.Tensor) -> tf.Tensor:
    """What `tfc_port.coding.check` refuses, without decoding anything.

    Args:
      payload: string scalar, the payload, exactly.
      count: int32 scalar, how many values it should hold.
      streams: int32 scalar, how many streams it was dealt to.

    Returns:
      A string scalar that says what is wrong: empty if nothing is.
    """
    with tf.device("/CPU:0"):
        possible = (streams >= 1) & (streams <= MAX_STREAMS)
        streams = tf.clip_by_value(streams, 1, MAX_STREAMS)
        octets = tf.cast(tf.io.decode_raw(payload, tf.uint8), _INT32)
        starts, ends, escapes, sound = graph_payload.split(octets, streams)
        # A symbol makes the decoder read two bytes at most, behind the first four.
        longest = 4 + 2 * -(-count // streams)

        def listed() -> tf.Tensor:
            numbers, fine = graph_payload.decode_varints(escapes)
            places = tf.cumsum(numbers[0::2] + 1) - 1
            fine &= tf.equal(tf.size(numbers) % 2, 0)
            return fine & tf.reduce_all(places < tf.cast(count, tf.int64))

        in_order = tf.cond(tf.size(escapes) > 0, listed, lambda: tf.constant(True))
        wrong = tf.stack([~possible, ~sound, tf.reduce_any(ends - starts > longest), ~in_order])
        codes = tf.constant([_STREAMS, _FRAME, _STREAM, _ESCAPES])
        code = tf.where(tf.reduce_any(wrong), codes[tf.argmax(tf.cast(wrong, _INT32))], 0)
        return tf.gather(tf.constant(_MESSAGES), code)


def _to_entries(
    values: tf.Tensor, indexes: tf.Tensor, tables: GraphTables
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns int32 [n] entries, and the escape list, uint8."""
    first = tf.gather(tables.constant("first"), indexes)
    last = tf.gather(tables.constant("last"), indexes)
    inside = (values >= first) & (values <= last)
    # Where a value is outside this may be any number; it is replaced below.
    entries = values - tf.gather(tables.constant("value_base"), indexes)

    def escape() -> tuple[tf.Tensor, tf.Tensor]:
        position = graph_payload.picked(
            tf.range(tf.size(values, tf.int64), dtype=tf.int64), ~inside
        )
        value = tf.cast(tf.gather(values, position), tf.int64)
        above = value - tf.cast(tf.gather(last, position), tf.int64)
        below = tf.cast(tf.gather(first, position), tf.int64) - value
        excess = tf.where(above > 0, 2 * above - 2, 2 * below - 1)
        gap = position - tf.concat([[-1], position[:-1]], axis=0) - 1
        pairs = tf.reshape(tf.stack([gap, excess], axis=1), [-1])
        mode = tf.gather(tables.constant("mode_entry"), indexes)
        return tf.where(inside, entries, mode), graph_payload.encode_varints(pairs)

    return tf.cond(tf.reduce_all(inside), lambda: (entries, tf.zeros([0], tf.uint8)), escape)


def _write(begins: tf.Tensor, shifted: tf.Tensor, sizes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Adds up the streams.

    Args:
      begins: float64 [steps, N], where in the interval before it each symbol's begins.
      shifted: bool [steps, N], whether a word is shifted out behind it.
      sizes: float64 [N], the last intervals' sizes.

    Returns:
      int64 [N], the streams' lengths in bytes; uint8 [sum of lengths], the streams.
    """
    streams = tf.shape(begins)[1]
    shifts = tf.cast(shifted, _INT32)
    before = tf.cumsum(shifts, axis=0, exclusive=True)
    words = before[-1] + shifts[-1] + 1
    start = tf.cumsum(words, exclusive=True)
    last = start + words - 1
    count = tf.reduce_sum(words)
    # All that is added between two shifts lies within an interval of at most 2**32, and so its sum
    # is below that. Its upper half belongs to the next word to be shifted out.
    sums = tf.raw_ops.DenseBincount(
        input=tf.reshape(before + start, [-1]), size=count, weights=tf.reshape(begins, [-1])
    )
    sums = tf.ensure_shape(sums, [None])
    lower = tf.math.floormod(sums, 2.0**16)
    is_first = tf.scatter_nd(start[:, None], tf.ones([streams], tf.bool), [count])
    handed_on = tf.where(is_first, tf.zeros_like(lower), tf.roll(lower, 1, axis=0))
    base = tf.gather(handed_on, last) * 2.0**16 + tf.gather(sums, last)
    final = graph_loops.final_value(base, sizes)
    digits = tf.cast(tf.floor(sums * 2.0**-16) + handed_on, _INT32)
    digits = tf.tensor_scatter_nd_update(digits, last[:, None], tf.cast(final * 2.0**-16, _INT32))
    # Two 16-bit numbers add up to at most 2 * FFFF: a carry is 1, and a digit of FFFF hands on what
    # it gets. So a digit gets a carry if the next one that isn't FFFF has one. None leaves the
    # first digit of a stream, whose value is below 1.
    settled = tf.not_equal(digits, 0xFFFF)
    source = tf.concat([graph_payload.picked(digits, settled), [0]], axis=0)
    carries = tf.gather(source, tf.cumsum(tf.cast(settled, _INT32))) >= 1 << 16
    digits = (digits + tf.cast(carries, _INT32)) & 0xFFFF

    octets = tf.reshape(tf.stack([digits // 256, digits & 0xFF], axis=1), [-1])
    position = tf.range(2 * count)
    owner = tf.repeat(tf.cumsum(tf.cast(is_first, _INT32)) - 1, 2)
    # Zero bytes at the end are not written, but for words shifted out before the value came to
    # be 0 without a carry: TFC's encoder has written those by then.
    used = tf.math.unsorted_segment_max(tf.where(tf.equal(octets, 0), -1, position), owner, streams)
    end = tf.maximum(used + 1, 2 * start)
    end = tf.where(tf.equal(tf.math.floormod(base, 2.0**32), 0.0), 2 * last, end)
    octets = graph_payload.picked(octets, position < tf.gather(end, owner))
    return tf.cast(end - 2 * start, tf.int64), tf.cast(octets, tf.uint8)


def _decode_sound(
    octets: tf.Tensor,
    starts: tf.Tensor,
    ends: tf.Tensor,
    escapes: tf.Tensor,
    indexes: tf.Tensor,
    tables: GraphTables,
    streams: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the values and which message there is, of a payload whose frame is sound."""
    bases = tf.gather(tables.constant("lookup_base"), indexes)
    coded = bases < tables.filler_base
    bases = graph_payload.picked(bases, coded)
    steps = graph_loops.whole_steps(tf.size(bases), streams)
    bases = graph_loops.deal(bases, steps, streams, tables.filler_base)

    # Words of all streams, and behind each one's as many zeros as may be read unawares.
    counts = (ends - starts + 1) // 2 + 2
    room = counts + graph_loops.UNROLL
    first = tf.cumsum(room, exclusive=True)
    total = tf.reduce_sum(room)
    owner = tf.cumsum(tf.scatter_nd(first[:, None], tf.ones_like(first), [total])) - 1
    high = 2 * tf.range(total) + tf.gather(starts - 2 * first, owner)
    end = tf.gather(ends, owner)
    octets = tf.concat([octets, [0]], axis=0)
    nothing = tf.size(octets) - 1
    words = 256 * tf.gather(octets, tf.where(high < end, high, nothing))
    words += tf.gather(octets, tf.where(high + 1 < end, high + 1, nothing))

    entries, read, sound = graph_loops.find_entries(
        words,
        first,
        first + counts,
        bases,
        tables.finder(),
        *tables.counts(),
    )
    code = tf.where(tf.reduce_all(sound & (ends - starts <= 2 * read)), 0, _STREAM)
    # A certain row's value is its entry, the filler's, and so needs none from the streams.
    rank = tf.cumsum(tf.cast(coded, _INT32), exclusive=True)
    filler = tf.constant([tables.filler_entry])
    entries = tf.gather(tf.concat([tf.reshape(entries, [-1]), filler], axis=0), rank)
    entries = tf.where(coded, entries, tables.filler_entry)
    values = entries + tf.gather(tables.constant("value_base"), indexes)
    return tf.cond(
        tf.size(escapes) > 0,
        lambda: _put_escapes(values, code, escapes, indexes, tables),
        lambda: (values, code),
    )


def _put_escapes(
    values: tf.Tensor, code: tf.Tensor, escapes: tf.Tensor, indexes: tf.Tensor, tables: GraphTables
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the values with the escaped ones in place, and which message there is."""
    numbers, sound = graph_payload.decode_varints(escapes)
    sound &= tf.equal(tf.size(numbers) % 2, 0)
    pairs = tf.reshape(numbers[: tf.size(numbers) // 2 * 2], [-1, 2])
    position = tf.cumsum(pairs[:, 0] + 1) - 1
    within = position < tf.size(values, tf.int64)
    sound &= tf.reduce_all(within)
    position = graph_payload.picked(position, within)
    excess = graph_payload.picked(pairs[:, 1], within)
    row = tf.gather(indexes, position)
    expected = tf.gather(tables.constant("mode_entry") + tables.constant("value_base"), row)
    sound &= tf.reduce_all(tf.equal(tf.gather(values, position), expected))
    first = tf.cast(tf.gather(tables.constant("first"), row), tf.int64)
    last = tf.cast(tf.gather(tables.constant("last"), row), tf.int64)
    away = excess // 2 + 1
    value = tf.where(tf.equal(excess % 2, 0), last + away, first - away)
    sound &= tf.reduce_all((value >= _INT32.min) & (value <= _INT32.max))
    values = tf.tensor_scatter_nd_update(values, position[:, None], tf.cast(value, _INT32))
    return values, tf.where(tf.equal(code, 0) & ~sound, _ESCAPES, code)


class GraphCoder:
    """`encode_tensors` and `decode_tensors` on one set of tables, traced once, for eager use."""

    def __init__(self, tables: Tables) -> None:
        """Prepares the tables.

        Raises:
          CodingError: if more rows than `GraphTables` takes are not certain.
        """
        graph_tables = GraphTables(tables)
        vector = tf.TensorSpec([None], _INT32)
        scalar = tf.TensorSpec([], _INT32)
        self._encode = tf.function(
            lambda values, indexes, streams: encode_tensors(values, indexes, graph_tables, streams),
            input_signature=[vector, vector, scalar],
        )
        self._decode = tf.function(
            lambda payload, indexes, streams: decode_tensors(
                payload, indexes, graph_tables, streams
            ),
            input_signature=[tf.TensorSpec([], tf.string), vector, scalar],
        )

    def encode(self, values: np.ndarray, indexes: np.ndarray, streams: int) -> bytes:
        """Returns the payload of int32 [n] values coded by the rows int32 [n], which must exist."""
        with tf.init_scope(), tf.device("/CPU:0"):
            return self._encode(values, indexes, streams).numpy()

    def decode(self, payload: bytes, indexes: np.ndarray, streams: int) -> np.ndarray:
        """Returns the values, int32 [n], coded by the rows int32 [n], which must exist.

        Raises:
          CodingError: where the payload is not one of n such values.
        """
        with tf.init_scope(), tf.device("/CPU:0"):
            values, error = self._decode(payload, indexes, streams)
        message = error.numpy().decode()
        if message:
            raise CodingError(message)
        return values.numpy()
