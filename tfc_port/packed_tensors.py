"""Several tensors in one string."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tensorflow as tf


class PackedTensors:
    """Vectors of integers, floats or strings, and a model's name, as one string.

    The string is a serialised `tf.train.Example`: the k-th tensor, from 1, is the feature whose
    name is the character k; the model is the feature "MD". Integers are written as varints.
    """

    def __init__(self, string: bytes | None = None) -> None:
        """Makes an empty object, or one that holds what `string` does.

        Args:
          string: What another object's `string` was.
        """
        self._example = tf.train.Example()
        if string:
            self.string = string

    @property
    def _features(self) -> Any:
        return self._example.features.feature

    @property
    def model(self) -> str:
        """Name of the model, ASCII."""
        return self._features["MD"].bytes_list.value[0].decode("ascii")

    @model.setter
    def model(self, value: str) -> None:
        self._features["MD"].bytes_list.value[:] = [value.encode("ascii")]

    @model.deleter
    def model(self) -> None:
        del self._features["MD"]

    @property
    def string(self) -> bytes:
        """All of it as a string.

        Assigning one that is not of this form raises google.protobuf's `DecodeError`.
        """
        return self._example.SerializeToString()

    @string.setter
    def string(self, value: bytes) -> None:
        self._example.ParseFromString(value)

    def pack(self, tensors: Iterable[tf.Tensor]) -> None:
        """Replaces the tensors.

        Args:
          tensors: Eager tensors of rank 1, of integers, floats (kept as float32) or strings.

        Raises:
          RuntimeError: if a tensor has another rank or type.
        """
        count = 0
        for count, tensor in enumerate(tensors, start=1):
            if tensor.shape.rank != 1:
                raise RuntimeError(
                    f"Unexpected tensor rank: expected 1. Received: {tensor.shape.rank}."
                )
            feature = self._features[chr(count)]
            feature.Clear()
            _values(feature, tensor.dtype)[:] = tensor.numpy()
        while chr(count + 1) in self._features:
            count += 1
            del self._features[chr(count)]

    def unpack(self, dtypes: Iterable[tf.DType]) -> list[tf.Tensor]:
        """Returns the tensors.

        Args:
          dtypes: Their types, in order.

        Raises:
          RuntimeError: if a type is neither integer, float nor string.
        """
        dtypes = [tf.as_dtype(dtype) for dtype in dtypes]
        lists = self.unpack_lists(dtypes)
        return [tf.constant(values, dtype=dtype) for values, dtype in zip(lists, dtypes)]

    def unpack_lists(self, dtypes: Iterable[tf.DType]) -> list[list]:
        """Returns the tensors' values as lists; `unpack` without making tensors of them."""
        return [
            list(_values(self._features[chr(number)], tf.as_dtype(dtype)))
            for number, dtype in enumerate(dtypes, start=1)
        ]


def _values(feature: Any, dtype: tf.DType) -> Any:
    """The list of a feature that holds values of a type."""
    if dtype.is_integer:
        return feature.int64_list.value
    if dtype.is_floating:
        return feature.float_list.value
    if dtype == tf.string:
        return feature.bytes_list.value
    raise RuntimeError(
        f"Unexpected tensor dtype: expected integer, float or string. Received: '{dtype.name}'."
    )
