"""`gc` and `sc`: generative compression at extremely low rates.

E. Agustsson, M. Tschannen, F. Mentzer, R. Timofte, L. Van Gool, "Generative Adversarial Networks
for Extreme Learned Image Compression", ICCV 2019, arXiv 1804.02958. One system, four uses of
semantic label maps (`maps`):

- `none`: generative compression (GC) of the whole picture.
- `discriminator`: the discriminators see the map while training; no map is needed later ("D+").
- `sent`: conditional GC; the generator sees the map too, which is part of the file.
- `selective`: selective compression (SC); only a kept region is coded, the rest is made up from the
  map.

What the paper leaves open is chosen so: noise is one vector for each 8x8 latents, to follow the
picture's size; a latent is kept where any of its 16x16 pixels is; the perceptual distance of SC
is taken after the region that is not kept has been replaced by the original.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfhific.backend import keras
from tfhific.data.labelled import LabelledData
from tfhific.data.source import RunData
from tfhific.errors import ModelError
from tfhific.losses.adversarial import (
    least_squares_discriminator_loss,
    least_squares_generator_loss,
)
from tfhific.losses.feature_matching import feature_matching_loss
from tfhific.models import extreme_networks as networks
from tfhific.models.adam import Adam
from tfhific.models.draws import Draws
from tfhific.models.extreme_networks import NOISE_SPAN, STRIDE
from tfhific.models.quantizer import CentreQuantizer, CollapseWatch, symbol_entropy
from tfhific.models.system import TrainableSystem, TrainingOptions

MAPS = ("none", "discriminator", "sent", "selective")


@dataclasses.dataclass(frozen=True)
class GCConfig:
    """Sizes and weights of generative compression.

    Attributes:
      bottleneck: C, channels of the code; the paper has 2, 4, 8 and 16.
      centres: L, values that a channel of the code can have.
      learn_centres: whether they are trained.
      width: channels of the encoder's first and the generator's last hidden layer.
      blocks: residual blocks of the generator.
      noise: values of each noise vector; 0 for none.
      maps: what label maps are used for, see `MAPS`.
      classes: of the label maps.
      class_names: names of the classes, for `--keep`; may be empty.
      label_width: the same as `width` for the feature extractor on label maps.
      label_features: channels that it joins to the code.
      discriminator_width: channels of the discriminators' first layer.
      scales: discriminators, each at half the resolution of the one before.
      spectral: spectral normalisation in the discriminators.
      adversarial: whether the discriminators take part. Without them a run learns to code with the
        least distortion: a cheap start for one with them, by `--init_from`.
      mse_weight: of the mean squared error on [-1, 1].
      feature_weight: of feature matching, summed over layers and averaged over scales.
      perceptual_weight: of the perceptual distance, where `--lpips` names a file for it.
    """

    bottleneck: int = 4
    centres: int = 5
    learn_centres: bool = False
    width: int = 60
    blocks: int = 9
    noise: int = 0
    maps: str = "none"
    classes: int = 0
    class_names: tuple[str, ...] = ()
    label_width: int = 30
    label_features: int = 32
    discriminator_width: int = 64
    scales: int = 3
    spectral: bool = False
    adversarial: bool = True
    mse_weight: float = 12.0
    feature_weight: float = 10.0
    perceptual_weight: float = 10.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "class_names", tuple(self.class_names))
        if self.maps not in MAPS:
            raise ModelError(f"maps: expected one of {', '.join(MAPS)}. Received: {self.maps!r}.")
        if self.maps != "none" and not 2 <= self.classes <= 255:
            raise ModelError(f"classes: expected 2 to 255 with maps. Received: {self.classes}.")
        if self.class_names and len(self.class_names) != self.classes:
            raise ModelError(
                f"class_names: expected {self.classes} names. Received: {len(self.class_names)}."
            )
        if not 1 <= self.bottleneck <= 256 or not 2 <= self.centres <= 255:
            raise ModelError(
                "Expected a bottleneck of 1 to 256 and 2 to 255 centres. Received: "
                f"{self.bottleneck} and {self.centres}."
            )

    @property
    def sees_maps(self) -> bool:
        """Whether the generator needs label maps."""
        return self.maps in ("sent", "selective")


@dataclasses.dataclass(frozen=True)
class SCConfig(GCConfig):
    """Sizes and weights of selective compression: `GCConfig` with maps for synthesis."""

    maps: str = "selective"
    classes: int = 12


def split_batch(data: tf.Tensor, config: GCConfig):
    """What a batch holds: pictures, one-hot maps or None, kept pixels or None.

    Args:
      data: uint8 [batch, H, W, 3], or with two more channels, the label and 1 where it is kept.
      config: says what of it is used.

    Returns:
      float32 [batch, H, W, 3] in [-1, 1], float32 [batch, H, W, classes] or None, and float32
      [batch, H, W, 1] or None.
    """
    images = tf.cast(data[..., :3], tf.float32) / 127.5 - 1.0
    if config.maps == "none":
        return images, None, None
    if data.shape[-1] != 5:
        raise ModelError(
            f"A model with maps={config.maps!r} trains on pictures with label maps: expected "
            f"batches of 5 channels. Received: {data.shape}. The maps of `data` are looked for "
            "in the folder of its name with _labels."
        )
    maps = tf.one_hot(tf.cast(data[..., 3], tf.int32), config.classes)
    kept = tf.cast(data[..., 4:], tf.float32) if config.maps == "selective" else None
    return images, maps, kept


class Extreme(TrainableSystem):
    """The trainable system. Input of `call`: a batch as `split_batch` takes it."""

    USES_LPIPS = True
    FOLDED = ("encoder", "generator", "features", "noise")
    """Networks that are published, those that the configuration asks for."""

    def __init__(self, config: GCConfig | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.config = config = config or GCConfig()
        self.encoder = networks.encoder(config.width, config.bottleneck)
        self.quantizer = CentreQuantizer(config.centres, config.learn_centres)
        self.generator = networks.generator(config.width, config.blocks)
        self.discriminator = networks.MultiscaleDiscriminator(
            config.discriminator_width, config.scales, config.spectral
        )
        self.features = self.noise = None
        if config.sees_maps:
            self.features = networks.encoder(config.label_width, config.label_features, "features")
        if config.noise:
            self.noise = networks.noise_upsampler(max(config.noise // 4, 1))
        # A running mean of how often each centre was chosen: probabilities for the entropy coder.
        self.shares = self.add_weight(
            name="shares",
            shape=(config.bottleneck, config.centres),
            initializer=keras.initializers.Constant(1.0 / config.centres),
            trainable=False,
            aggregation=tf.VariableAggregation.MEAN,
        )
        self._distance: Callable | None = None

    @classmethod
    def defaults(cls, config: GCConfig, stage: int) -> dict:
        return {
            "batch_size": 1,
            "crop": 256,
            "learning_rate": 2e-4,
            "schedule": "constant",
            "warmup_steps": 0,
            "clip_norm": 0.0,
        }

    def build_variables(self, side: int = 64) -> None:
        """Makes all variables."""
        channels = 3 if self.config.maps == "none" else 5
        self(tf.zeros([1, side, side, channels], tf.uint8))

    def build_for(self, options: TrainingOptions) -> None:
        self.build_variables(options.crop)
        if options.lpips:
            from tfhific.losses.lpips import LPIPS

            lpips = LPIPS(options.lpips, allow_partial=True)
            # Behind a function, for its weights to stay out of the checkpoints.
            self._distance = lambda images: tf.reduce_mean(lpips(images))

    def build_optimizers(self, options: TrainingOptions) -> dict[str, keras.optimizers.Optimizer]:
        return {
            name: Adam(options.learning_rate, beta_1=0.5) for name in ("generator", "discriminator")
        }

    def parts(self) -> dict[str, list]:
        named: dict[str, Any] = {
            "encoder": self.encoder,
            "centres": self.quantizer,
            "features": self.features,
            "noise": self.noise,
            "generator": self.generator,
            "discriminator": self.discriminator,
        }
        return {k: list(v.trainable_variables) for k, v in named.items() if v is not None}

    def groups(self, options: TrainingOptions) -> dict[str, list]:
        parts = self.parts()
        judging = parts.pop("discriminator")
        return {"generator": [v for part in parts.values() for v in part], "discriminator": judging}

    def code(self, images: tf.Tensor, kept: tf.Tensor | None) -> tuple[tf.Tensor, tf.Tensor]:
        """Quantised code, zero where nothing is kept, and its symbols int32 [batch, h, w, C]."""
        code, symbols = self.quantizer(self.encoder(images))
        if kept is not None:
            code *= tf.nn.max_pool2d(kept, STRIDE, STRIDE, "VALID")
        return code, symbols

    def generate(
        self, code: tf.Tensor, maps: tf.Tensor | None, draws: Draws, training: bool
    ) -> tf.Tensor:
        """Pictures float32 [batch, 16h, 16w, 3] in [-1, 1] of a code and one-hot maps."""
        joined = [code]
        if self.features is not None:
            joined.append(self.features(maps, training=training))
        if self.noise is not None:
            shape = tf.shape(code)
            grid = -(-shape[1:3] // NOISE_SPAN)
            seeds = draws.normal("noise", [shape[0], grid[0], grid[1], self.config.noise])
            joined.append(self.noise(seeds, training=training)[:, : shape[1], : shape[2]])
        return self.generator(tf.concat(joined, -1), training=training)

    def call(self, data: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Codes pictures and generates them again, float32 [batch, H, W, 3] in [-1, 1]."""
        images, maps, kept = split_batch(data, self.config)
        code, _ = self.code(images, kept)
        # Noise of a step of its own, far from those of training.
        made = self.generate(code, maps, Draws(0, (1 << 40) - 1), training)
        if not self.discriminator.built:
            self.judge(images, maps, training=False)
        return made

    def judge(self, images: tf.Tensor, maps: tf.Tensor | None, training: bool = True):
        """The discriminators' features and judgements; they see the maps where there are any."""
        seen = images if maps is None else tf.concat([images, maps], -1)
        return self.discriminator(seen, training=training)

    def fit(self, *args, callbacks=None, **kwargs):
        """`keras.Model.fit` under the watch for collapsing centres."""
        return super().fit(*args, callbacks=[*(callbacks or []), CollapseWatch()], **kwargs)

    def open_data(self, pattern: str, options: TrainingOptions) -> RunData | None:
        if self.config.maps == "none":
            return None
        return LabelledData(pattern, options, self.config.classes)

    def reconstructions(self, samples: np.ndarray) -> dict:
        made = self(tf.cast(samples, tf.uint8))
        both = tf.concat([tf.cast(samples[..., :3], tf.float32) / 127.5 - 1.0, made], 2)
        return {"original_and_reconstruction": both / 2.0 + 0.5}

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data: tf.Tensor) -> dict[str, tf.Tensor]:
        """One update of the discriminators, then one of encoder and generator."""
        report = {}
        if self.config.adversarial:
            report = self.minimise(
                self.discriminator_loss, data, ["discriminator"], "discriminator_"
            )
        return {**report, **self.minimise(self.generator_loss, data, ["generator"])}

    def _track(self, symbols: tf.Tensor) -> None:
        shares = tf.reduce_mean(tf.one_hot(symbols, self.config.centres), (0, 1, 2))
        self.shares.assign_add(0.01 * (shares - self.shares))

    def discriminator_loss(self, data: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, dict]:
        """Least squares on real and generated pictures, summed over scales, halved."""
        images, maps, kept = split_batch(data, self.config)
        made = self.generate(self.code(images, kept)[0], maps, draws, True)
        _, on_real = self.judge(images, maps)
        _, on_fake = self.judge(tf.stop_gradient(made), maps)
        loss = self.config.scales / 2 * least_squares_discriminator_loss(on_real, on_fake)
        return loss, {"discriminator_loss": loss}

    def generator_loss(self, data: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, dict]:
        """The weighted sum of distortion and, as configured, what the discriminators say."""
        config = self.config
        images, maps, kept = split_batch(data, config)
        code, symbols = self.code(images, kept)
        made = self.generate(code, maps, draws, True)
        self._track(symbols)
        compared, mse = _compare(images, made, kept)
        gaps = tf.experimental.numpy.diff(tf.sort(self.quantizer.centres))
        report = {
            "mse": mse,
            "code_bits": symbol_entropy(symbols, config.centres),
            "centre_gap": tf.reduce_min(gaps),
        }
        loss = config.mse_weight * mse
        if self._distance is not None:
            report["perceptual"] = self._distance(compared)
            loss += config.perceptual_weight * report["perceptual"]
        if config.adversarial:
            seen, _ = self.judge(images, maps)
            imagined, on_fake = self.judge(made, maps)
            report["features"] = len(seen[0]) * feature_matching_loss(seen, imagined)
            report["adversarial"] = config.scales * least_squares_generator_loss(on_fake)
            loss += config.feature_weight * report["features"] + report["adversarial"]
        return loss, {"loss": loss, **report}


def _compare(images: tf.Tensor, made: tf.Tensor, kept: tf.Tensor | None):
    """What the distortion compares, a pair of pictures, and its mean squared error.

    Latents are kept whole, and so is every pixel of theirs; nothing else counts.
    """
    if kept is None:
        return (images, made), tf.reduce_mean(tf.math.squared_difference(images, made))
    blocks = tf.nn.max_pool2d(kept, STRIDE, STRIDE, "VALID")
    region = tf.repeat(tf.repeat(blocks, STRIDE, 1), STRIDE, 2)
    pasted = region * made + (1.0 - region) * images
    total = tf.reduce_sum(tf.math.squared_difference(images, pasted))
    return (images, pasted), total / tf.maximum(3.0 * tf.reduce_sum(region), 1.0)
