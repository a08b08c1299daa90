"""A HiFiC with random weights writes files as a trained one would, at the cost they should have."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.evaluation.random_hific import random_hific
from tfhific.models.hific import PRESETS
from tfhific.publishing.hyperprior import publish


def codec_of(preset: str, variant: str, whole: np.ndarray, **changes) -> HyperpriorCodec:
    config = dataclasses.replace(PRESETS[preset], adversary="none", variant=variant, **changes)
    return HyperpriorCodec(
        publish(random_hific(config, whole, config.target_bpp), preset, half=False)
    )


def cost(codec: HyperpriorCodec, picture: np.ndarray) -> tuple[int, float]:
    """Bytes of a file, and the estimate of them."""
    pixels = picture.shape[0] * picture.shape[1]
    return len(codec.compress(picture)), codec.estimate_bpp(picture) * pixels / 8


def test_rate_is_about_what_was_asked_for(photo):
    whole = photo(256, 256)
    for target in (0.1, 0.4):
        codec = codec_of("hific-tiny", "pytorch", whole, target_bpp=target, latent_channels=64)
        assert 0.5 * target < codec.estimate_bpp(whole) < 2 * target


@pytest.mark.slow
@pytest.mark.parametrize(
    ("preset", "variant"),
    [("hific-lo", "pytorch"), ("hific-mi", "official"), ("hific-hi", "pytorch")],
)
def test_files_of_a_full_size_model_cost_little_over_the_estimate(preset, variant, photo):
    whole = photo(512, 768, seed=3)
    codec = codec_of(preset, variant, whole)
    target = PRESETS[preset].target_bpp
    sizes = [(256, 256), (512, 512), (512, 768)]
    if variant == "pytorch":
        # The other form pads with zeros: where a picture is extended to a multiple of 64, latents
        # at its old edge are far from what random weights predict, and the estimate counts its
        # floor, which is more than escapes cost.
        sizes += [(301, 422), (257, 511)]
    for height, width in sizes:
        found, estimate = cost(codec, whole[:height, :width])
        assert 0.5 * target < 8 * estimate / (height * width) < 2.5 * target
        assert 0.98 * estimate < found <= 1.01 * estimate + 64, (height, width)
