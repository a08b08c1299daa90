"""`hific`: high-fidelity generative image compression.

F. Mentzer, G. Toderici, M. Tschannen, E. Agustsson: "High-Fidelity Generative Image Compression",
NeurIPS 2020, arXiv 2006.09965. The networks are in `hific_networks`; this file has the
configurations and the model: what is quantised how, and what it costs in bits.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf

from tfhific.backend import keras, tfc
from tfhific.errors import ArgumentError
from tfhific.models import hific_networks as networks
from tfhific.models.draws import Draws
from tfhific.models.hific_networks import HYPER_STRIDE, STRIDE, NetworkSizes
from tfhific.models.layers import InOrder
from tfhific.models.likelihoods import bits, likelihood
from tfhific.models.publishable import PublishedParts
from tfhific.models.spectral import SpectralConv2D
from tfhific.published.rate import LIKELIHOODS

ADVERSARIES = ("none", "patch")
LOSS_SCALE = 0.1 * 2.0**-5
"""The paper's C: its rate's weight is C / lambda."""


@dataclasses.dataclass(frozen=True)
class HiFiCConfig(NetworkSizes):
    """Sizes, likelihoods and targets; `hific_networks.NetworkSizes` has the networks' sizes.

    Attributes:
      likelihood: of the latents, `gaussian` or `logistic`.
      num_scales: entries in the list of standard deviations that tables are made for.
      scale_min: smallest standard deviation of a latent.
      scale_max: largest of the tables.
      adversary: the discriminator, `patch`, or `none` (stage one).
      target_bpp: bits per pixel that the rate control keeps to.
      rate_weight_above: weight of the rate while the quantised rate is above the target.
      rate_weight_below: weight of the rate while it is not.
      warmup_steps: how long the two factors that follow apply.
      warmup_target: factor of the target at first.
      warmup_rate_weight: factor of the rate's weights at first. The authors' code doubles lambda,
        which divides the rate, so it halves the weights; the PyTorch implementation doubles them.
      mse_weight: weight of the mean squared error on 0..255.
      lpips_weight: weight of LPIPS.
      adversarial_weight: weight of the generator's adversarial loss.
      feature_matching_weight: weight of the discriminator's feature matching; not in the paper.
    """

    likelihood: str = "gaussian"
    num_scales: int = 64
    scale_min: float = 0.11
    scale_max: float = 256.0
    adversary: str = "patch"
    target_bpp: float = 0.14
    rate_weight_above: float = 2.0
    rate_weight_below: float = 1.0 / 64
    warmup_steps: int = 50_000
    warmup_target: float = 0.20 / 0.14
    warmup_rate_weight: float = 0.5
    mse_weight: float = 0.75 * LOSS_SCALE
    lpips_weight: float = 1.0
    adversarial_weight: float = 0.15
    feature_matching_weight: float = 0.0

    def __post_init__(self) -> None:
        # Lists come from JSON; a configuration is compared and hashed.
        for name in ("channels", "discriminator_channels"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        for name, known in (
            ("variant", networks.VARIANTS),
            ("likelihood", LIKELIHOODS),
            ("adversary", ADVERSARIES),
        ):
            if getattr(self, name) not in known:
                raise ArgumentError(
                    f"Expected {name} to be one of {', '.join(known)}. "
                    f"Received: {getattr(self, name)!r}."
                )
        if len(self.channels) != 5 or min(self.channels) < 2 or self.residual_blocks < 1:
            raise ArgumentError(
                "Expected five widths of at least 2 and at least one residual block. Received: "
                f"channels={self.channels}, residual_blocks={self.residual_blocks}."
            )

    def scales(self) -> np.ndarray:
        """float64 [num_scales], log-spaced standard deviations."""
        return np.exp(
            np.linspace(math.log(self.scale_min), math.log(self.scale_max), self.num_scales)
        )

    @property
    def pixel_range(self) -> tuple[float, float]:
        """What the networks see for pixels of 0 and of 255."""
        return (-1.0, 1.0) if self.normalize_input else (0.0, 1.0)

    @property
    def min_latents(self) -> int:
        """Fewest latents a side that every network can pad."""
        # Two 5x5 reflections, the second after a stride of 2, on multiples of 4.
        return 5 if self.is_pytorch else 1


def _rates() -> dict[str, HiFiCConfig]:
    rates = {"lo": (0.14, 2.0), "mi": (0.30, 1.0), "hi": (0.45, 0.5)}
    found = {}
    for name, (target, weight) in rates.items():
        config = HiFiCConfig(target_bpp=target, rate_weight_above=weight)
        found[f"hific-{name}"] = config
        found[f"hific-mse-lpips-{name}"] = dataclasses.replace(config, adversary="none")
    return found


PRESETS: dict[str, HiFiCConfig] = {
    **_rates(),
    # For tests: every kind of layer, next to no cost.
    "hific-tiny": HiFiCConfig(
        latent_channels=12,
        hyper_channels=8,
        channels=(8, 10, 12, 14, 16),
        residual_blocks=2,
        discriminator_channels=(8, 10, 12, 14),
        context_channels=4,
        target_bpp=0.5,
    ),
}
"""Configurations by name; `hific-mse-lpips-*` are those of stage one."""


@dataclasses.dataclass(frozen=True)
class Coded:
    """Latents as a decoder will have them, and what they cost.

    Attributes:
      y_hat: float32 [batch, h, w, latent_channels], rounded about its means, straight through.
      bits_y: float32 [batch], of the latents: noisy in training, rounded otherwise.
      bits_z: float32 [batch], of the hyperlatents, likewise.
      quantised_bits_y: float32 [batch], of the rounded latents.
      quantised_bits_z: float32 [batch], of the rounded hyperlatents.
    """

    y_hat: tf.Tensor
    bits_y: tf.Tensor
    bits_z: tf.Tensor
    quantised_bits_y: tf.Tensor
    quantised_bits_z: tf.Tensor


class HiFiC(keras.Model, PublishedParts):
    """The trainable codec.

    Every network is built at once, and is callable on float32 [batch, height, width, channels];
    images are in the range that `to_range` gives.

    Attributes:
      config: its configuration.
      encoder: image [batch, H, W, 3] to latents [batch, H/16, W/16, latent_channels].
      generator: latents to an image.
      hyper_analysis: latents to hyperlatents [batch, h/4, w/4, hyper_channels].
      hyper_synthesis_mean: hyperlatents to the latents' means.
      hyper_synthesis_scale: hyperlatents to the latents' scales, before their lower bound.
      z_prior: hyperlatents to their likelihoods.
      discriminator: `discriminator(images, latents)` gives logits; None without an adversary.
    """

    def __init__(self, config: HiFiCConfig | None = None, **kwargs) -> None:
        super().__init__(**{"name": "hific", **kwargs})
        self.config = config = config or HiFiCConfig()
        self.encoder = networks.encoder(config)
        self.generator = networks.generator(config)
        self.hyper_analysis = networks.hyper_analysis(config)
        self.hyper_synthesis_mean = networks.hyper_synthesis(config, "hyper_synthesis_mean")
        self.hyper_synthesis_scale = networks.hyper_synthesis(config, "hyper_synthesis_scale")
        self.z_prior = networks.z_prior(config)
        self.discriminator = None
        if config.adversary != "none":
            self.discriminator = networks.Discriminator(config)
            self.discriminator.build()
        for network, channels in (
            (self.encoder, 3),
            (self.generator, config.latent_channels),
            (self.hyper_analysis, config.latent_channels),
            (self.hyper_synthesis_mean, config.hyper_channels),
            (self.hyper_synthesis_scale, config.hyper_channels),
        ):
            network.build((None, None, None, channels))
        self.built = True

    @property
    def analysis(self) -> InOrder:
        """The encoder, by the name that every codec has for it."""
        return self.encoder

    @property
    def synthesis(self) -> InOrder:
        """The generator, by the name that every codec has for it."""
        return self.generator

    def codec_facts(self) -> dict:
        """What a published model says beyond its networks: see `tfhific.published.hyperprior`."""
        return {
            "scale_kind": "scale",
            "likelihood": self.config.likelihood,
            "pixel_range": self.config.pixel_range,
            "min_latents": self.config.min_latents,
        }

    def extra_variables(self) -> dict[str, tf.Variable]:
        """Variables that a published model keeps though no coding needs them, by name."""
        found = {}
        for kind in ("matrices", "biases", "factors"):
            for number, variable in enumerate(getattr(self.z_prior, kind)):
                found[f"z_prior/{kind}/{number}"] = variable
        if self.discriminator is not None:
            for part, layer in self.discriminator.parts().items():
                own = {"kernel": layer.kernel, "bias": layer.bias}
                if isinstance(layer, SpectralConv2D):
                    own.update(u=layer.u, v=layer.v)
                for name, variable in own.items():
                    found[f"discriminator/{part}/{name}"] = variable
        return found

    def to_range(self, images: tf.Tensor) -> tf.Tensor:
        """Pixels 0..255 in the networks' range, float32."""
        low, high = self.config.pixel_range
        return tf.cast(images, tf.float32) / 255.0 * (high - low) + low

    def from_range(self, images: tf.Tensor) -> tf.Tensor:
        """Images of the networks' range as pixels, float32, not clipped to 0..255."""
        low, high = self.config.pixel_range
        return (tf.cast(images, tf.float32) - low) / (high - low) * 255.0

    def scales(self, z_hat: tf.Tensor) -> tf.Tensor:
        """The latents' scales (standard deviations where Gaussian), float32, at least `scale_min`.

        The lower bound lets gradients through that lead towards it.
        """
        raw = tf.cast(self.hyper_synthesis_scale(z_hat), tf.float32)
        return tfc.lower_bound(raw, self.config.scale_min)

    def code(self, y: tf.Tensor, training: bool = False, draws: Draws | None = None) -> Coded:
        """Quantises latents and counts their bits.

        Args:
          y: float [batch, h, w, latent_channels], sides multiples of 4.
          training: rates from uniform noise, and noisy hyperlatents into the hyper-syntheses.
          draws: where the noise comes from; None for one that differs from call to call.
        """
        y = tf.cast(y, tf.float32)
        z = tf.cast(self.hyper_analysis(y), tf.float32)
        z_rounded = tf.round(z)
        quantised_bits_z = bits(self.z_prior(z_rounded))
        draws = draws or Draws.fresh()
        if training:
            z_hat = z + draws.noise("z", z)
            bits_z = bits(self.z_prior(z_hat))
        else:
            z_hat, bits_z = z_rounded, quantised_bits_z
        mean = tf.cast(self.hyper_synthesis_mean(z_hat), tf.float32)
        scale = self.scales(z_hat)
        y_hat = tfc.round_st(y - mean) + mean
        kind = self.config.likelihood
        quantised_bits_y = bits(likelihood(kind, tf.stop_gradient(y_hat), mean, scale))
        bits_y = quantised_bits_y
        if training:
            noisy = y + draws.noise("y", y)
            bits_y = bits(likelihood(kind, noisy, mean, scale))
        return Coded(y_hat, bits_y, bits_z, quantised_bits_y, quantised_bits_z)

    def call(self, images: tf.Tensor, quality: tf.Tensor | None = None, training: bool = False):
        """Codes `images` and returns their reconstruction with the bits it took.

        Args:
          images: float32 [batch, H, W, 3] in 0..255, sides multiples of 64.
          quality: without effect: the model has one rate.
          training: noisy bits when True, bits of the rounded latents when False.

        Returns:
          Reconstruction float32 [batch, H, W, 3] in 0..255 (not clipped), bits of y [batch] and
          bits of z [batch].
        """
        del quality
        coded = self.code(self.encoder(self.to_range(images)), training)
        return self.from_range(self.generator(coded.y_hat)), coded.bits_y, coded.bits_z


__all__ = [
    "ADVERSARIES",
    "HYPER_STRIDE",
    "PRESETS",
    "STRIDE",
    "Coded",
    "HiFiC",
    "HiFiCConfig",
]
