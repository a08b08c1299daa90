"""`PackedTensors` as TFC 1.3 has it: tensors of a graph, with their values as arrays."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import tensorflow as tf

from tfc_port import packed_tensors


class PackedTensors(packed_tensors.PackedTensors):
    """Packs values of tensors into one string and back.

    The bytes are those of `tfc_port.PackedTensors`.
    """

    def pack(self, tensors: Iterable[Any], arrays: Iterable[Any] | None = None) -> None:
        """Packs values.

        Args:
          tensors: Tensors of rank 1, whose types count; with `arrays` None, eager ones.
          arrays: Their values: arrays or lists of the same number.

        Raises:
          ValueError: if there are not as many values as tensors.
          RuntimeError: if a value has another rank, or its type is neither integer, float nor
            string.
        """
        if arrays is None:
            super().pack(tensors)
            return
        tensors, arrays = list(tensors), list(arrays)
        if len(tensors) != len(arrays):
            raise ValueError(
                f"Expected a value for each of {len(tensors)} tensors. Received: {len(arrays)}."
            )
        super().pack([_Value(tensor, array) for tensor, array in zip(tensors, arrays)])

    def unpack(self, tensors: Iterable[Any]) -> list[np.ndarray]:
        """Returns the values.

        Args:
          tensors: Tensors (or types) whose types say what the values are, in order.

        Returns:
          List of arrays of rank 1.
        """
        types = [getattr(tensor, "dtype", tensor) for tensor in tensors]
        return [
            np.array(values, object if dtype == tf.string else dtype.as_numpy_dtype)
            for dtype, values in zip(map(tf.as_dtype, types), self.unpack_lists(types))
        ]


class _Value:
    """A value under a tensor's type, as far as packing asks for it."""

    def __init__(self, tensor: tf.Tensor, array: Any) -> None:
        self.dtype = tf.as_dtype(tensor.dtype)
        self._array = np.asarray(array, object if self.dtype == tf.string else None)
        self.shape = tf.TensorShape(self._array.shape)

    def numpy(self) -> np.ndarray:
        return self._array
