"""Random numbers of a training step that follow from seed, step and name alone.

A run that was killed and resumed therefore draws what it would have drawn. TensorFlow's stateful
generators can't give that: their state is in no checkpoint.
"""

from __future__ import annotations

import zlib

import tensorflow as tf


class Draws:
    """What one forward pass draws.

    Each name is a stream of its own: two draws of one name are equal, so a name is used once.
    """

    def __init__(self, seed: int, step: int | tf.Tensor, replica=0, part=0) -> None:
        """Initializer.

        Args:
          seed: of the run.
          step: integer, Python's or a scalar tensor.
          replica: which of the replicas that share a step, below 1024.
          part: which part of the replica's batch, below 1024.
        """
        place = (tf.cast(step, tf.int64) * 1024 + tf.cast(replica, tf.int64)) * 1024
        self._place = place + tf.cast(part, tf.int64)
        self._seed = int(seed)

    @classmethod
    def fresh(cls) -> Draws:
        """Draws that differ from call to call and that nothing can repeat."""
        return cls(0, tf.random.uniform([], 0, 1 << 40, tf.int64))

    def _key(self, name: str) -> tf.Tensor:
        named = (self._seed & 0x7FFFFFFF) + (zlib.crc32(name.encode()) << 31)
        return tf.stack([tf.constant(named, tf.int64), self._place])

    def uniform(self, name: str, shape, low: float = 0.0, high: float = 1.0) -> tf.Tensor:
        """float32 of a shape, uniform in [low, high)."""
        return tf.random.stateless_uniform(
            shape, self._key(name), low, high, tf.float32, alg="philox"
        )

    def normal(self, name: str, shape, deviation: float = 1.0) -> tf.Tensor:
        """float32 of a shape, normal about zero."""
        return tf.random.stateless_normal(
            shape, self._key(name), 0.0, deviation, tf.float32, alg="philox"
        )

    def integers(self, name: str, shape, below: int) -> tf.Tensor:
        """int32 of a shape, uniform in 0 .. below - 1."""
        return tf.random.stateless_uniform(shape, self._key(name), 0, below, tf.int32, alg="philox")

    def noise(self, name: str, like: tf.Tensor) -> tf.Tensor:
        """Quantisation noise: float32 in [-1/2, 1/2) in the shape of a tensor."""
        return self.uniform(name, tf.shape(like), -0.5, 0.5)
