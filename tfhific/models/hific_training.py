"""Training of HiFiC: losses, rate control and the two steps of its GAN.

F. Mentzer, G. Toderici, M. Tschannen, E. Agustsson: "High-Fidelity Generative Image Compression",
NeurIPS 2020, arXiv 2006.09965, sections 3.2, 3.4 and 4.2 and appendix A.

Stage one trains for rate, mean squared error and LPIPS; stage two begins with its weights and adds
a discriminator. M. J. Muckley et al.: "Improving Statistical Fidelity for Neural Image Compression
with Implicit Local Likelihood Models", ICML 2023, arXiv 2301.11189, has the other one, `illm`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfhific.errors import TfhificError
from tfhific.losses import adversarial
from tfhific.losses.feature_matching import feature_matching_loss
from tfhific.losses.lpips import LPIPS
from tfhific.models.adam import Adam
from tfhific.models.draws import Draws
from tfhific.models.hific import LOSS_SCALE, HiFiC, HiFiCConfig
from tfhific.models.label_discriminator import (
    LabelDiscriminator,
    label_discriminator_loss,
    label_generator_loss,
)
from tfhific.models.system import TrainableSystem, TrainingOptions

_CODEC_PARTS = (
    "encoder",
    "generator",
    "hyper_analysis",
    "hyper_synthesis_mean",
    "hyper_synthesis_scale",
    "z_prior",
)


class HiFiCTraining(TrainableSystem):
    """A `HiFiC` with what only its training needs.

    Attributes:
      model: the codec.
      label_discriminator: of `--adversary=illm`, or None.
    """

    STAGES = 2
    ADVERSARIES = ("patch", "illm")
    USES_LPIPS = True
    WEIGHT_SETTINGS = (
        *("variant", "latent_channels", "hyper_channels", "channels", "residual_blocks"),
        *("normalize_input", "likelihood", "scale_min"),
    )

    def __init__(self, config: HiFiCConfig) -> None:
        super().__init__(name="hific_training")
        self.config = config
        self.model = HiFiC(config, autocast=False)
        self.label_discriminator: LabelDiscriminator | None = None
        # Held so that Keras does not see them: neither is trained, and neither is saved.
        self._distance: Callable[..., tf.Tensor] | None = None
        self._labels_of: Callable[..., tf.Tensor] | None = None
        self._labels = 0

    @classmethod
    def defaults(cls, config: HiFiCConfig, stage: int) -> dict:
        return {
            "batch_size": 8,
            "crop": 256,
            "learning_rate": 1e-4,
            "schedule": "step",
            "boundaries": (500_000,),
            "decay": 0.1,
            "warmup_steps": 0,
            "clip_norm": 0.0,
            "downscale_min": 0.75,
            "downscale_max": 0.95,
            "downscale_share": 1.0,
            "flip": False,
        }

    @property
    def codec_model(self) -> HiFiC:
        return self.model

    @classmethod
    def averaged_variables(cls, model: HiFiC) -> list:
        return [v for name in _CODEC_PARTS for v in getattr(model, name).trainable_variables]

    @classmethod
    def warm_start(cls, model: HiFiC, stored: set[str]) -> dict:
        names = [*_CODEC_PARTS]
        if model.discriminator is not None and "discriminator" in stored:
            names.append("discriminator")
        return {name: getattr(model, name) for name in names}

    def check_options(self, options: TrainingOptions) -> None:
        super().check_options(options)
        least = 128 if self.config.is_pytorch else 64
        if options.crop % 64 or options.crop < least:
            raise TfhificError(
                f"`crop`: expected a multiple of 64 from {least} on. Received: {options.crop}."
            )
        if options.stage == 1 and options.adversary:
            raise TfhificError("`adversary` is for `stage=2`: stage one has no discriminator.")
        if _adversary(options) == "patch" and self.model.discriminator is None:
            raise TfhificError(
                "`stage=2`: this configuration has no discriminator. Take hific-lo, -mi or -hi."
            )
        if _adversary(options) == "illm" and not options.labels:
            raise TfhificError(
                "`adversary=illm` needs `labels=RUN`, a run of `model=labels` on such images."
            )
        if options.labels and _adversary(options) != "illm":
            raise TfhificError("`labels` is for `stage=2` `adversary=illm`.")

    def build_for(self, options: TrainingOptions) -> None:
        if options.lpips:
            layer = LPIPS(options.lpips, allow_partial=True)
            self._distance = lambda first, second: layer((first, second))
        if _adversary(options) == "illm":
            self.label_discriminator = LabelDiscriminator(self.config, self._labels)
            self.label_discriminator.build()

    def use_labels(self, labeller) -> None:
        self._labels = labeller.config.labels
        self._labels_of = lambda images: labeller.label(images)

    def notices(self, options: TrainingOptions) -> list[str]:
        if options.lpips:
            return []
        return [
            "no perceptual loss: `lpips=FILE` names LPIPS weights (bin/import_lpips.py makes them)"
        ]

    def parts(self) -> dict[str, list]:
        model = self.model
        prior = _CODEC_PARTS[2:]
        found = {
            "encoder": list(model.encoder.trainable_variables),
            "decoder": list(model.generator.trainable_variables),
            "prior": [v for name in prior for v in getattr(model, name).trainable_variables],
        }
        discriminator = self._discriminator()
        if discriminator is not None:
            found["discriminator"] = list(discriminator.trainable_variables)
        return found

    def _discriminator(self):
        return self.label_discriminator or self.model.discriminator

    def build_optimizers(self, options: TrainingOptions) -> dict:
        names = ["networks", "z_prior"] + ["discriminator"] * (options.stage == 2)
        return {name: Adam(options.learning_rate, epsilon=1e-8) for name in names}

    def groups(self, options: TrainingOptions) -> dict[str, list]:
        parts = self.parts()
        z_prior = list(self.model.z_prior.trainable_variables)
        apart = {id(v) for v in z_prior}
        networks = [v for name in ("encoder", "decoder", "prior") for v in parts[name]]
        groups = {"networks": [v for v in networks if id(v) not in apart], "z_prior": z_prior}
        if options.stage == 2:
            groups["discriminator"] = parts["discriminator"]
        return groups

    def crops_per_step(self, options: TrainingOptions) -> int:
        # The discriminator's step has a sub-batch of its own.
        return options.batch_size * options.stage

    @tf.autograph.experimental.do_not_convert
    def train_step(self, data) -> dict:
        """One step on uint8 [crops, crop, crop, 3]; in stage two the first half is the
        discriminator's."""
        options = self.state().options
        if options.stage == 1:
            return self.minimise(self._compressor_loss, data, ["networks", "z_prior"])
        for_discriminator, for_compressor = tf.split(data, 2)
        report = self.minimise(
            self._discriminator_loss, for_discriminator, ["discriminator"], "discriminator_"
        )
        compressor = self.minimise(self._compressor_loss, for_compressor, ["networks", "z_prior"])
        return {**compressor, **report}

    def _code(self, images: tf.Tensor, draws: Draws):
        """Images 0..255 to what a decoder will have, and its picture in the networks' range."""
        # A frozen prior's decoder is trained on exactly what it will be given.
        frozen = {"encoder", "prior"} <= set(self.state().options.freeze)
        y = self.model.encoder(self.model.to_range(images))
        coded = self.model.code(y, not frozen, draws)
        return coded, tf.cast(self.model.generator(coded.y_hat), tf.float32)

    def _compressor_loss(self, images: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, dict]:
        config = self.config
        images = tf.cast(images, tf.float32)
        coded, picture = self._code(images, draws)
        pixels = tf.cast(tf.shape(images)[1] * tf.shape(images)[2], tf.float32)
        bpp = {
            "noisy_bpp_y": tf.reduce_mean(coded.bits_y) / pixels,
            "noisy_bpp_z": tf.reduce_mean(coded.bits_z) / pixels,
            "bpp_y": tf.reduce_mean(coded.quantised_bits_y) / pixels,
            "bpp_z": tf.reduce_mean(coded.quantised_bits_z) / pixels,
        }
        quantised = bpp["bpp_y"] + bpp["bpp_z"]
        target, weight = rate_control(config, quantised, self.state().step)
        mse = tf.reduce_mean(tf.math.squared_difference(images, self.model.from_range(picture)))
        report = {
            "bpp": quantised,
            **bpp,
            "target_bpp": target,
            "rate_weight": weight,
            "lambda": LOSS_SCALE / weight,
            "rate_loss": weight * (bpp["noisy_bpp_y"] + bpp["noisy_bpp_z"]),
            "mse": mse,
            "psnr": 10.0 * tf.math.log(255.0**2 / tf.maximum(mse, 1e-9)) / math.log(10.0),
            "mse_loss": config.mse_weight * mse,
        }
        loss = report["rate_loss"] + report["mse_loss"]
        if self._distance is not None:
            # In [-1, 1] whatever the networks' range.
            report["lpips"] = tf.reduce_mean(
                self._distance(images / 127.5 - 1.0, self.model.from_range(picture) / 127.5 - 1.0)
            )
            report["lpips_loss"] = config.lpips_weight * report["lpips"]
            loss += report["lpips_loss"]
        if self.state().options.stage == 2:
            parts = self._generator_losses(images, coded.y_hat, picture)
            report.update(parts)
            loss += tf.add_n(list(parts.values()))
        return loss, {"loss": loss, **report}

    def _generator_losses(self, images, latents, picture) -> dict:
        """The weighted losses that the discriminator gives the compressor."""
        config = self.config
        if self.label_discriminator is not None and self._labels_of is not None:
            logits = self.label_discriminator(picture, latents)
            loss = label_generator_loss(logits, self._labels_of(images))
            return {"generator_loss": config.adversarial_weight * loss}
        discriminator: Any = self.model.discriminator  # `options` has no such stage without one
        layers = discriminator.layers_of(picture, latents)
        loss = adversarial.non_saturating_generator_loss(layers[-1])
        found = {"generator_loss": config.adversarial_weight * loss}
        if config.feature_matching_weight:
            real = discriminator.layers_of(self.model.to_range(images), latents)
            matching = feature_matching_loss(real[:-1], layers[:-1])
            found["feature_matching_loss"] = config.feature_matching_weight * matching
        return found

    def _discriminator_loss(self, images: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, dict]:
        images = tf.cast(images, tf.float32)
        coded, picture = self._code(images, draws)
        latents = tf.stop_gradient(coded.y_hat)
        # Both halves in one call, so that the spectral norms take one step; the latents are
        # repeated as a whole, so that each image keeps its own.
        both = tf.concat([self.model.to_range(images), tf.stop_gradient(picture)], 0)
        logits = self._discriminator()(both, tf.concat([latents, latents], 0), training=True)
        real, generated = tf.split(tf.cast(logits, tf.float32), 2)
        if self.label_discriminator is not None and self._labels_of is not None:
            return label_discriminator_loss(real, generated, self._labels_of(images))
        loss = adversarial.non_saturating_discriminator_loss(real, generated)
        return loss, {
            "discriminator_loss": loss,
            "d_real": tf.sigmoid(real),
            "d_fake": tf.sigmoid(generated),
        }

    def reconstructions(self, samples: np.ndarray) -> dict:
        decoded = self.model(tf.constant(samples))[0]
        both = tf.concat([samples, decoded], axis=2) / 255.0
        return {"original_and_reconstruction": tf.clip_by_value(both, 0.0, 1.0)}


def rate_control(config: HiFiCConfig, bpp: tf.Tensor, step) -> tuple[tf.Tensor, tf.Tensor]:
    """The target, and the rate's weight, at a step.

    The weight is a hard switch on the rounded latents' bits, for every batch anew: high while they
    are above the target, low while they are not. For the first steps, both have a factor.

    Args:
      config: has the target, the two weights, and the factors.
      bpp: quantised bits per pixel of the batch, float32 scalar.
      step: steps done.

    Returns:
      Target in bits per pixel, and weight of the rate in the loss (C / lambda): float32 scalars.
    """
    early = tf.cast(step, tf.int64) < config.warmup_steps
    target = config.target_bpp * tf.where(early, config.warmup_target, 1.0)
    weight = tf.where(bpp > target, config.rate_weight_above, config.rate_weight_below)
    return target, weight * tf.where(early, config.warmup_rate_weight, 1.0)


def _adversary(options: TrainingOptions) -> str:
    return (options.adversary or "patch") if options.stage == 2 else ""
