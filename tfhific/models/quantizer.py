"""Quantisation to a few centres: hard forward, soft backward; and a watch on their collapse.

E. Agustsson et al., "Soft-to-Hard Vector Quantization for End-to-End Learning Compressible
Representations", NeurIPS 2017, arXiv 1704.00648; F. Mentzer et al., "Conditional Probability Models
for Deep Image Compression", CVPR 2018, arXiv 1801.04260, section 3.2.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import tensorflow as tf

from tfhific.backend import keras
from tfhific.published.centres import spread_centres


class CentreQuantizer(keras.layers.Layer):
    """Replaces each value by the nearest of L centres.

    The gradient is that of the soft assignment sum_j softmax_j(-s (x - c_j)^2) c_j.

    Input shape: float [...]. Output: the quantised values [...], and int32 [...] which centre each
    is.
    """

    def __init__(self, count: int = 5, learn: bool = False, sharpness: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        self.count, self.learn, self.sharpness = count, learn, sharpness
        spread_centres(count)

    def build(self, input_shape) -> None:
        initial = keras.initializers.Constant(spread_centres(self.count))
        self.centres = self.add_weight(
            name="centres", shape=(self.count,), initializer=initial, trainable=self.learn
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        centres = tf.convert_to_tensor(self.centres)
        squares = tf.square(inputs[..., None] - centres)
        symbols = tf.argmin(squares, -1, output_type=tf.int32)
        weights = tf.nn.softmax(-self.sharpness * squares, -1)
        soft = tf.reduce_sum(weights * centres, -1)
        hard = tf.gather(centres, symbols)
        return soft + tf.stop_gradient(hard - soft), symbols

    def get_config(self) -> dict:
        own = {"count": self.count, "learn": self.learn, "sharpness": self.sharpness}
        return {**super().get_config(), **own}


def symbol_entropy(symbols: tf.Tensor, count: int) -> tf.Tensor:
    """Bits a symbol, each channel by its own histogram in this batch; float32 scalar.

    Args:
      symbols: int32 [batch, h, w, channels].
      count: of centres.
    """
    shares = tf.reduce_mean(tf.one_hot(symbols, count), (0, 1, 2))
    return -tf.reduce_mean(tf.reduce_sum(tf.math.xlogy(shares, shares), -1)) / math.log(2.0)


class CollapseWatch(keras.callbacks.Callback):
    """Warns, once, when the centres carry almost nothing any more, or have run into each other.

    It reads `code_bits` (bits a symbol) and `centre_gap` (the smallest distance between two
    centres) from a step's logs.
    """

    def __init__(
        self,
        patience: int = 50,
        least_bits: float = 0.05,
        least_gap: float = 0.05,
        warn: Callable[[str], None] | None = None,
    ) -> None:
        super().__init__()
        self._patience, self._least_bits, self._least_gap = patience, least_bits, least_gap
        self._warn = warn or (lambda message: warnings.warn(message, RuntimeWarning, stacklevel=2))
        self._low = 0
        self.warned = False

    def on_train_batch_end(self, batch, logs=None) -> None:
        logs = logs or {}
        bits, gap = float(logs.get("code_bits", math.inf)), float(logs.get("centre_gap", math.inf))
        self._low = self._low + 1 if bits < self._least_bits or gap < self._least_gap else 0
        if self._low >= self._patience and not self.warned:
            self.warned = True
            self._warn(
                f"The quantiser's centres have collapsed: for {self._low} steps a symbol carried "
                f"{bits:.3f} bits and the nearest two centres were {gap:.3g} apart. The codes say "
                "nothing any more; start again with a lower learning rate, fixed centres "
                "(learn_centres false) or a larger mse_weight."
            )
