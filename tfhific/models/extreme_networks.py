"""The networks of `extreme`: encoder, generator, feature extractor, noise, discriminators.

After the appendix of J. Johnson, A. Alahi, L. Fei-Fei, "Perceptual Losses for Real-Time Style
Transfer and Super-Resolution", ECCV 2016; discriminators after T.-C. Wang et al., "High-Resolution
Image Synthesis and Semantic Manipulation with Conditional GANs", CVPR 2018. All are fully
convolutional.
"""

from __future__ import annotations

import tensorflow as tf

from tfhific.backend import keras
from tfhific.models.addons import instance_normalization, spectral_normalization
from tfhific.models.layers import InOrder, Residual

STRIDE = 16
NOISE_SPAN = 8
"""Latents a side that one vector of noise is upsampled to."""


class ReflectionPad(keras.layers.Layer):
    """Mirrors `size` pixels at every edge, the edge itself not repeated.

    Input shape: float [batch, height, width, channels], sides above `size`.
    Output shape: float [batch, height + 2 size, width + 2 size, channels].
    """

    def __init__(self, size: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.size = size

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        pad = [self.size, self.size]
        return tf.pad(inputs, [[0, 0], pad, pad, [0, 0]], "REFLECT")

    def get_config(self) -> dict:
        return {**super().get_config(), "size": self.size}


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)


def _reflected(filters: int, kernel: int) -> list:
    """A convolution of stride 1 over a mirrored border."""
    return [
        ReflectionPad(kernel // 2),
        keras.layers.Conv2D(filters, kernel, kernel_initializer=_initializer()),
    ]


def _normalized() -> list:
    return [instance_normalization(), keras.layers.ReLU()]


def encoder(width: int, outputs: int, name: str = "encoder") -> InOrder:
    """Pictures [batch, H, W, channels] to [batch, H/16, W/16, outputs]; no activation at the end.

    Args:
      width: channels of the first layer, 60 in the paper; the last has 16 times as many.
      outputs: channels that come out.
      name: of the network.
    """
    layers = [*_reflected(width, 7), *_normalized()]
    for factor in (2, 4, 8, 16):
        layers += [
            keras.layers.Conv2D(
                width * factor, 3, 2, padding="same", kernel_initializer=_initializer()
            ),
            *_normalized(),
        ]
    # A ReLU here would leave only the centres that are not negative within reach.
    return InOrder([*layers, *_reflected(outputs, 3)], name=name)


def generator(width: int, blocks: int) -> InOrder:
    """Codes, and what is joined to them, [batch, h, w, .] to [batch, 16h, 16w, 3] in [-1, 1]."""
    layers = [*_reflected(16 * width, 3), *_normalized()]
    for _ in range(blocks):
        branch = [
            *_reflected(16 * width, 3),
            *_normalized(),
            *_reflected(16 * width, 3),
            instance_normalization(),
        ]
        layers.append(Residual(InOrder(branch)))
    for factor in (8, 4, 2, 1):
        layers += [
            keras.layers.Conv2DTranspose(
                width * factor, 3, 2, padding="same", kernel_initializer=_initializer()
            ),
            *_normalized(),
        ]
    return InOrder([*layers, *_reflected(3, 7), keras.layers.Activation("tanh")], name="generator")


def noise_upsampler(channels: int) -> InOrder:
    """Noise [batch, n, m, values] to [batch, 8n, 8m, channels], by transposed convolutions.

    One vector covers `NOISE_SPAN` latents a side, so that the noise follows the picture's size.
    """
    layers = []
    for factor in (4, 2, 1):
        layers += [
            keras.layers.Conv2DTranspose(
                channels * factor, 4, 2, padding="same", kernel_initializer=_initializer()
            ),
            *_normalized(),
        ]
    return InOrder(layers, name="noise")


class PatchDiscriminator(keras.layers.Layer):
    """Judges patches of a picture, and keeps the features it does so by.

    Input shape: float [batch, H, W, channels].
    Output: a list of four features [batch, ., ., .] and the judgement [batch, H/16, W/16, 1].
    """

    def __init__(self, width: int, spectral: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)

        def wrap(layer: keras.layers.Layer) -> keras.layers.Layer:
            return spectral_normalization(layer) if spectral else layer

        def convolution(filters: int, stride: int) -> keras.layers.Layer:
            return wrap(
                keras.layers.Conv2D(
                    filters, 4, stride, padding="same", kernel_initializer=_initializer()
                )
            )

        self.blocks = [InOrder([convolution(width, 2), keras.layers.LeakyReLU(0.2)])]
        for factor in (2, 4, 8):
            self.blocks.append(
                InOrder(
                    [
                        convolution(width * factor, 2),
                        instance_normalization(),
                        keras.layers.LeakyReLU(0.2),
                    ]
                )
            )
        self.judge = convolution(1, 1)

    def call(self, inputs: tf.Tensor, training: bool = False):
        features, x = [], inputs
        for block in self.blocks:
            x = block(x, training=training)
            features.append(x)
        return features, self.judge(x, training=training)


class MultiscaleDiscriminator(keras.Model):
    """Discriminators on the picture and on it halved once and twice, by 3x3 means.

    Output: a list of features a scale, and a list of judgements.
    """

    def __init__(self, width: int, scales: int = 3, spectral: bool = False, **kwargs) -> None:
        super().__init__(**kwargs)
        self.parts = [PatchDiscriminator(width, spectral) for _ in range(scales)]

    def call(self, inputs: tf.Tensor, training: bool = False):
        features, judgements, x = [], [], inputs
        for number, part in enumerate(self.parts):
            if number:
                x = tf.nn.avg_pool2d(x, 3, 2, "SAME")
            seen, judged = part(x, training=training)
            features.append(seen)
            judgements.append(judged)
        return features, judgements
