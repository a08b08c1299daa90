"""The linear transform that `mini` and `mini2` start as; needs no TensorFlow."""

from __future__ import annotations

import numpy as np

from tfhific.errors import ArgumentError
from tfhific.models.mini_config import STRIDE


def block_transform(count: int) -> np.ndarray:
    """The `count` most energetic basis functions of the 16x16 DCT over decorrelated colours.

    Energy is modelled as 1 / (u^2 + v^2 + 1/2), with the second and third colour 8 and 13 times
    weaker than the first; that is how photographs behave.

    Returns:
      float32 [count, 16 * 16 * 3], orthonormal rows; columns in the order of `space_to_depth`.
    """
    if not 1 <= count <= STRIDE * STRIDE * 3:
        raise ArgumentError(
            f"Expected 1 to {STRIDE * STRIDE * 3} basis functions. Received: {count}."
        )
    n = np.arange(STRIDE)
    dct = np.cos(np.pi * (2 * n[None, :] + 1) * n[:, None] / (2 * STRIDE))
    dct *= np.sqrt(np.where(n == 0, 1.0, 2.0) / STRIDE)[:, None]
    colours = np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]], np.float64)
    colours /= np.linalg.norm(colours, axis=1, keepdims=True)
    energy_rank = (n[:, None] ** 2 + n[None, :] ** 2 + 0.5)[None] * np.array([1.0, 8.0, 13.0])[
        :, None, None
    ]
    order = np.argsort(energy_rank, axis=None, kind="stable")[:count]
    c, u, v = np.unravel_index(order, energy_rank.shape)
    basis = np.einsum("ni,nj,nk->nijk", dct[u], dct[v], colours[c])
    return basis.reshape(count, -1).astype(np.float32)
