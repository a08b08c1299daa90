"""tensorflow-addons' normalisations and Keras's own give the same numbers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfhific.backend import keras
from tfhific.models.addons import (
    EPSILON,
    addons_available,
    instance_normalization,
    spectral_normalization,
)

needs_addons = pytest.mark.skipif(not addons_available(), reason="no tensorflow-addons here")
KINDS = [pytest.param(True, marks=needs_addons, id="addons"), pytest.param(False, id="built-in")]


@pytest.fixture
def pictures():
    return np.random.default_rng(3).normal(2.0, 3.0, [2, 9, 7, 5]).astype(np.float32)


@pytest.mark.parametrize("addons", KINDS)
def test_instance_normalization_is_what_its_paper_says(addons, pictures):
    layer = instance_normalization(addons)
    layer.build(pictures.shape)
    scale = np.linspace(0.5, 2.0, 5, dtype=np.float32)
    shift = np.linspace(-1.0, 1.0, 5, dtype=np.float32)
    layer.gamma.assign(scale)
    layer.beta.assign(shift)
    mean = pictures.mean((1, 2), keepdims=True)
    variance = pictures.var((1, 2), keepdims=True)
    expected = (pictures - mean) / np.sqrt(variance + EPSILON) * scale + shift
    np.testing.assert_allclose(layer(pictures), expected, atol=2e-5)


def _spectral(addons, pictures):
    convolution = keras.layers.Conv2D(6, 3, kernel_initializer=keras.initializers.GlorotNormal(5))
    layer = spectral_normalization(convolution, addons)
    layer.build(pictures.shape)
    vector = next(v for v in layer.variables if v.shape.rank == 2)
    vector.assign(np.linspace(-1.0, 1.0, 6, dtype=np.float32)[None])
    return layer, convolution


@pytest.mark.parametrize("addons", KINDS)
def test_spectral_normalization_brings_the_largest_singular_value_to_one(addons, pictures):
    layer, convolution = _spectral(addons, pictures)
    for _ in range(60):
        layer(pictures, training=True)
    matrix = convolution.kernel.numpy().reshape(-1, 6)
    assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1.0, abs=1e-3)


@needs_addons
def test_addons_and_built_ins_give_the_same_numbers(pictures):
    instance = [instance_normalization(kind)(pictures).numpy() for kind in (True, False)]
    np.testing.assert_allclose(instance[0], instance[1], atol=2e-6)
    outputs = []
    for kind in (True, False):
        layer, convolution = _spectral(kind, pictures)
        steps = [layer(pictures, training=True).numpy() for _ in range(3)]
        outputs.append([*steps, convolution.kernel.numpy()])
    for addons, built_in in zip(*outputs):
        np.testing.assert_allclose(addons, built_in, atol=2e-6)


def test_gradients_pass_through_both(pictures):
    block = keras.Sequential(
        [spectral_normalization(keras.layers.Conv2D(4, 3)), instance_normalization()]
    )
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(block(pictures, training=True) ** 3)
    for gradient in tape.gradient(loss, block.trainable_variables):
        assert np.all(np.isfinite(gradient.numpy()))
