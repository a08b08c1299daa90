"""The entropy coder in core TensorFlow operations: eagerly, in a `tf.function`, in a SavedModel.

It writes the same bytes as the other implementations and accepts the same payloads. No custom
operation is needed to run it. All of it runs on the CPU.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfc_port.coding import graph_loops, graph_payload
from tfc_port.coding.errors import CodingError
from tfc_port.coding.graph_tables import GraphTables
from tfc_port.coding.payload import MAX_STREAMS
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


@tf.autograph.experimental.do_not_convert
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
        symbols, escapes = _to_symbols(values, indexes, tables)
        certain = tf.gather(tables.constant("certain"), indexes)
        entries = tf.gather(tables.constant("first_entry"), indexes) + symbols
        entries = tf.boolean_mask(entries, ~certain)
        steps = graph_loops.whole_steps(tf.size(entries), streams)
        entries = graph_loops.deal(entries, steps, streams, tables.filler_entry)
        low = tf.gather(tables.constant("low"), entries)
        high = tf.gather(tables.constant("high"), entries)
        lengths, octets = _write(low, graph_loops.interval_sizes(low, high))
        return graph_payload.join(lengths, octets, escapes)


@tf.autograph.experimental.do_not_convert
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

        def decode():
            return _decode_sound(octets, starts, ends, escapes, indexes, tables, streams)

        def refuse():
            return tf.zeros_like(indexes), tf.where(possible, _FRAME, _STREAMS)

        values, code = tf.cond(sound, decode, refuse)
        values = tf.where(tf.equal(code, 0), values, 0)
        return tf.ensure_shape(values, indexes.shape), tf.gather(tf.constant(_MESSAGES), code)


def _to_symbols(
    values: tf.Tensor, indexes: tf.Tensor, tables: GraphTables
) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns int32 [n] symbols within their rows, and the escape list, uint8."""
    size = tf.gather(tables.constant("size"), indexes)
    first = tf.cast(tf.gather(tables.constant("minimum"), indexes), tf.int64)
    relative = tf.cast(values, tf.int64) - first
    above = relative - tf.cast(size, tf.int64)
    inside = (relative >= 0) & (above < 0)

    def escape():
        position = tf.boolean_mask(tf.range(tf.size(values, tf.int64), dtype=tf.int64), ~inside)
        over = tf.gather(above, position)
        excess = tf.where(over >= 0, 2 * over, -2 * tf.gather(relative, position) - 1)
        gap = position - tf.concat([[-1], position[:-1]], axis=0) - 1
        return graph_payload.encode_varints(tf.reshape(tf.stack([gap, excess], axis=1), [-1]))

    escapes = tf.cond(tf.reduce_all(inside), lambda: tf.zeros([0], tf.uint8), escape)
    mode = tf.gather(tables.constant("mode"), indexes)
    return tf.where(inside, tf.cast(relative, _INT32), mode), escapes


def _write(low: tf.Tensor, sizes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Adds up the streams from the symbols' lower counts and the intervals they leave.

    Args:
      low: float64 [steps, N], the symbols' lower cumulative counts.
      sizes: float64 [steps, N], the interval each leaves, before the shift that follows it if that
        is at most 2**16.

    Returns:
      int64 [N], the streams' lengths in bytes; uint8 [sum of lengths], the streams.
    """
    streams = tf.shape(low)[1]
    small = sizes <= 2.0**16
    shifts = tf.cast(small, _INT32)
    scaled = tf.where(small, sizes, sizes * 2.0**-16)
    scaled = tf.concat([tf.fill([1, streams], tf.constant(2.0**16, tf.float64)), scaled], axis=0)
    begins = tf.floor(scaled[:-1] * low)
    # All that is added between two shifts lies within an interval of at most 2**32; so its sum is
    # below that. It counts in units of the second word behind the words shifted out.
    shifted = tf.reduce_sum(shifts, axis=0)
    words = shifted + 1
    first = tf.cumsum(words, exclusive=True)
    place = first + tf.cumsum(shifts, axis=0, exclusive=True)
    count = tf.reduce_sum(words)
    sums = tf.math.unsorted_segment_sum(tf.reshape(begins, [-1]), tf.reshape(place, [-1]), count)
    lower = tf.math.floormod(sums, 2.0**16)
    is_first = tf.scatter_nd(first[:, None], tf.ones([streams], tf.bool), [count])
    carried_over = tf.where(is_first, tf.zeros_like(lower), tf.roll(lower, 1, axis=0))

    last = first + shifted
    base = tf.gather(carried_over, last) * 2.0**16 + tf.gather(sums, last)
    final = graph_loops.final_value(base, scaled[-1] * 2.0**16)
    digits = tf.cast(tf.floor(sums * 2.0**-16) + carried_over, _INT32)
    digits = tf.tensor_scatter_nd_update(digits, last[:, None], tf.cast(final * 2.0**-16, _INT32))
    # Two 16-bit numbers add up to at most 2 * FFFF: a carry is 1, and a digit of FFFF hands on what
    # it gets. So a digit gets a carry if the next one that isn't FFFF has one. None leaves the
    # first digit of a stream, whose value is below 1.
    settled = tf.not_equal(digits, 0xFFFF)
    source = tf.concat([tf.boolean_mask(digits, settled), [0]], axis=0)
    carries = tf.gather(source, tf.cumsum(tf.cast(settled, _INT32))) >= 1 << 16
    digits = (digits + tf.cast(carries, _INT32)) & 0xFFFF

    octets = tf.reshape(tf.stack([digits // 256, digits & 0xFF], axis=1), [-1])
    position = tf.range(2 * count)
    owner = tf.repeat(tf.cumsum(tf.cast(is_first, _INT32)) - 1, 2)
    # Zero bytes at the end are not written, but for words shifted out before the value came to
    # be 0 without a carry: TFC's encoder has written those by then.
    used = tf.math.unsorted_segment_max(tf.where(tf.equal(octets, 0), -1, position), owner, streams)
    end = tf.maximum(used + 1, 2 * first)
    end = tf.where(tf.equal(tf.math.floormod(base, 2.0**32), 0.0), 2 * last, end)
    octets = tf.boolean_mask(octets, position < tf.gather(end, owner))
    return tf.cast(end - 2 * first, tf.int64), tf.cast(octets, tf.uint8)


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
    certain = tf.gather(tables.constant("certain"), indexes)
    bases = tf.gather(tables.constant("lookup_base"), tf.boolean_mask(indexes, ~certain))
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
        tables.lookup(),
        tables.constant("low"),
        tables.constant("high"),
    )
    code = tf.where(tf.reduce_all(sound & (ends - starts <= 2 * read)), 0, _STREAM)
    decoded = tf.gather(tables.constant("value"), tf.reshape(entries, [-1]))
    values = tf.gather(tables.constant("minimum"), indexes)
    rank = tf.cumsum(tf.cast(~certain, _INT32), exclusive=True)
    decoded = tf.concat([decoded, [0]], axis=0)
    values = tf.where(certain, values, tf.gather(decoded, tf.where(certain, 0, rank)))
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
    position = tf.boolean_mask(position, within)
    excess = tf.boolean_mask(pairs[:, 1], within)
    row = tf.gather(indexes, position)
    minimum = tf.gather(tables.constant("minimum"), row)
    expected = minimum + tf.gather(tables.constant("mode"), row)
    sound &= tf.reduce_all(tf.equal(tf.gather(values, position), expected))
    first = tf.cast(minimum, tf.int64)
    last = first + tf.cast(tf.gather(tables.constant("size"), row), tf.int64) - 1
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
