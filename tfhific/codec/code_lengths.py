"""What a symbol takes by frozen tables, as a function that gradients go through.

A symbol's code length in its table is known exactly. Between two symbols, and between two rows of
scales, it is interpolated linearly: a value that is one symbol with some probability and the next
one otherwise then takes what it takes on average.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tfc_port.coding import Tables

if TYPE_CHECKING:
    import tensorflow as tf

_ESCAPE_BITS = 16.0
"""Of an escape's shortest entry: a varint for its place and one for its value."""


class CodeLengths:
    """Code lengths of tables, in bits, over one range of symbols for all rows.

    Attributes:
      bits: float32 [rows, span], of the symbols from `lowest` on; beyond a row, those of an escape.
      lowest: the first symbol of that range.
    """

    def __init__(self, tables: Tables, most: int = 2048) -> None:
        """Initializer.

        Args:
          tables: the tables.
          most: symbols of a larger magnitude count as that.
        """
        last = tables.minimum + tables.sizes - 1
        self.lowest = max(int(tables.minimum.min()) - 1, -most)
        highest = max(min(int(last.max()) + 1, most), self.lowest + 1)
        symbols = np.arange(self.lowest, highest + 1)
        self.bits = np.empty([tables.rows, len(symbols)], np.float32)
        for row in range(tables.rows):
            first, size = int(tables.minimum[row]), int(tables.sizes[row])
            start = int(tables.starts[row]) + 1
            own = tables.code_lengths[start : start + size] / 256.0
            inside = np.clip(symbols - first, 0, size - 1)
            beyond = np.maximum(first - symbols, symbols - (first + size - 1))
            # What stands in an escaped symbol's place is the row's most probable one.
            escaped = own.min() + _ESCAPE_BITS + np.log2(np.maximum(beyond, 1))
            self.bits[row] = np.where(beyond > 0, escaped, own[inside])

    def of_symbols(self, symbols: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Bits of integer symbols by their rows: float32, shaped like `symbols`."""
        place = np.clip(symbols - self.lowest, 0, self.bits.shape[1] - 1)
        return self.bits[rows, place]

    def of_values(self, values: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Bits of real values by real rows: float32, shaped like `values`, with gradients to both.

        Args:
          values: float32, real symbols.
          rows: float32, of the same shape, real rows, cut to those that there are.
        """
        import tensorflow as tf

        count, span = self.bits.shape
        table = tf.reshape(tf.constant(self.bits), [-1])
        place = tf.clip_by_value(values - self.lowest, 0.0, span - 1.0)
        row = tf.clip_by_value(rows, 0.0, count - 1.0)
        left = tf.minimum(tf.floor(place), span - 2.0)
        above = tf.minimum(tf.floor(row), max(count - 2.0, 0.0))
        first = tf.cast(above * span + left, tf.int32)
        step = span if count > 1 else 0
        across, down = place - left, row - above

        def between(start: tf.Tensor) -> tf.Tensor:
            low, high = tf.gather(table, start), tf.gather(table, start + 1)
            return low + across * (high - low)

        near, far = between(first), between(first + step)
        return near + down * (far - near)
