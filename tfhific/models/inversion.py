"""`inversion`: a generator of one domain, to be inverted by search; no encoder in the codec.

A. Tolunay, A. Ghalayini, "Generative Neural Network Based Image Compression", Stanford CS229, 2018.
The generator is that of A. Radford, L. Metz, S. Chintala, "Unsupervised Representation Learning with
Deep Convolutional Generative Adversarial Networks", 2015, arXiv 1511.06434, trained with the feature
matching of T. Salimans et al., "Improved Techniques for Training GANs", 2016, arXiv 1606.03498,
beside the adversarial loss.

Beyond the report, a third network learns to guess z from a picture (of the generator's own making,
where z is known): the search begins there.
"""  # noqa: E501 (a title)

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfhific.backend import keras
from tfhific.data.source import RunData
from tfhific.data.square import SquareData
from tfhific.errors import ModelError
from tfhific.losses.adversarial import (
    non_saturating_discriminator_loss,
    non_saturating_generator_loss,
)
from tfhific.losses.feature_matching import feature_matching_loss
from tfhific.models.adam import Adam
from tfhific.models.draws import Draws
from tfhific.models.layers import InOrder
from tfhific.models.system import TrainableSystem, TrainingOptions


@dataclasses.dataclass(frozen=True)
class InversionConfig:
    """Sizes and weights of `inversion`.

    Attributes:
      side: of the square pictures, a power of two from 8 on.
      channels: 3 for colour, 1 for grey.
      latent: values of z, normal.
      width: channels at the finest resolution; they double with each halving, to `widest` at most.
      widest: see `width`.
      feature_weight: of feature matching.
      guess_weight: of the picture's error in training the guess, beside that of z.
    """

    side: int = 64
    channels: int = 3
    latent: int = 128
    width: int = 64
    widest: int = 512
    feature_weight: float = 10.0
    guess_weight: float = 10.0

    def __post_init__(self) -> None:
        if self.side < 8 or self.side & (self.side - 1):
            raise ModelError(f"side: expected a power of two from 8 on. Received: {self.side}.")
        if self.channels not in (1, 3):
            raise ModelError(f"channels: expected 1 or 3. Received: {self.channels}.")
        if self.latent < 1:
            raise ModelError(f"latent: expected at least 1. Received: {self.latent}.")

    def widths(self) -> list[int]:
        """Channels at 4x4 pixels and at each doubling up to half of `side`."""
        count = self.side.bit_length() - 3
        return [min(self.width << (count - 1 - i), self.widest) for i in range(count)]


def _initializer() -> keras.initializers.Initializer:
    return keras.initializers.RandomNormal(stddev=0.02)


def generator(config: InversionConfig) -> InOrder:
    """z [batch, latent] to pictures [batch, side, side, channels] in [-1, 1]."""
    first, *rest = config.widths()
    layers = [
        keras.layers.Dense(16 * first, use_bias=False, kernel_initializer=_initializer()),
        keras.layers.Reshape([4, 4, first]),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.ReLU(),
    ]
    for width in rest:
        layers += [
            keras.layers.Conv2DTranspose(
                width, 4, 2, "same", use_bias=False, kernel_initializer=_initializer()
            ),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
        ]
    last = keras.layers.Conv2DTranspose(
        config.channels, 4, 2, "same", activation="tanh", kernel_initializer=_initializer()
    )
    return InOrder([*layers, last], name="generator")


class DCGANDiscriminator(keras.Model):
    """Judges pictures [batch, side, side, channels].

    Output: features of each convolution, and logits [batch, 1].
    """

    def __init__(self, config: InversionConfig, **kwargs) -> None:
        super().__init__(**kwargs)
        self.blocks = []
        for number, width in enumerate(reversed(config.widths())):
            convolution = keras.layers.Conv2D(
                width, 4, 2, "same", kernel_initializer=_initializer()
            )
            norm = [keras.layers.BatchNormalization(momentum=0.9)] if number else []
            self.blocks.append(InOrder([convolution, *norm, keras.layers.LeakyReLU(0.2)]))
        self.judge = InOrder([keras.layers.Flatten(), keras.layers.Dense(1)])

    def call(self, inputs: tf.Tensor, training: bool = False):
        features, x = [], inputs
        for block in self.blocks:
            x = block(x, training=training)
            features.append(x)
        return features, self.judge(x)


def guesser(config: InversionConfig) -> InOrder:
    """Pictures [batch, side, side, channels] to z [batch, latent]."""
    layers = []
    for width in reversed(config.widths()):
        layers += [
            keras.layers.Conv2D(width, 4, 2, "same", use_bias=False),
            keras.layers.BatchNormalization(momentum=0.9),
            keras.layers.ReLU(),
        ]
    return InOrder(
        [*layers, keras.layers.Flatten(), keras.layers.Dense(config.latent)], name="guess"
    )


class Inversion(TrainableSystem):
    """The trainable generator with its discriminator and its guesser."""

    FOLDED = ("generator", "guess")
    """Networks that are published."""

    UNUSED = ("crop", "downscale_min", "downscale_max", "downscale_share")

    def __init__(self, config: InversionConfig | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.config = config = config or InversionConfig()
        self.generator = generator(config)
        self.discriminator = DCGANDiscriminator(config)
        self.guess = guesser(config)

    @classmethod
    def defaults(cls, config: InversionConfig, stage: int) -> dict:
        return {
            "batch_size": 64,
            "crop": config.side,
            "learning_rate": 2e-4,
            "schedule": "constant",
            "warmup_steps": 0,
            "clip_norm": 0.0,
        }

    def call(self, z: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Pictures of z, float32 [batch, side, side, channels] in [-1, 1]."""
        return self.generator(z, training=training)

    def build_variables(self) -> None:
        """Makes all variables."""
        made = self(tf.zeros([1, self.config.latent]))
        self.discriminator(made)
        self.guess(made)

    def build_for(self, options: TrainingOptions) -> None:
        self.build_variables()

    def parts(self) -> dict[str, list]:
        names = ("generator", "discriminator", "guess")
        return {name: list(getattr(self, name).trainable_variables) for name in names}

    def groups(self, options: TrainingOptions) -> dict[str, list]:
        return self.parts()

    def build_optimizers(self, options: TrainingOptions) -> dict[str, keras.optimizers.Optimizer]:
        return {
            name: Adam(options.learning_rate, beta_1=beta)
            for name, beta in (("generator", 0.5), ("discriminator", 0.5), ("guess", 0.9))
        }

    def before_step(self, step: int, progress: float, learning_rate: float) -> None:
        """The guess learns five times faster: nothing plays against it."""
        super().before_step(step, progress, learning_rate)
        self.state().optimizers["guess"].learning_rate.assign(5 * learning_rate)

    def open_data(self, pattern: str, options: TrainingOptions) -> RunData:
        return SquareData(pattern, options, self.config.side, self.config.channels)

    def reconstructions(self, samples) -> dict:
        z = tf.random.stateless_normal([16, self.config.latent], [0, 0])
        return {"samples": self(z) / 2.0 + 0.5}

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: tf.Tensor) -> dict[str, tf.Tensor]:
        """One update each of discriminator, generator and guess.

        Args:
          data: uint8 [batch, side, side, channels].
        """
        report = self.minimise(self.discriminator_loss, data, ["discriminator"], "discriminator_")
        report.update(self.minimise(self.generator_loss, data, ["generator"]))
        return {**report, **self.minimise(self.guess_loss, data, ["guess"], "guess_")}

    def _make(self, data: tf.Tensor, draws: Draws, name: str, training: bool = True):
        real = tf.cast(data, tf.float32) / 127.5 - 1.0
        z = draws.normal(name, [tf.shape(data)[0], self.config.latent])
        return real, z, self.generator(z, training=training)

    def discriminator_loss(self, data: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, dict]:
        """Cross-entropy of telling real pictures from generated ones."""
        real, _, made = self._make(data, draws, "judged")
        _, on_real = self.discriminator(real, training=True)
        _, on_fake = self.discriminator(tf.stop_gradient(made), training=True)
        loss = non_saturating_discriminator_loss(on_real, on_fake)
        return loss, {"discriminator_loss": loss}

    def generator_loss(self, data: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, dict]:
        """-log D of generated pictures, and matching the means of the discriminator's features."""
        real, _, made = self._make(data, draws, "learning")
        seen, _ = self.discriminator(real, training=True)
        imagined, on_fake = self.discriminator(made, training=True)

        def means(features: list) -> list:
            return [tf.reduce_mean(feature, 0) for feature in features]

        matching = feature_matching_loss(means(seen), means(imagined))
        adversarial = non_saturating_generator_loss(on_fake)
        loss = adversarial + self.config.feature_weight * matching
        return loss, {"loss": loss, "adversarial": adversarial, "features": matching}

    def guess_loss(self, data: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, dict]:
        """The squared error of z on generated pictures, and of the picture on real ones."""
        real, z, made = self._make(data, draws, "guessed", training=False)
        error = tf.reduce_mean(tf.math.squared_difference(z, self.guess(made, training=True)))
        again = self.generator(self.guess(real, training=True), training=False)
        picture = tf.reduce_mean(tf.math.squared_difference(real, again))
        loss = error + self.config.guess_weight * picture
        return loss, {"guess_error": error, "guess_mse": picture}
