"""The integer branch in NumPy: the same integers as TensorFlow's, from the same bound on sums.

All sums of products stay below 2^40 (`tfhific.published.integer_branch`), so matrix products of
float64 are exact, whatever their order.
"""

from __future__ import annotations

import numpy as np

from tfhific.errors import ModelError
from tfhific.published.integer_branch import ACTIVATION_BITS, MAX_INPUT, IntegerBranch
from tfhific.published.ops import Conv, Deconv, GridConvolution


def indexes(branch: IntegerBranch, hyperlatents: np.ndarray) -> np.ndarray:
    """Scale indexes.

    Args:
      branch: the branch.
      hyperlatents: int32 [1, height, width, channels].

    Returns:
      int32 [1, height', width', latent channels].
    """
    x = np.clip(hyperlatents[0], -MAX_INPUT, MAX_INPUT).astype(np.float64)
    for number, layer in enumerate(branch.layers):
        kernel = layer.kernel.astype(np.float64)
        x = _product(layer.convolution, x, kernel) + layer.bias.astype(np.float64)
        last = number == len(branch.layers) - 1
        if last and branch.thresholds is not None:
            bounds = branch.thresholds.astype(np.float64)
            return np.searchsorted(bounds, x, side="right").astype(np.int32)[None]
        x = np.floor(x * 2.0**-layer.shift + 0.5)
        x = np.clip(x, 0.0, branch.num_scales - 1 if last else (1 << ACTIVATION_BITS) - 1)
    return x.astype(np.int32)[None]


def _product(op: GridConvolution, x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    if isinstance(op, Conv) and op.padding == "zeros":
        return _correlate(x, kernel, op.stride, op.pads)
    if isinstance(op, Deconv):
        return _spread(x, kernel, op.stride, op.crop)
    raise ModelError(f"An integer branch has no layers of the kind {op.kind!r}.")


def _correlate(x: np.ndarray, kernel: np.ndarray, stride: int, pads) -> np.ndarray:
    """`tfhific.published.functional.conv`, padded with zeros, on [height, width, in]."""
    above, below, left, right = pads
    height, width = x.shape[0] // stride, x.shape[1] // stride
    x = np.pad(x, [(above, below), (left, right), (0, 0)])
    out = np.zeros([height * width, kernel.shape[3]])
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            seen = x[row:, column:][: height * stride : stride, : width * stride : stride]
            out += _matrix(seen) @ kernel[row, column]
    return out.reshape(height, width, -1)


def _spread(x: np.ndarray, kernel: np.ndarray, stride: int, crop: tuple[int, int]) -> np.ndarray:
    """`tfhific.published.functional.deconv` on [height, width, in]."""
    height, width = x.shape[:2]
    rows, columns, out = kernel.shape[:3]
    whole = np.zeros([stride * (height - 1) + rows, stride * (width - 1) + columns, out])
    x = _matrix(x)
    for row in range(rows):
        for column in range(columns):
            place = whole[row:, column:][: stride * height : stride, : stride * width : stride]
            place += (x @ kernel[row, column].T).reshape(height, width, out)
    return whole[crop[0] :, crop[1] :][: stride * height, : stride * width]


def _matrix(x: np.ndarray) -> np.ndarray:
    """[height * width, channels], contiguous.

    One product for each tap of a kernel: of three dimensions NumPy makes one for each row, and
    threads of its linear algebra wait for each other after every one.
    """
    return np.ascontiguousarray(x).reshape(-1, x.shape[-1])
