"""`cgan`: the conditional generative adversarial net for MNIST digits.

M. Mirza, S. Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv 1411.1784, section 4.1.
The layers' sizes, dropout and the schedules of learning rate and momentum are the paper's. It leaves
open which cube its noise fills and how fast momentum rises; here [-1, 1], so that the noise has no
mean for the first layer to undo, and a straight line over `momentum_steps`.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import ModelError
from tfhific.models.maxout import Maxout


@dataclasses.dataclass(frozen=True)
class CGANConfig:
    """Sizes and schedules of `cgan`.

    Attributes:
      side: of the square grey pictures, in pixels.
      classes: how many labels there are.
      noise: values of z, uniform in [-1, 1].
      noise_units: hidden units that see z.
      label_units: hidden units that see the label.
      joint_units: hidden units of the generator that see both.
      image_maxout: units of the discriminator that see the picture, of 5 pieces.
      label_maxout: units of the discriminator that see the label, of 5 pieces.
      joint_maxout: units that see both, of 4 pieces.
      dropout: share of the hidden units left out while training, in both networks.
      learning_rate: of the first update.
      decay: what it is divided by at every update.
      learning_rate_min: it falls no further.
      momentum: of the first update.
      momentum_last: from `momentum_steps` on.
      momentum_steps: updates over which momentum rises.
    """

    side: int = 28
    classes: int = 10
    noise: int = 100
    noise_units: int = 200
    label_units: int = 1000
    joint_units: int = 1200
    image_maxout: int = 240
    label_maxout: int = 50
    joint_maxout: int = 240
    dropout: float = 0.5
    learning_rate: float = 0.1
    decay: float = 1.00004
    learning_rate_min: float = 1e-6
    momentum: float = 0.5
    momentum_last: float = 0.7
    momentum_steps: int = 60_000

    def __post_init__(self) -> None:
        if self.side < 1 or self.classes < 1 or self.noise < 1:
            raise ModelError("cgan: expected a side, classes and noise of at least 1.")


def generator(config: CGANConfig) -> keras.Model:
    """Noise [batch, noise] and one-hot labels [batch, classes] to pictures [batch, side^2], 0..1."""
    noise = keras.Input([config.noise])
    label = keras.Input([config.classes])
    hidden = [
        keras.layers.Dense(config.noise_units, activation="relu")(noise),
        keras.layers.Dense(config.label_units, activation="relu")(label),
    ]
    x = keras.layers.Dropout(config.dropout)(keras.layers.Concatenate()(hidden))
    x = keras.layers.Dense(config.joint_units, activation="relu")(x)
    x = keras.layers.Dropout(config.dropout)(x)
    picture = keras.layers.Dense(config.side**2, activation="sigmoid")(x)
    return keras.Model([noise, label], picture, name="generator")


def discriminator(config: CGANConfig) -> keras.Model:
    """Pictures [batch, side^2] and one-hot labels to logits [batch, 1]: real where positive."""
    picture = keras.Input([config.side**2])
    label = keras.Input([config.classes])
    hidden = [Maxout(config.image_maxout, 5)(picture), Maxout(config.label_maxout, 5)(label)]
    x = keras.layers.Dropout(config.dropout)(keras.layers.Concatenate()(hidden))
    x = keras.layers.Dropout(config.dropout)(Maxout(config.joint_maxout, 4)(x))
    return keras.Model([picture, label], keras.layers.Dense(1)(x), name="discriminator")


class CGAN(keras.Model):
    """The trainable pair. A batch is pictures, uint8 [batch, side, side], and labels [batch]."""

    def __init__(self, config: CGANConfig | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.config = config = config or CGANConfig()
        self.generator = generator(config)
        self.discriminator = discriminator(config)

    def call(self, inputs, training: bool = False) -> tf.Tensor:
        """Generates pictures.

        Args:
          inputs: noise, float32 [batch, noise], and labels, int [batch].
          training: whether units are dropped.

        Returns:
          float32 [batch, side, side, 1] in 0..1.
        """
        noise, labels = inputs
        one_hot = tf.one_hot(labels, self.config.classes)
        pictures = self.generator([noise, one_hot], training=training)
        return tf.reshape(pictures, [-1, self.config.side, self.config.side, 1])

    def sample(self, labels: tf.Tensor, seed: int) -> tf.Tensor:
        """Pictures of labels, float32 [batch, side, side, 1] in 0..1; `seed` chooses the noise."""
        labels = tf.convert_to_tensor(labels)
        noise = tf.random.stateless_uniform(
            [tf.shape(labels)[0], self.config.noise], [seed, 0], -1.0, 1.0
        )
        return self((noise, labels))

    def make_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        """The optimisers of the generator and of the discriminator, by those names."""
        made = {}
        for name in ("generator", "discriminator"):
            made[name] = keras.optimizers.SGD(self.config.learning_rate, self.config.momentum)
            # A variable, for it to change from step to step.
            made[name].momentum = tf.Variable(self.config.momentum, trainable=False)
            made[name].build(getattr(self, name).trainable_variables)
        return made

    def compile(self, optimizers: dict | None = None, **kwargs) -> None:
        super().compile(**kwargs)
        self.optimizers = optimizers or self.make_optimizers()

    def schedule(self, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Learning rate and momentum of an update, float32 scalars."""
        config, step = self.config, tf.cast(step, tf.float32)
        rate = config.learning_rate * tf.exp(-step * tf.math.log(tf.constant(config.decay)))
        share = tf.minimum(step / max(config.momentum_steps, 1), 1.0)
        momentum = config.momentum + share * (config.momentum_last - config.momentum)
        return tf.maximum(rate, config.learning_rate_min), momentum

    def train_step(self, data) -> dict[str, tf.Tensor]:
        """One update of the discriminator, then one of the generator, each on its own noise.

        Args:
          data: uint8 [batch, side, side] and int [batch].

        Returns:
          `generator_loss`, `discriminator_loss`, and the discriminator's accuracy on `real` and
          on `fake` pictures.
        """
        images, labels = data
        batch = tf.shape(images)[0]
        real = tf.reshape(tf.cast(images, tf.float32) / 255.0, [batch, self.config.side**2])
        one_hot = tf.one_hot(labels, self.config.classes)
        rate, momentum = self.schedule(self.optimizers["generator"].iterations)
        for optimizer in self.optimizers.values():
            optimizer.learning_rate.assign(rate)
            optimizer.momentum.assign(momentum)

        def noise():
            return tf.random.uniform([batch, self.config.noise], -1.0, 1.0)

        fake = self.generator([noise(), one_hot], training=True)
        with tf.GradientTape() as tape:
            on_real = self.discriminator([real, one_hot], training=True)
            on_fake = self.discriminator([tf.stop_gradient(fake), one_hot], training=True)
            discriminator_loss = tf.reduce_mean(tf.nn.softplus(-on_real) + tf.nn.softplus(on_fake))
        self._update("discriminator", tape, discriminator_loss)
        with tf.GradientTape() as tape:
            fake = self.generator([noise(), one_hot], training=True)
            judged = self.discriminator([fake, one_hot], training=True)
            # Not log(1 - D): its gradient vanishes where the discriminator wins (Goodfellow 2014).
            generator_loss = tf.reduce_mean(tf.nn.softplus(-judged))
        self._update("generator", tape, generator_loss)
        return {
            "generator_loss": generator_loss,
            "discriminator_loss": discriminator_loss,
            "real": tf.reduce_mean(tf.cast(on_real > 0, tf.float32)),
            "fake": tf.reduce_mean(tf.cast(on_fake <= 0, tf.float32)),
        }

    def _update(self, name: str, tape: tf.GradientTape, loss: tf.Tensor) -> None:
        variables = getattr(self, name).trainable_variables
        self.optimizers[name].apply_gradients(zip(tape.gradient(loss, variables), variables))
