"""Sizes of `mini2`, for the Keras model and for `tools/train_torch`; needs no TensorFlow."""

from __future__ import annotations

import dataclasses

from tfhific.models.mini_config import RateRange


@dataclasses.dataclass(frozen=True)
class Mini2Config(RateRange):
    """Sizes and rate-distortion weights of `mini2`.

    Attributes:
      latent_channels: channels of the latents y, at 1/16 of the image's resolution.
      hyper_channels: channels of the hyperlatents z, at 1/64.
      width: channels of the transforms' blocks, at 1/16.
      expansion: hidden channels of a block, in units of `width`.
      encoder_blocks: blocks of the analysis transform.
      decoder_blocks: blocks of the synthesis transform.
      fine_channels: channels of the renderer, at 1/4.
      context_channels: channels of the networks that give means and steps.
      block_kernel: side of the blocks' depthwise kernels, odd.
      lambda_min: weight of the mean squared error (on 0..255, per pixel and colour) against
        bits per pixel at quality 1.
      lambda_max: the same at quality 8.
      num_scales: entries in the list of standard deviations.
      scale_min: smallest standard deviation of a symbol.
      scale_max: largest.
    """

    latent_channels: int = 256
    hyper_channels: int = 96
    width: int = 320
    expansion: int = 2
    encoder_blocks: int = 6
    decoder_blocks: int = 2
    fine_channels: int = 48
    context_channels: int = 256
    block_kernel: int = 5
    lambda_min: float = 0.0005
    lambda_max: float = 0.045
    num_scales: int = 64
    scale_min: float = 0.11
    scale_max: float = 256.0
