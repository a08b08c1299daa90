"""Trained weights as they are published: finite, and of half precision."""

from __future__ import annotations

import numpy as np

from tfhific.errors import ModelError
from tfhific.published.network import Network
from tfhific.publishing.fold import fold


def finite(name: str, value: np.ndarray) -> np.ndarray:
    """The value itself.

    Raises:
      ModelError: when not all of it is finite.
    """
    if not np.all(np.isfinite(value)):
        raise ModelError(f"The trained weights {name!r} are not all finite: nothing to publish.")
    return value


def rounded(network: Network, half: bool = True) -> Network:
    """A network of finite weights, rounded to half precision: the model from then on.

    Args:
      network: folded.
      half: False to leave the weights as they are.

    Raises:
      ModelError: when a weight is not finite, or beyond half precision.
    """

    def one(value: np.ndarray) -> np.ndarray:
        return value.astype(np.float16).astype(np.float32) if half else value

    weights = {key: finite(key, one(value)) for key, value in network.weights.items()}
    return Network(network.layers, weights)


def folded(layer, prefix: str, half: bool = True) -> Network:
    """`rounded` of a Keras network's folded form; see `tfhific.publishing.fold.fold`."""
    return rounded(fold(layer, prefix), half)
