"""LPIPS: a learned distance between images.

R. Zhang, P. Isola, A. A. Efros, E. Shechtman, O. Wang: "The Unreasonable Effectiveness of Deep
Features as a Perceptual Metric", CVPR 2018, arXiv 1801.03924; its version 0.1.
"""

from __future__ import annotations

import os

import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import ArgumentError
from tfhific.losses.lpips_weights import Conv, Fire, LpipsWeights, Pool, Tap, read_weights

_SHIFT = (-0.030, -0.088, -0.188)
_SPREAD = (0.458, 0.448, 0.450)


class LPIPS(keras.layers.Layer):
    """The LPIPS distance of pairs of images, in float32 under every precision policy.

    Which backbone (AlexNet, SqueezeNet 1.1, VGG16) follows from the arrays in the file, whose
    layout `tfhific.losses.lpips_weights` describes. No weight is trainable.

    Input shape: two float32 [batch, height, width, 3] in [-1, 1], equal in size.
    Output shape: float32 [batch], 0 for equal images.

    Example:
      distance = LPIPS("lpips_alex_v0.1.npz")
      loss = tf.reduce_mean(distance((originals, reconstructions)))

    Attributes:
      backbone: "alex", "squeeze" or "vgg16".
      whole: False for a file without the last taps, whose distance is not LPIPS.
      min_side: shortest side of an image, in pixels.
    """

    def __init__(
        self, weights_path: str | os.PathLike, *, allow_partial: bool = False, **kwargs
    ) -> None:
        """Reads the weights.

        Args:
          weights_path: npz file.
          allow_partial: accept a file that lacks a backbone's last convolutions, and compare
            what is there. Use it as a loss, not as a measure.

        Raises:
          ModelError: when the file is missing, is something else, or its arrays don't fit.
        """
        super().__init__(trainable=False, dtype="float32", **kwargs)
        weights = read_weights(weights_path, allow_partial)
        self.backbone, self.whole = weights.backbone, weights.whole
        self.min_side = weights.min_side
        self._plan = weights.layers
        self._arrays = self._add_weights(weights)
        self._heads = [self._add(f"lin{i}", head) for i, head in enumerate(weights.heads)]

    def _add(self, name: str, value):
        return self.add_weight(
            name=name.replace("/", "_"),
            shape=value.shape,
            initializer=keras.initializers.Constant(value),
            trainable=False,
        )

    def _add_weights(self, weights: LpipsWeights) -> dict:
        used = {}
        for layer in weights.layers:
            for conv in layer.parts if isinstance(layer, Fire) else (layer,):
                if isinstance(conv, Conv):
                    for name in (f"{conv.name}/kernel", f"{conv.name}/bias"):
                        used[name] = self._add(name, weights.arrays[name])
        return used

    def call(self, inputs: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        first, second = (tf.convert_to_tensor(images, tf.float32) for images in inputs)
        for images in (first, second):
            if images.shape.rank != 4 or images.shape[-1] not in (3, None):
                raise ArgumentError(
                    f"Expected images [batch, height, width, 3]. Received: {images.shape}."
                )
            if any(side is not None and side < self.min_side for side in images.shape[1:3]):
                raise ArgumentError(
                    f"LPIPS on {self.backbone} needs sides of {self.min_side} pixels or more. "
                    f"Received: {images.shape}."
                )
        first.shape.assert_is_compatible_with(second.shape)
        batch = tf.shape(first)[0]
        distance = tf.zeros([batch], tf.float32)
        taps = self._features(tf.concat([first, second], 0))
        for head, features in zip(self._heads, taps):
            unit = _unit(features)
            difference = tf.math.squared_difference(unit[:batch], unit[batch:])
            weighted = tf.einsum("bhwc,c->bhw", difference, tf.convert_to_tensor(head))
            distance += tf.reduce_mean(weighted, (1, 2))
        return distance

    def features(self, images: tf.Tensor) -> list[tf.Tensor]:
        """What the backbone makes of images at each tap.

        Args:
          images: float32 [batch, height, width, 3] in [-1, 1].

        Returns:
          float32 [batch, h, w, channels] for each tap, from the first to the last.
        """
        return self._features(images)

    def _features(self, images: tf.Tensor) -> list[tf.Tensor]:
        x = (images - tf.constant(_SHIFT)) / tf.constant(_SPREAD)
        taps = []
        for layer in self._plan:
            if isinstance(layer, Conv):
                x = self._conv(layer, x)
            elif isinstance(layer, Fire):
                squeeze, one, three = layer.parts
                x = self._conv(squeeze, x)
                x = tf.concat([self._conv(one, x), self._conv(three, x)], -1)
            elif isinstance(layer, Pool):
                x = _pool(layer, x)
            elif isinstance(layer, Tap):
                taps.append(x)
        return taps

    def _conv(self, conv: Conv, x: tf.Tensor) -> tf.Tensor:
        # TensorFlow's own SAME is not symmetric where the stride is over one.
        pads = [[0, 0], [conv.pad] * 2, [conv.pad] * 2, [0, 0]]
        kernel = tf.convert_to_tensor(self._arrays[f"{conv.name}/kernel"])
        x = tf.nn.conv2d(x, kernel, conv.stride, pads)
        return tf.nn.relu(
            tf.nn.bias_add(x, tf.convert_to_tensor(self._arrays[f"{conv.name}/bias"]))
        )


def _pool(pool: Pool, x: tf.Tensor) -> tf.Tensor:
    if pool.ceil:
        # A 3x3 window at stride 2 is cut by the edge of an even side only. What is pooled is not
        # negative, so zeros change no maximum.
        short = 1 - tf.shape(x)[1:3] % 2
        x = tf.pad(x, [[0, 0], [0, short[0]], [0, short[1]], [0, 0]])
    return tf.nn.max_pool2d(x, pool.size, 2, "VALID")


def _unit(features: tf.Tensor) -> tf.Tensor:
    """f / (|f| + 1e-10) over channels; the gradient is finite where all features are zero."""
    square = tf.reduce_sum(tf.square(features), -1, keepdims=True)
    zero = square <= 0.0
    norm = tf.where(zero, 0.0, tf.sqrt(tf.where(zero, 1.0, square)))
    return features / (norm + 1e-10)
