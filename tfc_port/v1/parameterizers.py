"""How layers of TFC 1.3 make weights of variables."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfc_port._types import DTypeLike, Initializer, Regularizer, TensorLike
from tfc_port.ops.bounds import lower_bound


class Parameterizer(metaclass=abc.ABCMeta):
    """Makes a weight of variables that the layer makes for it."""

    @abc.abstractmethod
    def __call__(
        self,
        getter: Callable[..., tf.Variable],
        name: str,
        shape: Sequence[int],
        dtype: tf.DType,
        initializer: Initializer,
        regularizer: Regularizer | None = None,
    ) -> tf.Tensor | Callable[[], tf.Tensor]:
        """Makes the variables.

        Args:
          getter: Function with the arguments `name`, `shape`, `dtype`, `initializer` and
            `regularizer` that makes a variable.
          name: Name of the weight.
          shape: Its shape, integers.
          dtype: Its type.
          initializer: Function of shape and type; what the weight starts from.
          regularizer: Function from the weight to a loss, or None.

        Returns:
          The weight: a tensor, or a function without arguments that returns it.
        """


class StaticParameterizer(Parameterizer):
    """A weight that stays what it is."""

    def __init__(self, initializer: Initializer | TensorLike | None = None) -> None:
        """Makes the parameterizer.

        Args:
          initializer: Function of shape and type, or a number or array; None for what the layer
            starts from.
        """
        self.initializer = initializer

    def __call__(
        self,
        getter: Callable[..., tf.Variable],
        name: str,
        shape: Sequence[int],
        dtype: tf.DType,
        initializer: Initializer,
        regularizer: Regularizer | None = None,
    ) -> tf.Tensor | Callable[[], tf.Tensor]:
        del getter, regularizer
        start = initializer if self.initializer is None else self.initializer
        if callable(start):
            value = start(shape, dtype=dtype)
        else:
            value = tf.broadcast_to(tf.cast(start, dtype), shape)
        return tf.identity(value, name=name)


class RDFTParameterizer(Parameterizer):
    """A kernel [spatial..., input, output] as the inverse real DFT of its variable, `..._rdft`.

    The variable has shape [coefficients, input * output]: `irdft_matrix` times it is the kernel.
    """

    def __init__(self, dc: bool = True) -> None:
        """Makes the parameterizer.

        Args:
          dc: Whether the kernel's sum may differ from 0.
        """
        self.dc = bool(dc)

    def __call__(
        self,
        getter: Callable[..., tf.Variable],
        name: str,
        shape: Sequence[int],
        dtype: tf.DType,
        initializer: Initializer,
        regularizer: Regularizer | None = None,
    ) -> tf.Tensor | Callable[[], tf.Tensor]:
        shape = tuple(int(size) for size in shape)
        matrix = irdft_matrix(shape[:-2], dtype)
        if not self.dc:
            matrix = matrix[:, 1:]
        coefficients = [matrix.shape[1], shape[-2] * shape[-1]]

        def start(_: Any, dtype: DTypeLike | None = None, **unused: Any) -> tf.Tensor:
            kernel = tf.cast(initializer(shape, dtype=dtype), dtype)
            return tf.linalg.matmul(matrix, tf.reshape(kernel, [-1, coefficients[1]]), True)

        def kernel_of(variable: tf.Variable) -> tf.Tensor:
            return tf.reshape(tf.linalg.matmul(matrix, tf.convert_to_tensor(variable)), shape)

        variable = getter(
            name=f"{name}_rdft",
            shape=coefficients,
            dtype=dtype,
            initializer=start,
            regularizer=_composed(regularizer, kernel_of),
        )
        return lambda: kernel_of(variable)


class NonnegativeParameterizer(Parameterizer):
    """A weight of at least `minimum`, the square of its variable, `reparam_...`.

    See `tfc_port.GDNParameter`, which does the same.
    """

    def __init__(self, minimum: float = 0, reparam_offset: float = 2**-18) -> None:
        """Makes the parameterizer.

        Args:
          minimum: Lower bound of the weight.
          reparam_offset: Square root of what is added to the weight before its root is taken.
        """
        self.minimum = float(minimum)
        self.reparam_offset = float(reparam_offset)

    def __call__(
        self,
        getter: Callable[..., tf.Variable],
        name: str,
        shape: Sequence[int],
        dtype: tf.DType,
        initializer: Initializer,
        regularizer: Regularizer | None = None,
    ) -> tf.Tensor | Callable[[], tf.Tensor]:
        pedestal = self.reparam_offset**2
        bound = (self.minimum + pedestal) ** 0.5

        shape = tuple(int(size) for size in shape)

        def start(_: Any, dtype: DTypeLike | None = None, **unused: Any) -> tf.Tensor:
            value = tf.cast(initializer(shape, dtype=dtype), dtype)
            return tf.sqrt(tf.maximum(value + pedestal, pedestal))

        def weight_of(variable: tf.Variable) -> tf.Tensor:
            return tf.square(lower_bound(variable, bound)) - pedestal

        variable = getter(
            name=f"reparam_{name}",
            shape=shape,
            dtype=dtype,
            initializer=start,
            regularizer=_composed(regularizer, weight_of),
        )
        return lambda: weight_of(variable)


def _composed(regularizer: Callable | None, weight_of: Callable) -> Callable | None:
    return None if regularizer is None else lambda variable: regularizer(weight_of(variable))


def irdft_matrix(shape: Iterable[int], dtype: DTypeLike = tf.float32) -> tf.Tensor:
    """The matrix that turns real Fourier coefficients into samples; its inverse is its transpose.

    Along each dimension of length n the coefficients are those of cos(2 pi k t / n) and
    -sin(2 pi k t / n), in this order for each k from 0 on, without the sines that are 0, and scaled
    so that the matrix is orthonormal.

    Args:
      shape: Integers, the lengths.
      dtype: Floating-point type.

    Returns:
      Tensor [samples, coefficients], both counted in row-major order.
    """
    matrix = np.ones([1, 1])
    for size in shape:
        matrix = np.kron(matrix, _irdft(int(size)))
    return tf.constant(matrix, dtype)


def _irdft(size: int) -> np.ndarray:
    time = np.arange(size)
    columns = [np.full(size, size**-0.5)]
    for k in range(1, size // 2 + 1):
        angle = 2 * np.pi * k * time / size
        if 2 * k == size:
            columns.append(np.cos(angle) * size**-0.5)
        else:
            columns += [np.cos(angle) * (2 / size) ** 0.5, -np.sin(angle) * (2 / size) ** 0.5]
    return np.stack(columns, axis=1)
