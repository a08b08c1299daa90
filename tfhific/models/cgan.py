"""`cgan`: the conditional generative adversarial net for MNIST digits.

M. Mirza, S. Osindero, "Conditional Generative Adversarial Nets", 2014, arXiv 1411.1784,
section 4.1. The layers' sizes, dropout and the schedules of learning rate and momentum are the
paper's. It leaves open which cube its noise fills and how fast momentum rises; here [-1, 1], so
that the noise has no mean for the first layer to undo, and a straight line over `momentum_steps`.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfhific.backend import keras
from tfhific.data.idx import DigitData
from tfhific.data.source import RunData
from tfhific.errors import ModelError
from tfhific.losses.adversarial import (
    non_saturating_discriminator_loss,
    non_saturating_generator_loss,
)
from tfhific.models.draws import Draws
from tfhific.models.maxout import Maxout
from tfhific.models.system import TrainableSystem, TrainingOptions


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
      dropout: share of the discriminator's hidden units left out while training.
      generator_dropout: the same of the generator's; the paper has .5 in both. It works as a second
        source of noise, next to which z does little: a generator that is to be inverted is better
        trained without.
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
    generator_dropout: float = 0.5
    learning_rate: float = 0.1
    decay: float = 1.00004
    learning_rate_min: float = 1e-6
    momentum: float = 0.5
    momentum_last: float = 0.7
    momentum_steps: int = 60_000

    def __post_init__(self) -> None:
        if self.side < 1 or self.classes < 1 or self.noise < 1:
            raise ModelError("cgan: expected a side, classes and noise of at least 1.")


class Generator(keras.Model):
    """Noise [batch, noise] and one-hot labels [batch, classes] to [batch, side^2] in 0..1."""

    def __init__(self, config: CGANConfig) -> None:
        super().__init__(name="generator")
        self.of_noise = keras.layers.Dense(config.noise_units, activation="relu")
        self.of_label = keras.layers.Dense(config.label_units, activation="relu")
        self.joint = keras.layers.Dense(config.joint_units, activation="relu")
        self.picture = keras.layers.Dense(config.side**2, activation="sigmoid")
        self.dropout = keras.layers.Dropout(config.generator_dropout)

    def call(self, inputs, training: bool = False) -> tf.Tensor:
        noise, label = inputs
        x = tf.concat([self.of_noise(noise), self.of_label(label)], -1)
        x = self.joint(self.dropout(x, training=training))
        return self.picture(self.dropout(x, training=training))


class Discriminator(keras.Model):
    """Pictures [batch, side^2] and one-hot labels to logits [batch, 1]: real where positive."""

    def __init__(self, config: CGANConfig) -> None:
        super().__init__(name="discriminator")
        self.of_picture = Maxout(config.image_maxout, 5)
        self.of_label = Maxout(config.label_maxout, 5)
        self.joint = Maxout(config.joint_maxout, 4)
        self.judge = keras.layers.Dense(1)
        self.dropout = keras.layers.Dropout(config.dropout)

    def call(self, inputs, training: bool = False) -> tf.Tensor:
        picture, label = inputs
        x = tf.concat([self.of_picture(picture), self.of_label(label)], -1)
        x = self.joint(self.dropout(x, training=training))
        return self.judge(self.dropout(x, training=training))


class CGAN(TrainableSystem):
    """The trainable pair. A batch is pictures, uint8 [batch, side, side], and labels [batch]."""

    UNUSED = ("crop", "downscale_min", "downscale_max", "downscale_share")

    def __init__(self, config: CGANConfig | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.config = config = config or CGANConfig()
        self.generator = Generator(config)
        self.discriminator = Discriminator(config)

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

    def sample(self, labels: tf.Tensor, seed: int, dropout: bool = True) -> tf.Tensor:
        """Pictures of labels, float32 [batch, side, side, 1] in 0..1.

        Args:
          labels: int [batch].
          seed: chooses z; what is dropped is drawn anew each time.
          dropout: whether hidden units are dropped as in training. Without, a generator that was
            trained with dropout makes much the same picture of every z.
        """
        labels = tf.convert_to_tensor(labels)
        noise = tf.random.stateless_uniform(
            [tf.shape(labels)[0], self.config.noise], [seed, 0], -1.0, 1.0
        )
        return self((noise, labels), training=dropout)

    @classmethod
    def defaults(cls, config: CGANConfig, stage: int) -> dict:
        return {
            "batch_size": 100,
            "learning_rate": config.learning_rate,
            "schedule": "constant",
            "warmup_steps": 0,
            "clip_norm": 0.0,
        }

    def build_for(self, options: TrainingOptions) -> None:
        self.build_variables()

    def build_variables(self) -> None:
        """Makes all variables."""
        made = self((tf.zeros([1, self.config.noise]), tf.zeros([1], tf.int32)))
        flat = tf.reshape(made, [1, self.config.side**2])
        self.discriminator([flat, tf.zeros([1, self.config.classes])])

    def parts(self) -> dict[str, list]:
        return {
            name: list(getattr(self, name).trainable_variables)
            for name in ("generator", "discriminator")
        }

    def groups(self, options: TrainingOptions) -> dict[str, list]:
        return self.parts()

    def build_optimizers(self, options: TrainingOptions) -> dict[str, keras.optimizers.Optimizer]:
        made = {}
        for name in ("generator", "discriminator"):
            made[name] = keras.optimizers.SGD(self.config.learning_rate, self.config.momentum)
            # A variable, for it to change from step to step.
            made[name].momentum = tf.Variable(self.config.momentum, trainable=False)
        return made

    def before_step(self, step: int, progress: float, learning_rate: float) -> None:
        """Sets the paper's own learning rate and momentum; the run's schedule has no say."""
        rate, momentum = self.schedule(step)
        for optimizer in self.state().optimizers.values():
            optimizer.learning_rate.assign(rate)
            optimizer.momentum.assign(momentum)

    def open_data(self, pattern: str, options: TrainingOptions) -> RunData:
        return DigitData(pattern, options)

    def reconstructions(self, samples) -> dict:
        return {"digits": self.sample(tf.range(self.config.classes), 0)}

    def schedule(self, step: int) -> tuple[float, float]:
        """Learning rate and momentum of an update."""
        config = self.config
        rate = max(config.learning_rate * config.decay**-step, config.learning_rate_min)
        share = min(step / max(config.momentum_steps, 1), 1.0)
        return rate, config.momentum + share * (config.momentum_last - config.momentum)

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data) -> dict[str, tf.Tensor]:
        """One update of the discriminator, then one of the generator, each on its own noise.

        Args:
          data: uint8 [batch, side, side] and int [batch].

        Returns:
          `loss` (the generator's), `discriminator_loss`, and the discriminator's accuracy on `real`
          and on `fake` pictures.
        """
        report = self.minimise(self.discriminator_loss, data, ["discriminator"], "discriminator_")
        return {**report, **self.minimise(self.generator_loss, data, ["generator"])}

    def _generate(self, labels: tf.Tensor, draws: Draws, name: str) -> tf.Tensor:
        noise = draws.uniform(name, [tf.shape(labels)[0], self.config.noise], -1.0, 1.0)
        return self.generator([noise, tf.one_hot(labels, self.config.classes)], training=True)

    def discriminator_loss(self, data, draws: Draws) -> tuple[tf.Tensor, dict]:
        """Cross-entropy of telling real pictures from generated ones."""
        images, labels = data
        one_hot = tf.one_hot(labels, self.config.classes)
        real = tf.reshape(tf.cast(images, tf.float32) / 255.0, [-1, self.config.side**2])
        fake = tf.stop_gradient(self._generate(labels, draws, "judged"))
        on_real = self.discriminator([real, one_hot], training=True)
        on_fake = self.discriminator([fake, one_hot], training=True)
        loss = non_saturating_discriminator_loss(on_real, on_fake)
        right = {"real": on_real > 0, "fake": on_fake <= 0}
        return loss, {
            "discriminator_loss": loss,
            **{name: tf.reduce_mean(tf.cast(value, tf.float32)) for name, value in right.items()},
        }

    def generator_loss(self, data, draws: Draws) -> tuple[tf.Tensor, dict]:
        """-log D of generated pictures: log(1 - D) has no gradient where D wins."""
        _, labels = data
        fake = self._generate(labels, draws, "learning")
        judged = self.discriminator([fake, tf.one_hot(labels, self.config.classes)], training=True)
        loss = non_saturating_generator_loss(judged)
        return loss, {"loss": loss}
