"""The layers that HiFiC is made of, against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfhific.models.convolutions import CroppedConv2DTranspose, PaddedConv2D
from tfhific.models.factorized_prior import FactorizedPrior
from tfhific.models.normalisation import ChannelNorm
from tfhific.models.spectral import SpectralConv2D
from tfhific.published import functional


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1), (1, 0, 0, 1), (3, 3, 3, 3)])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
@pytest.mark.parametrize("known", [True, False])
def test_padding_is_that_of_numpy(pads, padding, known):
    x = np.random.default_rng(0).normal(size=[2, 5, 4, 3])
    amounts = [(0, 0), pads[:2], pads[2:], (0, 0)]
    expected = np.pad(x, amounts, "reflect" if padding == "reflect" else "constant")
    shape = x.shape if known else [None, None, None, 3]
    padded = tf.function(lambda v: functional.pad(v, pads, padding)).get_concrete_function(
        tf.TensorSpec(shape, tf.float64)
    )
    np.testing.assert_array_equal(padded(tf.constant(x)), expected)
    np.testing.assert_array_equal(functional.pad(tf.constant(x), pads, padding), expected)


@pytest.mark.parametrize("size", [(1, 1), (2, 5), (5, 2), (3, 1)])
@pytest.mark.parametrize("known", [True, False])
def test_axes_too_short_to_reflect_repeat_their_edge(size, known):
    x = np.random.default_rng(0).normal(size=[1, *size, 2])
    pads = (2, 1, 2, 2)
    expected = x
    for axis in (1, 2):
        amounts = [(0, 0)] * 4
        amounts[axis] = pads[2 * axis - 2 : 2 * axis]
        mode = "reflect" if x.shape[axis] > 2 else "edge"
        expected = np.pad(expected, amounts, mode)
    shape = x.shape if known else [None, None, None, 2]
    padded = tf.function(lambda v: functional.pad(v, pads, "reflect")).get_concrete_function(
        tf.TensorSpec(shape, tf.float64)
    )
    np.testing.assert_array_equal(padded(tf.constant(x)), expected)


@pytest.mark.parametrize("pads", [(1, 0, 0, 1), (0, 1, 0, 1), (3, 3, 3, 3), (1, 2, 1, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["zeros", "reflect"])
def test_padded_convolution_is_a_correlation_of_what_is_padded(pads, stride, padding):
    kernel_size = 1 + pads[0] + pads[1] + (stride - 1)
    layer = PaddedConv2D(4, kernel_size, stride, pads, padding)
    x = np.random.default_rng(1).normal(size=[2, 8, 12, 3]).astype(np.float32)
    found = layer(x).numpy()
    mode = "reflect" if padding == "reflect" else "constant"
    padded = np.pad(x, [(0, 0), pads[:2], pads[2:], (0, 0)], mode)
    kernel = layer.kernel.numpy()
    expected = np.zeros_like(found) + layer.bias.numpy()
    for i in range(found.shape[1]):
        for j in range(found.shape[2]):
            top, left = i * stride, j * stride
            taps = padded[:, top : top + kernel_size, left : left + kernel_size]
            expected[:, i, j] = np.tensordot(taps, kernel, 3)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert tuple(layer.compute_output_shape(x.shape)) == found.shape


@pytest.mark.parametrize(("k", "stride", "crop"), [(3, 2, 0), (3, 2, 1), (5, 2, 2), (3, 1, 1)])
def test_transposed_convolution_is_the_whole_one_cut(k, stride, crop):
    layer = CroppedConv2DTranspose(4, k, stride, crop)
    x = np.random.default_rng(1).normal(size=[2, 3, 5, 6]).astype(np.float32)
    found = layer(x).numpy()
    kernel = layer.kernel.numpy()
    whole = np.zeros([2, stride * 2 + k, stride * 4 + k, 4])
    for i in range(3):
        for j in range(5):
            spread = np.einsum("bi,hwoi->bhwo", x[:, i, j], kernel)
            whole[:, stride * i : stride * i + k, stride * j : stride * j + k] += spread
    expected = whole[:, crop : crop + 3 * stride, crop : crop + 5 * stride]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    assert tuple(layer.compute_output_shape(x.shape)) == found.shape


def test_kernels_that_leave_gaps_are_refused():
    for arguments in ((3, 4), (3, 2, 2), (5, 2, 4)):
        with pytest.raises(ValueError, match="reaches over"):
            CroppedConv2DTranspose(4, *arguments)
    with pytest.raises(ValueError, match="padding"):
        PaddedConv2D(4, 3, padding="wrap")


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
def test_channel_norm_normalises_each_pixel_by_its_unbiased_variance(dtype):
    rng = np.random.default_rng(2)
    x = tf.cast(5 + 3 * rng.normal(size=[2, 3, 4, 7]), dtype)
    gamma, beta = rng.normal(size=[7]), rng.normal(size=[7])
    found = functional.channel_norm(x, gamma, beta, 1e-3)
    assert found.dtype == x.dtype
    value = tf.cast(x, tf.float64).numpy()
    mean, variance = value.mean(-1, keepdims=True), value.var(-1, ddof=1, keepdims=True)
    expected = gamma * (value - mean) / np.sqrt(variance + 1e-3) + beta
    tolerance = {"float32": 1e-5, "float64": 1e-12, "bfloat16": 3e-2}[dtype]
    np.testing.assert_allclose(tf.cast(found, tf.float64), expected, atol=tolerance)


def test_channel_norm_needs_two_channels():
    with pytest.raises(ValueError, match="two channels"):
        ChannelNorm()(np.zeros([1, 2, 2, 1], np.float32))


def test_power_iteration_finds_the_largest_singular_value():
    layer = SpectralConv2D(6, 4, 2, (1, 1, 1, 1), "reflect")
    x = np.random.default_rng(3).normal(size=[1, 8, 8, 5]).astype(np.float32)
    for _ in range(200):
        layer(x, training=True)
    matrix = layer.normalised_kernel().numpy().reshape(-1, 6)
    assert np.linalg.svd(matrix, compute_uv=False)[0] == pytest.approx(1, rel=1e-3)
    assert np.linalg.norm(layer.u) == pytest.approx(1, rel=1e-5)
    assert np.linalg.norm(layer.v) == pytest.approx(1, rel=1e-5)


def test_one_step_of_power_iteration_in_training_and_none_otherwise():
    layer = SpectralConv2D(6, 4)
    x = np.zeros([1, 8, 8, 5], np.float32)
    layer(x)
    u, kernel = layer.u.numpy(), layer.kernel.numpy().reshape(-1, 6)
    layer(x, training=False)
    np.testing.assert_array_equal(layer.u, u)
    v = kernel @ u
    v /= np.linalg.norm(v)
    expected = kernel.T @ v
    layer(x, training=True)
    np.testing.assert_allclose(layer.v, v, atol=1e-5)
    np.testing.assert_allclose(layer.u, expected / np.linalg.norm(expected), atol=1e-5)


def test_gradient_goes_through_the_norm():
    layer = SpectralConv2D(6, 3)
    layer(np.zeros([1, 4, 4, 5], np.float32))
    weights = np.random.default_rng(4).normal(size=layer.kernel.shape).astype(np.float32)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer.normalised_kernel() * weights)
    found = tape.gradient(loss, layer.kernel).numpy().reshape(-1, 6).astype(np.float64)
    kernel = layer.kernel.numpy().reshape(-1, 6).astype(np.float64)
    u, v = layer.u.numpy().astype(np.float64), layer.v.numpy().astype(np.float64)
    sigma = v @ kernel @ u
    direct = weights.reshape(-1, 6)
    expected = direct / sigma - (direct * kernel).sum() / sigma**2 * np.outer(v, u)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    # Scaling the kernel changes nothing, so no gradient leads that way.
    assert abs((found * kernel).sum()) < 1e-3 * np.abs(found * kernel).sum()


@pytest.mark.parametrize("gate_last", [False, True])
def test_prior_is_a_density_whose_mass_sums_to_one(gate_last):
    prior = FactorizedPrior(4, gate_last=gate_last)
    rng = np.random.default_rng(5)
    for variable in prior.trainable_variables:
        variable.assign_add(rng.normal(0, 0.3, variable.shape))
    values = np.arange(-400, 401, dtype=np.float32)
    mass = prior(np.tile(values[None, None, :, None], [1, 1, 1, 4])).numpy()[0, 0]
    np.testing.assert_allclose(mass.sum(0), 1, atol=1e-3)
    assert len(prior.factors) == (4 if gate_last else 3)


def test_prior_keeps_its_digits_in_both_tails():
    prior = FactorizedPrior(2)
    mass = prior(np.array([-120.0, 120.0], np.float32)[None, :, None, None] * [1.0, 1.0]).numpy()
    middle = prior(np.zeros([1, 1, 1, 2], np.float32)).numpy()
    assert np.all(mass > 1e-9)
    assert np.all(mass < middle)


@pytest.mark.parametrize(
    ("k", "stride", "crop"), [(3, 2, 0), (3, 2, 1), (5, 2, 2), (5, 2, 0), (5, 3, 1), (9, 4, 4)]
)
def test_transposed_convolution_by_phases_is_the_same(k, stride, crop):
    rng = np.random.default_rng([k, stride, crop])
    x, kernel = rng.normal(size=[2, 4, 3, 5]), rng.normal(size=[k, k, 6, 5])
    expected = functional.deconv(tf.constant(x), tf.constant(kernel), stride, (crop, crop))
    found = functional._deconv_by_phases(tf.constant(x), tf.constant(kernel), stride, (crop, crop))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    short = functional.deconv(
        tf.cast(x, tf.bfloat16), tf.cast(kernel, tf.bfloat16), stride, (crop, crop)
    )
    assert short.dtype == tf.bfloat16
    np.testing.assert_allclose(tf.cast(short, tf.float64), expected, atol=0.3)
