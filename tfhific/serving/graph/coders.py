"""The entropy coder of an exported graph: in core ops, or by TFC's kernels."""

from __future__ import annotations

import tensorflow as tf

from tfc_port.coding import ALLOWANCE, Tables, graph


class CoreCoder(tf.Module):
    """Codes by one set of tables in core TensorFlow ops."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(name="core_coder")
        self._tables = graph.GraphTables(tables)

    def choose_streams(
        self, values: tf.Tensor, indexes: tf.Tensor, allowance: float = ALLOWANCE
    ) -> tf.Tensor:
        """How many streams to deal values, int32 [n], of the rows `indexes`, int32 [n], to."""
        return graph.choose_streams_tensor(values, indexes, self._tables, allowance)

    def encode(self, values: tf.Tensor, indexes: tf.Tensor, streams: tf.Tensor) -> tf.Tensor:
        """The payload, a string."""
        return graph.encode_tensors(values, indexes, self._tables, streams)

    def decode(
        self, payload: tf.Tensor, indexes: tf.Tensor, streams: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """The values, int32 [n], and what is wrong with the payload, a string."""
        return graph.decode_tensors(payload, indexes, self._tables, streams)
