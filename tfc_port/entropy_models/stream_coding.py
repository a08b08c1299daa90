"""Strings of several streams: the entropy models' door to `tfc_port.coding`."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfc_port import coding
from tfc_port.coding.graph import decode_tensors, encode_tensors
from tfc_port.coding.graph_tables import GraphTables


def check_streams(streams: int) -> int:
    """Returns `streams` as an integer.

    Raises:
      ValueError: if it is not between 1 and the largest number of streams a string can have.
    """
    number = int(streams)
    if not 1 <= number <= coding.MAX_STREAMS:
        raise ValueError(f"`streams` must be from 1 to {coding.MAX_STREAMS}. Received: {streams}.")
    return number


class StreamTables(tf.Module):
    """An entropy model's tables in the form that strings of several streams are coded by.

    They have the model's rows. The symbol that stands for overflow in strings of one stream is here
    one value more; values outside go beside the streams.

    It is a module so that a SavedModel holds what the coder derives from the tables.
    """

    def __init__(self) -> None:
        super().__init__()
        self._source: _Untracked | None = None
        self._tables: coding.Tables | None = None
        self._graph_tables: GraphTables | None = None

    def read(
        self, cdf: tf.Variable | tf.Tensor, cdf_offset: tf.Variable | tf.Tensor
    ) -> coding.Tables | GraphTables:
        """The tables of a model, `Tables` eagerly and `GraphTables` while a graph is made.

        Args:
          cdf: Variable or tensor, the model's lookup tensor.
          cdf_offset: Variable or tensor, the integers that its rows begin with.

        Raises:
          ValueError: if they are tensors whose values are not known while the graph is made.
        """
        source = _known_value(cdf), _known_value(cdf_offset)
        known = self._source is not None and all(map(np.array_equal, source, self._source.value))
        if self._tables is None or not known:
            lookup, minimum = source
            self._tables = coding.Tables(lookup=_without_overflow(lookup), minimum=minimum)
            self._source = _Untracked(source)
            self._graph_tables = None
        tables = self._tables
        if tf.executing_eagerly():
            return tables
        if self._graph_tables is None:
            with tf.init_scope():
                self._graph_tables = GraphTables(tables)
        return self._graph_tables


class _Untracked:
    """Keeps a value out of sight of `tf.Module`, which would wrap it."""

    def __init__(self, value: tuple[np.ndarray, np.ndarray]) -> None:
        self.value = value


def _known_value(source: tf.Variable | tf.Tensor) -> np.ndarray:
    if isinstance(source, tf.Variable):
        # A graph takes the tables as they are when it is made.
        with tf.init_scope():
            return source.numpy()
    value = tf.get_static_value(source)
    if value is None:
        raise ValueError(
            "With more than one stream, the tables must be known when a function is traced: use "
            "`stateless=False`, or tables that are constants."
        )
    return value


def _without_overflow(lookup: np.ndarray) -> np.ndarray:
    """The lookup with positive precisions; counts are never negative."""
    return np.abs(lookup)


def encode(
    values: tf.Tensor,
    rows: tf.Tensor | None,
    batch_shape: tf.Tensor,
    tables: coding.Tables | GraphTables,
    streams: int,
) -> tf.Tensor:
    """Codes integers to strings of several streams.

    Args:
      values: int32 tensor whose shape begins with `batch_shape`.
      rows: int32 tensor of the same shape, the table of each; None where the last dimension runs
        over the tables.
      batch_shape: int32 vector, the shape of the strings.
      tables: What `StreamTables.read` returns.
      streams: Python integer.

    Returns:
      String tensor of shape `batch_shape`.
    """
    units = tf.reduce_prod(batch_shape)
    if rows is None:
        count = tf.shape(values)[-1]
        rows = tf.broadcast_to(tf.range(count), tf.shape(values))
    values = _by_unit(values, units)
    rows = _by_unit(rows, units)
    if isinstance(tables, coding.Tables):
        strings = [
            coding.encode(unit, index, tables, streams=streams)
            for unit, index in zip(values.numpy(), rows.numpy())
        ]
        strings = tf.constant(strings, tf.string, shape=[len(strings)])
    else:
        strings = tf.map_fn(
            lambda unit: encode_tensors(unit[0], unit[1], tables, tf.constant(streams)),
            (values, rows),
            fn_output_signature=tf.TensorSpec([], tf.string),
        )
    return tf.reshape(strings, batch_shape)


def decode(
    strings: tf.Tensor,
    rows: tf.Tensor | None,
    shape: tf.Tensor,
    tables: coding.Tables | GraphTables,
    streams: int,
) -> tuple[tf.Tensor, tf.Tensor]:
    """Decodes strings of several streams.

    Args:
      strings: String tensor.
      rows: int32 tensor of the shape of `strings` followed by `shape`, the table of each value;
        None where the last dimension runs over the tables.
      shape: int32 vector, the shape that each string decodes to.
      tables: What `StreamTables.read` returns.
      streams: Python integer.

    Returns:
      The values, int32, and a boolean tensor of the shape of `strings`, whether each is sound; the
      values of one that is not are 0.
    """
    full_shape = tf.concat([tf.shape(strings), shape], 0)
    if rows is None:
        rows = tf.broadcast_to(tf.range(full_shape[-1]), full_shape)
    units = tf.size(strings)
    rows = _by_unit(tf.reshape(rows, full_shape), units)
    flat = tf.reshape(strings, [-1])
    if isinstance(tables, coding.Tables):
        values, sound = [], []
        for string, index in zip(flat.numpy(), rows.numpy()):
            try:
                values.append(coding.decode(string, index, tables, streams=streams))
                sound.append(True)
            except coding.CodingError:
                values.append(np.zeros_like(index))
                sound.append(False)
        values = tf.constant(np.array(values, np.int32).reshape(rows.shape))
        sound = tf.constant(sound, tf.bool, shape=[len(sound)])
    else:

        def decode_unit(unit: tuple[tf.Tensor, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
            decoded, error = decode_tensors(unit[0], unit[1], tables, tf.constant(streams))
            return decoded, tf.equal(error, "")

        # One more string where there is none: a map without elements has no shape to return.
        more = tf.cast(tf.equal(units, 0), tf.int32)
        flat = tf.concat([flat, tf.fill([more], "")], 0)
        rows = tf.pad(rows, [[0, more], [0, 0]])
        values, sound = tf.map_fn(
            decode_unit,
            (flat, rows),
            fn_output_signature=(tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.bool)),
        )
        values, sound = values[:units], sound[:units]
    return tf.reshape(values, full_shape), tf.reshape(sound, tf.shape(strings))


def _by_unit(tensor: tf.Tensor, units: tf.Tensor) -> tf.Tensor:
    size = tf.size(tensor) // tf.maximum(units, 1)
    return tf.reshape(tensor, tf.stack([units, size]))
