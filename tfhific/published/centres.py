"""The centres that codes are quantised to, in NumPy."""

from __future__ import annotations

import numpy as np

from tfhific.errors import ModelError


def spread_centres(count: int) -> np.ndarray:
    """`count` whole numbers about zero, float32: -2, -1, 0, 1, 2 for five.

    Raises:
      ModelError: for fewer than two.
    """
    if count < 2:
        raise ModelError(f"Expected at least two centres. Received: {count}.")
    return (np.arange(count) - (count - 1) / 2).astype(np.float32)


def nearest(values: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Which centre is nearest to each value, int32, ties to the first; shaped like `values`."""
    distance = np.abs(values[..., None].astype(np.float64) - centres.astype(np.float64))
    return distance.argmin(-1).astype(np.int32)
