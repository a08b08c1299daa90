"""Published networks run by TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tfhific.published.integer_branch import IntegerBranch
from tfhific.published.network import Network
from tfhific.runtimes import checkerboard
from tfhific.runtimes.base import Runtime, Settled


class TensorFlow(Runtime):
    """Runs networks eagerly; runs every kind of layer."""

    name: ClassVar[str] = "tensorflow"

    def __init__(self, precision: str = "float32") -> None:
        """Initializer.

        Args:
          precision: of the picture networks, `float32` or `bfloat16`.
        """
        self._precision = precision

    def check(self, network: Network) -> None:
        """See `Runtime.check`; nothing is refused."""

    def run(self, network: Network, values: np.ndarray) -> np.ndarray:
        """See `Runtime.run`."""
        import tensorflow as tf

        return network(tf.constant(values, tf.float32)).numpy()

    def run_picture(self, network: Network, values: np.ndarray) -> np.ndarray:
        """See `Runtime.run_picture`."""
        import tensorflow as tf

        return tf.cast(self._of_picture(network, values), tf.float32).numpy()

    def _of_picture(self, network: Network, values: np.ndarray) -> Any:
        import tensorflow as tf

        return network(tf.cast(tf.constant(values), self._precision))

    def analyse(self, network: Network, pixels: np.ndarray, low: float, high: float) -> np.ndarray:
        """See `Runtime.analyse`."""
        import tensorflow as tf

        x = tf.constant(pixels, tf.float32) / 255.0 * (high - low) + low
        x = tf.cast(x, self._precision)
        return tf.cast(network(x), tf.float32).numpy()

    def synthesise(
        self, network: Network, values: np.ndarray, low: float, high: float
    ) -> np.ndarray:
        """See `Runtime.synthesise`."""
        import tensorflow as tf

        x = tf.cast(self._of_picture(network, values), tf.float32)
        scaled = (x - low) / (high - low) * 255.0
        return tf.saturate_cast(tf.round(scaled), tf.uint8).numpy()

    def indexes(self, branch: IntegerBranch, hyperlatents: np.ndarray) -> np.ndarray:
        """See `Runtime.indexes`."""
        return branch(hyperlatents)

    def settle(
        self,
        networks: Mapping[str, Network],
        features: np.ndarray,
        latents: np.ndarray,
        top: int,
        known_rows: int,
        symbols: bool,
        dead_zone: np.ndarray | None = None,
    ) -> Settled:
        """See `Runtime.settle`."""
        import tensorflow as tf

        settled = checkerboard.settle(
            networks,
            tf.constant(features),
            tf.constant(latents),
            top,
            known_rows,
            symbols,
            None if dead_zone is None else tf.constant(dead_zone),
        )
        return Settled(
            symbols=tf.cast(settled.symbols, tf.int32).numpy(), values=settled.values.numpy()
        )
