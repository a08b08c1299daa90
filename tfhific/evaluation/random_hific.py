"""A HiFiC that nobody has trained, whose files are as large as a trained one's.

Memory, time and the coder's cost depend on a model's sizes and on what its latents cost, not on
what its pictures look like. With the weights that training begins with, every latent costs several
bits; most of a trained model's cost next to nothing.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfhific.backend import keras
from tfhific.models.hific import HiFiC, HiFiCConfig


def random_hific(config: HiFiCConfig, image: np.ndarray, bpp: float, seed: int = 0) -> HiFiC:
    """A model with random weights whose latents cost about as many bits as are asked for.

    The latents' deviations fall geometrically from channel to channel, as far as it takes. The
    hyperprior knows them, and varies them by the place.

    Args:
      config: sizes and likelihood.
      image: uint8 [H, W, 3], sides multiples of 64: a picture that is to cost `bpp`.
      bpp: bits per pixel of its rounded latents.
      seed: of the weights.
    """
    keras.utils.set_random_seed(seed)
    model = HiFiC(config)
    # A density about as narrow as the hyperlatents below: they are a small part of a file.
    model.z_prior = type(model.z_prior)(
        config.hyper_channels, init_scale=0.1, gate_last=config.is_pytorch, name="z_prior"
    )
    y = model.encoder(model.to_range(image[None])).numpy()
    spread = y.std((0, 1, 2)).astype(np.float64)
    order = np.random.default_rng(seed).permutation(config.latent_channels)

    def deviations(fall: float) -> np.ndarray:
        return 6.0 * np.exp(-fall * order / config.latent_channels)

    def bits(fall: float) -> float:
        # Of a Gaussian of that deviation, and none where it always rounds to zero.
        variance = deviations(fall) ** 2
        each = 0.5 * np.log2(1.0 + 2.0 * np.pi * np.e * variance * np.exp(-0.02 / variance))
        return float(each.sum()) * y.shape[1] * y.shape[2] / (image.shape[0] * image.shape[1])

    low, high = 0.0, 200.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if bits(middle) > bpp else (low, middle)
    wanted = np.maximum(deviations(low), 0.02)
    _scale(model.encoder, wanted / np.maximum(spread, 1e-9))
    _centre(model.encoder, lambda: model.encoder(model.to_range(image[None])), 0.0)

    y = model.encoder(model.to_range(image[None]))
    _scale(model.hyper_analysis, 0.17 / np.std(model.hyper_analysis(y)))
    z = tf.round(model.hyper_analysis(y))
    for network, share, level in (
        (model.hyper_synthesis_mean, 0.2, 0.0),
        (model.hyper_synthesis_scale, 0.1, 1.5),
    ):
        present = np.maximum(np.std(network(z).numpy(), (0, 1, 2)), 1e-9)
        _scale(network, share * wanted / present)
        _centre(network, lambda network=network: network(z), level * wanted)
    return model


def _scale(network, factor) -> None:
    """Multiplies the last layer's output, channel by channel."""
    layer = network.layers[-1]
    factor = np.broadcast_to(np.asarray(factor, np.float32), layer.bias.shape)
    # A transposed convolution's kernel is [k, k, out, in].
    transposed = layer.kernel.shape[2] == len(factor) != layer.kernel.shape[3]
    layer.kernel.assign(layer.kernel * (factor[:, None] if transposed else factor))
    layer.bias.assign(layer.bias * factor)


def _centre(network, output, level) -> None:
    """Moves the last layer's output to a mean, channel by channel."""
    mean = np.mean(output().numpy(), (0, 1, 2))
    network.layers[-1].bias.assign_add((level - mean).astype(np.float32))
