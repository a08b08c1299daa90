"""`labels`: a vector-quantised autoencoder whose codes label the places of an image.

A. van den Oord, O. Vinyals, K. Kavukcuoglu: "Neural Discrete Representation Learning", NeurIPS
2017, arXiv 1711.00937. Left to themselves most codes fall out of use. Here codes have few channels
and length one (J. Yu et al.: "Vector-quantized Image Modeling with Improved VQGAN", ICLR 2022,
arXiv 2110.04627, section 3.2), and a term asks for a sure choice at each place and for an even use
of all (L. Yu et al.: "Language Model Beats Diffusion - Tokenizer is Key to Visual Generation", ICLR
2024, arXiv 2310.05737). The labels are what the `illm` discriminator of HiFiC predicts.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import ArgumentError, TfhificError
from tfhific.models.draws import Draws
from tfhific.models.label_discriminator import STRIDE
from tfhific.models.layers import DepthToSpace, InOrder, Residual
from tfhific.models.system import TrainableSystem, TrainingOptions

_SHARPNESS = 10.0
"""Of the choice that the entropies are of; products of codes of length one are within -1 .. 1."""


@dataclasses.dataclass(frozen=True)
class LabelConfig:
    """Sizes of the label autoencoder.

    Attributes:
      labels: how many there are.
      code_channels: channels of a code.
      channels: widths at 1/2, 1/4 and 1/8 of the image's resolution.
      residual_blocks: at 1/8, on each side.
      commitment: weight of the encoder's distance from the code, beside the code's from it.
      entropy_weight: weight of the term that has all labels used.
    """

    labels: int = 1024
    code_channels: int = 8
    channels: tuple[int, ...] = (64, 128, 256)
    residual_blocks: int = 2
    commitment: float = 0.25
    entropy_weight: float = 0.05

    def __post_init__(self) -> None:
        object.__setattr__(self, "channels", tuple(self.channels))
        if len(self.channels) != 3 or self.labels < 2 or self.code_channels < 2:
            raise ArgumentError(
                "Expected three widths, two labels or more and two code channels or more. "
                f"Received: channels={self.channels}, labels={self.labels}, "
                f"code_channels={self.code_channels}."
            )


PRESETS = {
    "labels-1024": LabelConfig(),
    "labels-tiny": LabelConfig(16, 4, (8, 8, 16), 1),
}


def _conv(filters: int, kernel: int, stride: int = 1):
    return keras.layers.Conv2D(filters, kernel, stride, padding="same")


def _block(channels: int):
    return Residual(
        InOrder(
            [
                keras.layers.ReLU(),
                _conv(channels, 3),
                keras.layers.ReLU(),
                _conv(channels, 1),
            ]
        )
    )


class LabelAutoencoder(TrainableSystem):
    """Autoencoder through one of `labels` codes a place of 8x8 pixels."""

    def __init__(self, config: LabelConfig | None = None) -> None:
        super().__init__(name="labels", autocast=False)
        self.config = config = config or LabelConfig()
        layers = []
        for filters in config.channels:
            layers += [_conv(filters, 4, 2), keras.layers.ReLU()]
        wide = config.channels[-1]
        blocks = [_block(wide) for _ in range(config.residual_blocks)]
        self.encoder = InOrder([*layers, *blocks, _conv(config.code_channels, 1)])
        layers = [_conv(wide, 3), *[_block(wide) for _ in range(config.residual_blocks)]]
        for filters in (*config.channels[-2::-1], 3):
            layers += [keras.layers.ReLU(), _conv(4 * filters, 3), DepthToSpace(2)]
        self.decoder = InOrder(layers)
        self.codebook = self.add_weight(
            name="codebook",
            shape=(config.labels, config.code_channels),
            initializer=keras.initializers.RandomNormal(0.0, 1.0),
        )

    def _codes(self) -> tf.Tensor:
        return tf.math.l2_normalize(tf.cast(self.codebook, tf.float32), -1)

    def _encode(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """float32 [batch, h, w, code_channels] of length one, and its products with the codes."""
        x = self.encoder(tf.cast(images, tf.float32) / 127.5 - 1.0)
        x = tf.math.l2_normalize(tf.cast(x, tf.float32), -1)
        return x, tf.einsum("bhwc,lc->bhwl", x, self._codes())

    def label(self, images: tf.Tensor) -> tf.Tensor:
        """Labels of an image's places.

        Args:
          images: [batch, H, W, 3] in 0..255, sides multiples of 8.

        Returns:
          int32 [batch, H/8, W/8] in 0 .. labels - 1; no gradient goes through them.
        """
        # Of vectors of length one, the nearest has the largest product.
        return tf.argmax(self._encode(images)[1], -1, tf.int32)

    def call(self, images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Reconstruction float32 like `images`, in 0..255; the quantisation's loss; labels."""
        x, products = self._encode(images)
        labels = tf.argmax(products, -1, tf.int32)
        codes = tf.gather(self._codes(), labels)
        loss = tf.reduce_mean(tf.square(tf.stop_gradient(x) - codes))
        loss += self.config.commitment * tf.reduce_mean(tf.square(x - tf.stop_gradient(codes)))
        choice = tf.nn.softmax(_SHARPNESS * products)
        even = _entropy(tf.reduce_mean(choice, (0, 1, 2)))
        loss += self.config.entropy_weight * (tf.reduce_mean(_entropy(choice)) - even)
        passed = x + tf.stop_gradient(codes - x)
        decoded = tf.cast(self.decoder(passed), tf.float32)
        return (decoded + 1.0) * 127.5, loss, labels

    @classmethod
    def defaults(cls, config: LabelConfig, stage: int) -> dict:
        return {"batch_size": 16, "crop": 256, "learning_rate": 3e-4, "downscale_min": 0.75}

    def check_options(self, options: TrainingOptions) -> None:
        super().check_options(options)
        if options.crop % STRIDE:
            raise TfhificError(
                f"`crop`: expected a multiple of {STRIDE}. Received: {options.crop}."
            )

    def build_for(self, options: TrainingOptions) -> None:
        self(tf.zeros([1, options.crop, options.crop, 3]))

    def parts(self) -> dict[str, list]:
        return {
            "encoder": [*self.encoder.trainable_variables, self.codebook],
            "decoder": list(self.decoder.trainable_variables),
        }

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data) -> dict:
        """One step on images uint8 or float [batch, crop, crop, 3]."""

        def loss_of(images, draws: Draws) -> tuple[tf.Tensor, dict]:
            images = tf.cast(images, tf.float32)
            decoded, quantisation, labels = self(images)
            mse = tf.reduce_mean(tf.math.squared_difference(images, decoded))
            loss = mse / 127.5**2 + quantisation
            counts = tf.math.bincount(
                tf.reshape(labels, [-1]),
                minlength=self.config.labels,
                maxlength=self.config.labels,
                dtype=tf.float32,
            )
            share = counts / tf.reduce_sum(counts)
            # How many labels would do, were they used evenly: near 1, the codes have collapsed.
            return loss, {
                "loss": loss,
                "mse": mse,
                "quantisation_loss": quantisation,
                "labels_in_use": tf.exp(_entropy(share)),
            }

        return self.minimise(loss_of, data)

    def reconstructions(self, samples: np.ndarray) -> dict:
        both = tf.concat([samples, self(samples)[0]], axis=2) / 255.0
        return {"original_and_reconstruction": tf.clip_by_value(both, 0.0, 1.0)}


def _entropy(probabilities: tf.Tensor) -> tf.Tensor:
    """In nats, over the last axis."""
    return -tf.reduce_sum(tf.math.xlogy(probabilities, probabilities + 1e-12), -1)
