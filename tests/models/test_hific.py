"""HiFiC's networks: sizes, shapes, what they compute, and what the model counts."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import tensorflow as tf

from tfhific import systems
from tfhific.backend import keras
from tfhific.errors import TfhificError
from tfhific.models import hific_networks as networks
from tfhific.models.hific import PRESETS, HiFiC, HiFiCConfig

TINY = PRESETS["hific-tiny"]


@pytest.fixture(scope="module", params=["official", "pytorch"])
def tiny(request):
    keras.utils.set_random_seed(3)
    return HiFiC(dataclasses.replace(TINY, variant=request.param))


def count(network) -> int:
    return sum(math.prod(variable.shape) for variable in network.trainable_variables)


@pytest.mark.parametrize("variant", networks.VARIANTS)
def test_full_size_networks_have_the_published_parameter_counts(variant):
    sizes = HiFiCConfig(variant=variant)
    for make, channels, expected in (
        (networks.encoder, 3, 7_423_420),
        (networks.hyper_analysis, 220, 5_754_560),
        (lambda s: networks.hyper_synthesis(s, "mean"), 320, 5_754_460),
    ):
        network = make(sizes)
        network.build((None, None, None, channels))
        assert count(network) == expected
    discriminator = networks.Discriminator(sizes)
    discriminator.build()
    assert count(discriminator) == (2_793_117 if variant == "pytorch" else 2_800_797)
    gates = 320 if variant == "pytorch" else 0
    assert count(networks.z_prior(sizes)) == 320 * (3 + 9 + 9 + 3 + 10 + 9) + gates


@pytest.mark.parametrize("variant", networks.VARIANTS)
def test_full_size_generator_has_the_published_parameter_count(variant):
    # One block built, nine counted: the other eight are the same again.
    one = networks.generator(HiFiCConfig(variant=variant, residual_blocks=1))
    one.build((None, None, None, 220))
    block = 2 * (9 * 960 * 960 + 960) + 4 * 960
    assert count(one) + 8 * block == 156_774_683


def test_named_configurations_have_the_published_targets():
    for level, target in (("lo", 0.14), ("mi", 0.30), ("hi", 0.45)):
        second, first = PRESETS[f"hific-{level}"], PRESETS[f"hific-mse-lpips-{level}"]
        assert second.target_bpp == first.target_bpp == target
        assert (second.adversary, first.adversary) == ("patch", "none")
        assert systems.configuration("hific", preset=f"hific-{level}") == second
    changed = systems.configuration("hific", {"residual_blocks": 3}, "hific-tiny")
    assert changed == dataclasses.replace(TINY, residual_blocks=3)


@pytest.mark.parametrize(
    ("settings", "preset"),
    [
        ({"variant": "caffe"}, None),
        ({"likelihood": "laplace"}, None),
        ({"adversary": "everyone"}, None),
        ({"channels": [8, 8]}, None),
        ({"residual_blocks": 0}, "hific-tiny"),
        ({}, "hific-huge"),
        ({"width": 5}, None),
    ],
)
def test_configurations_that_can_not_be_are_refused(settings, preset):
    with pytest.raises(TfhificError):
        systems.configuration("hific", settings, preset)


def test_configuration_survives_json():
    import json

    stored = json.loads(json.dumps(dataclasses.asdict(TINY)))
    assert systems.configuration("hific", stored) == TINY


def test_networks_map_shapes_as_they_should(tiny):
    config = tiny.config
    image = tf.zeros([2, 128, 192, 3])
    y = tiny.encoder(image)
    assert y.shape == (2, 8, 12, config.latent_channels)
    assert tiny.generator(y).shape == image.shape
    z = tiny.hyper_analysis(y)
    assert z.shape == (2, 2, 3, config.hyper_channels)
    assert tiny.hyper_synthesis_mean(z).shape == y.shape
    assert tiny.hyper_synthesis_scale(z).shape == y.shape
    assert tiny.z_prior(z).shape == z.shape
    side = 8 if config.is_pytorch else 16
    assert tiny.discriminator(image, y).shape == (2, side, side * 3 // 2, 1)


def test_only_a_model_with_an_adversary_has_a_discriminator():
    assert HiFiC(dataclasses.replace(TINY, adversary="none")).discriminator is None


def test_the_discriminator_sees_each_image_with_its_own_latents(tiny):
    rng = np.random.default_rng(0)
    images = tf.constant(rng.uniform(0, 1, [3, 64, 64, 3]), tf.float32)
    latents = tf.constant(rng.normal(size=[3, 4, 4, tiny.config.latent_channels]), tf.float32)
    together = tiny.discriminator(images, latents).numpy()
    for i in range(3):
        alone = tiny.discriminator(images[i : i + 1], latents[i : i + 1]).numpy()
        np.testing.assert_allclose(together[i : i + 1], alone, rtol=1e-4, atol=1e-5)
    assert np.abs(tiny.discriminator(images, latents[::-1]).numpy() - together).max() > 1e-3


def test_no_gradient_reaches_the_latents_through_the_discriminator(tiny):
    images = tf.random.stateless_uniform([1, 64, 64, 3], [1, 2])
    latents = tf.random.stateless_normal([1, 4, 4, tiny.config.latent_channels], [3, 4])
    with tf.GradientTape() as tape:
        tape.watch([images, latents])
        logits = tf.reduce_sum(tiny.discriminator(images, latents))
    to_images, to_latents = tape.gradient(logits, [images, latents])
    assert to_latents is None
    assert np.abs(to_images).max() > 0


def test_sizes_that_are_no_multiple_of_the_stride_are_seen_too(tiny):
    latents = tf.zeros([1, 5, 4, tiny.config.latent_channels])
    assert tiny.discriminator(tf.zeros([1, 72, 50, 3]), latents).shape[0] == 1


@pytest.mark.parametrize("normalize", [False, True])
def test_range_of_the_networks_is_undone(normalize):
    model = HiFiC(dataclasses.replace(TINY, normalize_input=normalize))
    pixels = tf.constant([[[[0.0, 127.5, 255.0]]]])
    low = -1.0 if normalize else 0.0
    np.testing.assert_allclose(model.to_range(pixels)[0, 0, 0], [low, (low + 1) / 2, 1], atol=1e-6)
    np.testing.assert_allclose(model.from_range(model.to_range(pixels)), pixels, atol=1e-4)
    bounded = model.generator(100 * tf.random.stateless_normal([1, 4, 4, 12], [1, 1])).numpy()
    assert (np.abs(bounded).max() <= 1) == normalize or not normalize


@pytest.mark.parametrize("kind", ["gaussian", "logistic"])
def test_bits_are_what_the_densities_say(tiny, kind):
    model = HiFiC(dataclasses.replace(tiny.config, likelihood=kind))
    y = 3.0 * tf.random.stateless_normal([2, 8, 4, 12], [5, 6])
    coded = model.code(y)
    z = np.rint(model.hyper_analysis(y).numpy())
    mean = model.hyper_synthesis_mean(z).numpy().astype(np.float64)
    raw = model.hyper_synthesis_scale(z).numpy().astype(np.float64)
    scale = np.maximum(raw, 0.11)
    symbols = coded.y_hat.numpy() - mean
    np.testing.assert_allclose(symbols, np.rint(symbols), atol=1e-4)

    def cdf(x):
        if kind == "logistic":
            return 1 / (1 + np.exp(-x))
        return np.vectorize(lambda v: 0.5 * math.erfc(-v / math.sqrt(2)))(x)

    distance = np.abs(np.rint(symbols))
    mass = cdf((0.5 - distance) / scale) - cdf((-0.5 - distance) / scale)
    expected = -np.log2(np.maximum(mass, 1e-9)).sum((1, 2, 3))
    np.testing.assert_allclose(coded.bits_y, expected, rtol=1e-3)
    np.testing.assert_allclose(coded.quantised_bits_y, expected, rtol=1e-3)
    expected = -np.log2(model.z_prior(z).numpy()).sum((1, 2, 3))
    np.testing.assert_allclose(coded.bits_z, expected, rtol=1e-5)


def test_training_sees_noise_in_the_rate_and_rounding_in_the_picture(tiny):
    y = 3.0 * tf.random.stateless_normal([2, 8, 4, 12], [5, 6])
    noisy, again, still = tiny.code(y, True), tiny.code(y, True), tiny.code(y)
    assert not np.allclose(noisy.bits_y, again.bits_y)
    np.testing.assert_allclose(noisy.bits_y, still.bits_y, rtol=0.5)
    assert not np.allclose(noisy.bits_y, noisy.quantised_bits_y, rtol=1e-6)
    np.testing.assert_allclose(noisy.quantised_bits_z, still.bits_z, rtol=1e-6)


def test_gradients_reach_every_weight_of_the_compressor(tiny):
    images = tf.random.stateless_uniform([2, 64, 64, 3], [1, 2], 0.0, 255.0)
    ours = [
        v
        for name in ("encoder", "generator", "hyper_analysis", "hyper_synthesis_mean", "z_prior")
        for v in getattr(tiny, name).trainable_variables
    ]
    with tf.GradientTape() as tape:
        decoded, bits_y, bits_z = tiny(images, training=True)
        loss = tf.reduce_mean(decoded) + tf.reduce_sum(bits_y + bits_z)
    for variable, gradient in zip(ours, tape.gradient(loss, ours)):
        assert gradient is not None, variable.name
        assert np.all(np.isfinite(gradient)), variable.name


def test_scales_have_their_bound_and_gradients_lead_back_to_it():
    model = HiFiC(TINY)
    z = tf.zeros([1, 2, 2, TINY.hyper_channels])
    with tf.GradientTape(persistent=True) as tape:
        scales = model.scales(z)
        up, down = -tf.reduce_sum(scales), tf.reduce_sum(scales)
    # Untrained, the network gives zero here: below its bound.
    np.testing.assert_allclose(scales, TINY.scale_min, rtol=1e-6)
    bias = model.hyper_synthesis_scale.layers[-1].bias
    assert np.all(tape.gradient(up, bias).numpy() < 0)
    assert np.all(tape.gradient(down, bias).numpy() == 0)
