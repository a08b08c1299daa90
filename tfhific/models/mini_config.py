"""Sizes of `mini`, and what its configuration shares with `mini2`'s; needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

NUM_QUALITIES = 8
STRIDE = 16
HYPER_STRIDE = 4
LINEAR_PACE = 0.125
"""The block transforms start good: they are to move slower than the rest, relative to size."""


class RateRange:
    """What follows from the rates that a model is trained for, and from how its latents scale."""

    lambda_min: float
    lambda_max: float
    num_scales: int
    scale_min: float
    scale_max: float

    def log_lambda(self, quality):
        """Logarithm of lambda at a real quality, geometric from quality 1 to 8."""
        low, high = math.log(self.lambda_min), math.log(self.lambda_max)
        return low + (high - low) * (quality - 1.0) / (NUM_QUALITIES - 1)

    def scales(self) -> np.ndarray:
        """float64 [num_scales], log-spaced standard deviations."""
        return np.exp(
            np.linspace(math.log(self.scale_min), math.log(self.scale_max), self.num_scales)
        )


@dataclasses.dataclass(frozen=True)
class MiniConfig(RateRange):
    """Sizes and rate-distortion weights of `mini`.

    Attributes:
      latent_channels: channels of the latents y, at 1/16 of the image's resolution.
      hyper_channels: channels of the hyperlatents z, at 1/64.
      fine_channels: channels of the non-linear branches at 1/4.
      coarse_channels: channels of the non-linear branches at 1/8.
      num_blocks: residual blocks at 1/8 in each transform.
      lambda_min: weight of the mean squared error (on 0..255, per pixel and colour) against
        bits per pixel at quality 1.
      lambda_max: the same at quality 8.
      num_scales: entries in the list of standard deviations.
      scale_min: smallest standard deviation of a latent.
      scale_max: largest.
    """

    latent_channels: int = 192
    hyper_channels: int = 96
    fine_channels: int = 64
    coarse_channels: int = 128
    num_blocks: int = 1
    lambda_min: float = 0.0008
    lambda_max: float = 0.03
    num_scales: int = 64
    scale_min: float = 0.11
    scale_max: float = 256.0
