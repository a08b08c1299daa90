"""Folding keeps what a trained network computes, and refuses what it can't keep."""

from __future__ import annotations

import numpy as np
import pytest

from tfhific.backend import keras, tfc
from tfhific.errors import ModelError
from tfhific.models.addons import instance_normalization
from tfhific.models.convolutions import CroppedConv2DTranspose, PaddedConv2D
from tfhific.models.layers import Parallel, Residual, Scale
from tfhific.models.normalisation import ChannelNorm
from tfhific.models.spectral import SpectralConv2D
from tfhific.publishing.fold import fold, unfold

INPUTS = {
    "analysis": [2, 64, 48, 3],
    "synthesis": [2, 3, 4, 48],
    "hyper_analysis": [2, 8, 4, 48],
    "hyper_synthesis_mean": [2, 2, 3, 16],
    "hyper_synthesis_scale": [2, 2, 3, 16],
}


@pytest.mark.parametrize("name", INPUTS)
def test_folded_transform_computes_what_keras_computes(name, tiny_model):
    layer = getattr(tiny_model, name)
    x = np.random.default_rng(3).normal(size=INPUTS[name]).astype(np.float32)
    expected, found = layer(x).numpy(), fold(layer, name)(x).numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("k", "stride"), [(3, 1), (3, 2), (5, 1), (5, 2), (5, 3), (7, 4)])
@pytest.mark.parametrize("parameter", ["variable", "rdft"])
@pytest.mark.parametrize("size", [(12, 6), (1, 1)])
def test_deconv_is_the_upsampling_signal_convolution(k, stride, parameter, size):
    keras.utils.set_random_seed(k * stride)
    layer = tfc.SignalConv2D(
        4,
        (k, k),
        corr=False,
        strides_up=stride,
        padding="same_zeros",
        use_bias=True,
        bias_initializer="ones",
        kernel_parameter=parameter,
    )
    x = np.random.default_rng(4).normal(size=[2, *size, 3]).astype(np.float32)
    expected = layer(x).numpy()
    network = fold(layer, "up")
    assert [entry["op"] for entry in network.layers] == ["deconv"]
    np.testing.assert_allclose(network(x).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("parameter", ["variable", "rdft"])
def test_conv_is_the_downsampling_signal_convolution(k, stride, parameter):
    keras.utils.set_random_seed(k * stride)
    layer = tfc.SignalConv2D(
        4,
        (k, k),
        corr=True,
        strides_down=stride,
        padding="same_zeros",
        kernel_parameter=parameter,
        activation="relu",
    )
    x = np.random.default_rng(4).normal(size=[2, 6, 4, 3]).astype(np.float32)
    expected = layer(x).numpy()
    network = fold(layer, "down")
    assert [entry["op"] for entry in network.layers] == ["conv", "relu"]
    np.testing.assert_allclose(network(x).numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn_is_the_generalised_divisive_normalisation(inverse):
    layer = tfc.GDN(inverse=inverse)
    rng = np.random.default_rng(5)
    x = rng.normal(size=[1, 3, 3, 4]).astype(np.float32)
    layer(x)
    for variable in layer.trainable_variables:
        variable.assign_add(rng.uniform(0, 0.3, variable.shape))
    np.testing.assert_allclose(fold(layer, "g")(x).numpy(), layer(x).numpy(), rtol=1e-5, atol=1e-6)


def conv(**changes):
    options = {"corr": True, "padding": "same_zeros", **changes}
    return tfc.SignalConv2D(3, options.pop("kernel", (3, 3)), **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: keras.layers.LayerNormalization(),
        lambda: Residual(keras.layers.LayerNormalization()),
        lambda: Parallel([Scale(1.0), keras.layers.LayerNormalization()]),
        lambda: conv(padding="valid"),
        lambda: conv(padding="same_reflect"),
        lambda: conv(kernel=(4, 4)),
        lambda: conv(kernel=(3, 5)),
        lambda: conv(strides_down=(1, 2)),
        lambda: conv(strides_up=2),
        lambda: conv(corr=False, strides_down=2),
        lambda: conv(corr=False, strides_up=3),
        lambda: conv(activation="softplus"),
        lambda: keras.layers.Activation("gelu"),
        lambda: keras.layers.ReLU(6.0),
        lambda: keras.layers.ReLU(negative_slope=0.1),
        lambda: SpectralConv2D(3, 3),
        lambda: keras.layers.Conv2D(3, 3, dilation_rate=2, padding="same"),
        lambda: keras.layers.Conv2D(3, 3, strides=(1, 2), padding="same"),
        lambda: keras.layers.Conv2DTranspose(3, 3, padding="valid"),
        lambda: keras.layers.DepthwiseConv2D(3, padding="valid"),
        lambda: keras.layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
        lambda: keras.layers.BatchNormalization(scale=False),
        lambda: keras.layers.GroupNormalization(groups=1),
        lambda: tfc.GDN(rectify=True),
        lambda: tfc.GDN(alpha_parameter=2),
        lambda: tfc.GDN(epsilon_parameter=0.5),
    ],
)
def test_what_has_no_folded_form_is_refused(make):
    layer = make()
    layer(np.ones([1, 8, 8, 3], np.float32))
    with pytest.raises(ModelError):
        fold(layer, "layer")


LAYERS = {
    "conv": lambda: keras.layers.Conv2D(4, 3, 2, padding="same", activation="tanh"),
    "conv_without_bias": lambda: keras.layers.Conv2D(4, 3, use_bias=False),
    "transposed": lambda: keras.layers.Conv2DTranspose(4, 4, 2, "same", activation="sigmoid"),
    "depthwise": lambda: keras.layers.DepthwiseConv2D(5, padding="same", activation="relu"),
    "dense": lambda: keras.layers.Dense(5, activation="tanh"),
    "batch_norm": lambda: keras.layers.BatchNormalization(),
    "instance_norm": instance_normalization,
    "channel_norm": lambda: ChannelNorm(),
    "padded": lambda: PaddedConv2D(4, 4, 2, pads=(1, 1, 2, 0), padding="reflect"),
    "cropped": lambda: CroppedConv2DTranspose(4, 5, 2, crop=1),
    "gdn": lambda: tfc.GDN(),
    "signal": lambda: conv(use_bias=True, kernel_parameter="variable"),
    "composed": lambda: Parallel([Scale(2.0), Residual(keras.Sequential([Scale(0.5), conv()]))]),
}


def changed(layer, seed: int, x):
    """The layer, built on `x`, each of its variables moved to something of no symmetry."""
    layer(x)
    rng = np.random.default_rng(seed)
    for variable in layer.variables:
        variable.assign_add(rng.uniform(0.05, 0.3, variable.shape).astype(np.float32))
    return layer


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_folds_to_what_it_computes(name):
    x = np.random.default_rng(6).normal(size=[2, 8, 6, 3]).astype(np.float32)
    layer = changed(LAYERS[name](), 0, x)
    expected = layer(x).numpy()
    np.testing.assert_allclose(fold(layer, "n")(x).numpy(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", sorted(set(LAYERS) - {"composed"}))
def test_a_layer_unfolds_to_what_was_folded(name):
    x = np.random.default_rng(6).normal(size=[2, 8, 6, 3]).astype(np.float32)
    layer, other = (changed(LAYERS[name](), seed, x) for seed in (0, 1))
    assert not np.allclose(other(x).numpy(), layer(x).numpy(), atol=1e-3)
    unfold(other, "n", fold(layer, "n").weights)
    np.testing.assert_allclose(other(x).numpy(), layer(x).numpy(), rtol=1e-4, atol=1e-5)


def test_unfolding_names_what_is_missing_or_does_not_fit():
    x = np.ones([1, 8, 8, 3], np.float32)
    layer = changed(PaddedConv2D(4, 3), 0, x)
    weights = fold(layer, "n").weights
    with pytest.raises(ModelError, match="'n/bias' is missing"):
        unfold(layer, "n", {"n/kernel": weights["n/kernel"]})
    with pytest.raises(ModelError, match="'n/bias'"):
        unfold(layer, "n", {**weights, "n/bias": np.zeros([5], np.float32)})
