"""Convolution kernels parameterised by their Fourier transform."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfc_port._decorators import with_name_scope
from tfc_port._keras import PACKAGE, load_keras
from tfc_port._types import DTypeLike, ShapeLike, TensorLike
from tfc_port.layers.parameter import Parameter


def _irfft3d(rdft: tf.Tensor, fft_length: tf.TensorShape) -> tf.Tensor:
    """As `tf.signal.irfft3d`, which in TensorFlow 2.14 has no gradient."""
    planes = tf.transpose(rdft, [0, 1, 3, 4, 2])
    planes = tf.transpose(tf.signal.ifft(planes), [0, 1, 4, 2, 3])
    return tf.signal.irfft2d(planes, fft_length=fft_length[1:])


# Number of spatial dimensions to the real transform and its inverse.
_TRANSFORMS = {
    1: (tf.signal.rfft, tf.signal.irfft),
    2: (tf.signal.rfft2d, tf.signal.irfft2d),
    3: (tf.signal.rfft3d, _irfft3d),
}


@load_keras().utils.register_keras_serializable(package=PACKAGE)
class RDFTParameter(Parameter):
    """A kernel [spatial..., input, output] as the inverse real DFT of its variables.

    The transform runs over the spatial dimensions and is orthonormal.

    Attributes:
      real: Variable [input, output, frequencies...], the real part of the transform.
      imag: Variable of the same shape, the imaginary part.
      shape: `tf.TensorShape` of the kernel.
      dtype: `tf.DType` of the kernel.
    """

    def __init__(
        self,
        initial_value: TensorLike | None,
        name: str | None = None,
        shape: ShapeLike | None = None,
        dtype: DTypeLike | None = None,
    ) -> None:
        """Makes the variables.

        Args:
          initial_value: Tensor of rank 3 to 5, the kernel to start from; None to start from zeros
            of `shape`.
          name: Name of the kernel.
          shape: Shape of the kernel, needed where `initial_value` is None.
          dtype: Type of the kernel; that of `initial_value` unless given.

        Raises:
          ValueError: if there is neither value nor shape, or the rank does not fit.
        """
        super().__init__(name=name)
        kernel = initial_kernel(initial_value, shape, dtype)
        self._shape = kernel.shape
        self._dtype = kernel.dtype
        if kernel.shape.rank not in (3, 4, 5):
            raise ValueError(f"Expected kernel of rank 3, 4, or 5. Received shape: {kernel.shape}.")
        transform, _ = _TRANSFORMS[self._spatial_rank]
        rdft = transform(tf.transpose(kernel, self._channels_first))
        rdft /= tf.cast(self._norm, rdft.dtype)
        # Two real variables, since saving and optimisers are at odds with complex ones.
        self.real = tf.Variable(tf.math.real(rdft), name=name and f"{name}_real")
        self.imag = tf.Variable(tf.math.imag(rdft), name=name and f"{name}_imag")

    @property
    def shape(self) -> tf.TensorShape:
        """Shape of the kernel, [spatial..., input, output]."""
        return self._shape

    @property
    def dtype(self) -> tf.DType:
        """Type of the kernel."""
        return self._dtype

    @property
    def _spatial_rank(self) -> int:
        return self.shape.rank - 2

    @property
    def _channels_first(self) -> list[int]:
        rank = self._spatial_rank
        return [rank, rank + 1, *range(rank)]

    @property
    def _norm(self) -> float:
        return self.shape[: self._spatial_rank].num_elements() ** 0.5

    @with_name_scope
    def __call__(self, compute_dtype: DTypeLike | None = None) -> tf.Tensor:
        """Returns the kernel; half precision is computed in float32, which FFTs need."""
        half = compute_dtype in (tf.float16, tf.bfloat16)
        fft_dtype = tf.float32 if half else (compute_dtype or self.real.dtype)
        rdft = tf.dtypes.complex(tf.cast(self.real, fft_dtype), tf.cast(self.imag, fft_dtype))
        rdft *= tf.cast(self._norm, rdft.dtype)
        _, inverse = _TRANSFORMS[self._spatial_rank]
        kernel = inverse(rdft, fft_length=self.shape[: self._spatial_rank])
        kernel = tf.transpose(kernel, [*range(2, self.shape.rank), 0, 1])
        return kernel if compute_dtype is None else tf.cast(kernel, compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of a parameter like this one, without its value."""
        config = super().get_config()
        config.update(
            initial_value=None,
            shape=tuple(int(size) for size in self.shape),
            dtype=self.dtype.name,
        )
        return config


def initial_kernel(
    initial_value: TensorLike | None, shape: ShapeLike | None, dtype: DTypeLike | None
) -> tf.Tensor:
    """The tensor that a parameter starts from: the given value, or zeros of the given shape.

    Raises:
      ValueError: if neither is given.
    """
    if initial_value is not None:
        return tf.convert_to_tensor(initial_value, dtype=dtype)
    if shape is None:
        raise ValueError("If initial_value is None, shape must be specified.")
    return tf.zeros(shape, dtype=tf.float32 if dtype is None else dtype)
