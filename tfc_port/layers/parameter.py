"""Base class of reparameterised weights."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfc_port._keras import load_keras
from tfc_port._types import DTypeLike, Weight


class Parameter(tf.Module, metaclass=abc.ABCMeta):
    """A weight of a layer that is a function of variables rather than a variable.

    Where TensorFlow expects a tensor, a parameter stands for its value.
    """

    @abc.abstractmethod
    def __call__(self, compute_dtype: DTypeLike | None = None) -> tf.Tensor:
        """Returns the value, in `compute_dtype` if that is given."""

    @abc.abstractmethod
    def get_config(self) -> dict[str, Any]:
        """Returns what Keras needs to make a parameter of the same kind."""
        return {"name": self.name}

    def get_weights(self) -> list[np.ndarray]:
        """Returns the values of the variables."""
        return load_keras().backend.batch_get_value(self.variables)

    def set_weights(self, weights: Sequence[np.ndarray]) -> None:
        """Sets the variables.

        Args:
          weights: One array per variable, in the order of `get_weights`.

        Raises:
          ValueError: if there are not as many arrays as variables.
        """
        if len(weights) != len(self.variables):
            raise ValueError(
                f"set_weights() expects a list of {len(self.variables)} arrays. "
                f"Received: {len(weights)}."
            )
        load_keras().backend.batch_set_value(list(zip(self.variables, weights)))

    def __tf_tensor__(self, dtype: DTypeLike | None = None, name: str | None = None) -> tf.Tensor:
        del name
        return self(compute_dtype=dtype)


def as_tensor(parameter: Weight, dtype: DTypeLike) -> tf.Tensor:
    """The value of what a layer accepts for a weight: tensor, variable, parameter or callable."""
    if isinstance(parameter, Parameter):
        return parameter(compute_dtype=dtype)
    if callable(parameter):
        parameter = parameter()
    return tf.cast(parameter, dtype)
