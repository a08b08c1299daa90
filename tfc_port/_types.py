"""What annotations of the port name.

TensorFlow and tensorflow-probability are imported for type checkers only. While a program runs the
names stand for themselves, so that `typing.get_type_hints` works where TensorFlow is imported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional, Union

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf
    from tensorflow_probability.python.distributions.distribution import (
        Distribution as Distribution,
    )
else:
    Distribution = Any
    """A `tfp.distributions.Distribution`."""

TensorLike = Union[
    "tf.Tensor", "tf.Variable", np.ndarray, np.generic, float, str, bytes, Sequence[Any]
]
"""What `tf.convert_to_tensor` takes: tensor, variable, array, number, string, or lists of them."""

Numeric = Union["tf.Tensor", "tf.Variable", np.ndarray, float]
"""A tensor, variable, array or number, where arithmetic is done with it as it is."""

ShapeLike = Union["tf.TensorShape", "tf.Tensor", np.ndarray, Iterable[Optional[int]]]
"""A shape: integers, or an int32 vector."""

DTypeLike = Union["tf.DType", type, np.dtype, str]
"""What `tf.as_dtype` takes: `tf.float32`, `np.float32` or "float32"."""

PriorFn = Callable[..., Distribution]
"""A class of distributions, or a function that makes one of parameters given by name."""

ParameterFns = Mapping[str, Callable[["tf.Tensor"], TensorLike]]
"""For each parameter of a distribution the function of indexes that says what it is."""

KerasObject = Union[str, Mapping[str, Any], Callable[..., Any]]
"""An initializer, regularizer or activation: its name, configuration, or itself."""

Initializer = Callable[..., "tf.Tensor"]
"""A function of shape and type that returns what a weight starts from."""

Regularizer = Callable[["tf.Tensor"], "tf.Tensor"]
"""A function from a weight to a loss."""

Weight = Union[TensorLike, Callable[..., "tf.Tensor"]]
"""A layer's weight: its value, or a `Parameter` or other function that returns it."""
