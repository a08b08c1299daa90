"""Tables as the graph coder reads them: by entry, all rows' symbols in one numbering.

An *entry* is one symbol of one row that is not certain. Behind the last there is one more: the
only symbol of a filler row, which codes to nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfc_port.coding.errors import CodingError
from tfc_port.coding.tables import Tables

WHOLE = 1 << 16
"""Counts in a row; every row is brought to precision 16."""

MAX_CODED_ROWS = 4096
"""How many rows that are not certain the coder takes: their counts are numbered by int32."""

MAX_LOOKUP_ROWS = 256
"""Up to so many the decoder has a lookup of 256 KiB each; for more it searches, a little slower."""


class _Lookup(tf.saved_model.experimental.TrackableResource):
    """int32 [rows * 2**16]: the entry at each count of each row.

    It is built where it is used, when it is made and when a SavedModel that holds it is loaded, and
    is not stored. The resource is named by its content, so that equal ones are the same one.
    """

    def __init__(self, positions: np.ndarray, rows: int) -> None:
        super().__init__(device="/CPU:0")
        self._positions = positions
        self._size = rows * WHOLE
        digest = hashlib.sha256(positions.astype("<i4").tobytes()).hexdigest()[:32]
        self._name = f"tfc_port_lookup_{rows}_{digest}"
        with tf.init_scope():
            self._initialize()

    def _create_resource(self) -> tf.Tensor:
        return tf.raw_ops.VarHandleOp(dtype=tf.int32, shape=[self._size], shared_name=self._name)

    def _initialize(self) -> None:
        with tf.device("/CPU:0"):
            # Each entry starts at one place, and they are in order: the number of starts so far,
            # not counting the first entry's.
            starts = tf.scatter_nd(
                tf.constant(self._positions[1:, None]),
                tf.ones([self._positions.size - 1], tf.int32),
                [self._size],
            )
            tf.raw_ops.AssignVariableOp(resource=self.resource_handle, value=tf.cumsum(starts))

    def read(self) -> tf.Tensor:
        with tf.device("/CPU:0"):
            entries = tf.raw_ops.ReadVariableOp(resource=self.resource_handle, dtype=tf.int32)
        return tf.ensure_shape(entries, [self._size])


class GraphTables(tf.Module):
    """`Tables` made ready for `encode_tensors` and `decode_tensors`.

    Keep it as an attribute of the module that is exported: the SavedModel then builds the lookup
    when it is loaded.

    Its arrays, for `constant`:
      first, last: int32 [rows], a row's lowest and highest value.
      mode_entry: int32 [rows], the entry of its most probable symbol.
      value_base: int32 [rows], what to add to a row's entry for its value, modulo 2**32.
      lookup_base: int32 [rows], where a row's counts begin in the numbering of all counts.
      low: int32 [entries], the entry's lower cumulative count, 0 to 2**16 - 1.
      length: int32 [entries], what an entry takes, in 1/256 bit; 0 for the filler's.

    Attributes:
      filler_entry, filler_base: the filler row's entry and where its counts begin, behind all
        others; a certain row has them too.
    """

    def __init__(self, tables: Tables) -> None:
        """Prepares `tables`.

        Raises:
          CodingError: if more than `MAX_CODED_ROWS` rows are not certain.
        """
        super().__init__(name="graph_tables")
        coded = np.flatnonzero(~tables.certain)
        if coded.size > MAX_CODED_ROWS:
            raise CodingError(
                f'The "graph" coder takes at most {MAX_CODED_ROWS} rows of more than one symbol. '
                f"Received: {coded.size}."
            )
        sizes = tables.sizes.astype(np.int64)
        entries = int(sizes[coded].sum())
        # Where each entry's lower count stands in the lookup tensor: behind precision and 0.
        begins = np.cumsum(sizes[coded]) - sizes[coded]
        within = np.arange(entries) - np.repeat(begins, sizes[coded])
        owner = np.repeat(coded, sizes[coded])
        place = tables.starts[owner] + 1 + within
        low = np.append(tables.lookup16[place], 0)
        number = np.append(np.repeat(np.arange(coded.size), sizes[coded]), coded.size)

        first_entry = np.full(tables.rows, entries, np.int32)
        first_entry[coded] = begins
        lookup_base = np.full(tables.rows, coded.size * WHOLE, np.int32)
        lookup_base[coded] = np.arange(coded.size) * WHOLE

        self._arrays = {
            "first": tables.minimum,
            "last": tables.minimum + (tables.sizes - 1),
            "mode_entry": first_entry + tables.mode,
            "value_base": (tables.minimum - first_entry.astype(np.int64)).astype(np.int32),
            "lookup_base": lookup_base,
            "low": low.astype(np.int32),
            "length": np.append(tables.code_lengths[place], np.int32(0)),
        }
        self.filler_entry: int = entries
        self.filler_base: int = coded.size * WHOLE
        self._starts: np.ndarray = (number * WHOLE + low).astype(np.int32)
        self._lookup: _Lookup | None = None
        if coded.size <= MAX_LOOKUP_ROWS:
            self._lookup = _Lookup(self._starts, coded.size + 1)

    def constant(self, name: str) -> tf.Tensor:
        """Returns one of the arrays as a constant of the graph that is being built."""
        return tf.constant(self._arrays[name])

    def counts(self) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns float64 [entries], twice: the lower and the upper cumulative counts."""
        low = self.constant("low")
        # The next entry's, but a row ends where the next one begins with 0.
        high = tf.roll(low, -1, axis=0)
        high = tf.where(tf.equal(high, 0), WHOLE, high)
        return tf.cast(low, tf.float64), tf.cast(high, tf.float64)

    def finder(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Returns a function from counts, int32 [k], to their entries, int32 [k].

        A count of a row stands `lookup_base` of the row behind its own number.
        """
        if self._lookup is not None:
            lookup = self._lookup.read()
            return lambda places: tf.gather(lookup, places)
        starts = tf.constant(self._starts[np.newaxis])

        def search(places: tf.Tensor) -> tf.Tensor:
            found = tf.raw_ops.UpperBound(sorted_inputs=starts, values=places[tf.newaxis])
            return found[0] - 1

        return search
