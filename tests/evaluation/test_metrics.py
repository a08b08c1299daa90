"""The measures equal their definitions, and TensorFlow's where it has them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfhific.evaluation.metrics import ms_ssim, psnr, psnr_y


def pair(height, width, noise=12.0, seed=0):
    """A picture with structure at all scales, and the same with noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    clean = np.stack([np.sin(x / p) + np.cos(y / (p + 3)) for p in (4, 15, 60)], axis=-1)
    clean = 127 + 50 * clean + rng.normal(0, 8, clean.shape)
    noisy = clean + rng.normal(0, noise, clean.shape)
    return [np.clip(image, 0, 255).astype(np.uint8) for image in (clean, noisy)]


def test_psnr_is_its_definition():
    a, b = pair(20, 30)
    error = ((a.astype(float) - b) ** 2).mean()
    assert psnr(a, b) == pytest.approx(20 * math.log10(255) - 10 * math.log10(error))


def test_psnr_of_opposites_is_zero_and_of_equals_is_infinite():
    black, white = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), 255, np.uint8)
    assert psnr(black, white) == 0
    assert psnr(white, white) == math.inf
    assert psnr_y(white, white) == math.inf


def test_psnr_of_a_difference_of_one_is_that_of_8_bits():
    a = np.full((4, 4, 3), 7, np.uint8)
    assert psnr(a, a + np.uint8(1)) == pytest.approx(48.1308, abs=1e-4)
    assert psnr_y(a, a + np.uint8(1)) == pytest.approx(48.1308, abs=1e-4)


def test_luma_psnr_weighs_the_channels():
    a = np.zeros((4, 4, 3), np.uint8)
    for channel, weight in enumerate((0.299, 0.587, 0.114)):
        b = a.copy()
        b[..., channel] = 100
        assert psnr_y(a, b) == pytest.approx(20 * math.log10(255 / (100 * weight)))


@pytest.mark.parametrize("size", [(161, 161), (176, 231), (203, 320)])
@pytest.mark.parametrize("noise", [2.0, 30.0, 120.0])
def test_ms_ssim_equals_tensorflows(size, noise):
    tf = pytest.importorskip("tensorflow")
    a, b = pair(*size, noise=noise)
    expected = float(tf.image.ssim_multiscale(tf.constant(a), tf.constant(b), 255))
    assert ms_ssim(a, b) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(("side", "scales"), [(11, 1), (21, 2), (41, 3), (81, 4), (160, 4)])
def test_small_pictures_use_the_scales_that_fit_with_weights_scaled_to_one(side, scales):
    tf = pytest.importorskip("tensorflow")
    a, b = pair(side, 170)
    weights = np.array([0.0448, 0.2856, 0.3001, 0.2363])[:scales]
    weights /= weights.sum()
    expected = float(tf.image.ssim_multiscale(tf.constant(a), tf.constant(b), 255, weights))
    assert ms_ssim(a, b) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (2, 2), (10, 11), (160, 161), (200, 3)])
def test_ms_ssim_of_equals_is_one_at_every_size(size):
    a, _ = pair(*size)
    assert ms_ssim(a, a) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("size", [(1, 1), (5, 300), (64, 64), (170, 170)])
def test_ms_ssim_falls_as_noise_grows_and_is_symmetric(size):
    noises = (2.0, 20.0, 200.0)
    values = []
    for noise in noises:
        a, b = pair(*size, noise=noise, seed=5)
        values.append(ms_ssim(a, b))
        assert ms_ssim(b, a) == pytest.approx(values[-1], abs=1e-12)
    assert values[0] <= 1
    assert sorted(values, reverse=True) == values
    assert values[-1] < values[0]


def test_ms_ssim_of_one_pixel_is_the_luminance_term():
    a, b = np.full((1, 1, 3), 100, np.uint8), np.full((1, 1, 3), 50, np.uint8)
    c1 = (0.01 * 255) ** 2
    assert ms_ssim(a, b) == pytest.approx((2 * 100 * 50 + c1) / (100**2 + 50**2 + c1))


def test_ms_ssim_of_a_negative_is_not_below_zero():
    a, _ = pair(200, 200)
    assert 0 <= ms_ssim(a, 255 - a) < 0.3


def test_grey_pictures_count_as_one_channel():
    a, b = pair(170, 180)
    each = [ms_ssim(a[..., c], b[..., c]) for c in range(3)]
    assert ms_ssim(a, b) == pytest.approx(np.mean(each))


@pytest.mark.parametrize("measure", [psnr, psnr_y, ms_ssim])
def test_what_cannot_be_compared_is_refused(measure):
    a = np.zeros((4, 5, 3), np.uint8)
    with pytest.raises(ValueError, match=r"\[4, 5, 3\] and \[5, 4, 3\]"):
        measure(a, a.transpose(1, 0, 2))
    with pytest.raises(ValueError, match="float32"):
        measure(a, a.astype(np.float32))
    with pytest.raises(ValueError, match="at least one"):
        measure(a[:0], a[:0])


def cases():
    rng = np.random.default_rng(11)
    noise = rng.integers(0, 256, (2, 60, 75, 3), dtype=np.uint8)
    flat = np.full((40, 33, 3), 90, np.uint8)
    return {
        "natural": pair(90, 120),
        "random": list(noise),
        "equal": [noise[0], noise[0]],
        "constant": [flat, flat + np.uint8(30)],
        "black and white": [np.zeros_like(flat), np.full_like(flat, 255)],
    }


@pytest.mark.parametrize("name", sorted(cases()))
def test_psnr_equals_scikit_images(name):
    skimage = pytest.importorskip("skimage.metrics")
    a, b = cases()[name]
    with np.errstate(divide="ignore"):
        expected = skimage.peak_signal_noise_ratio(a, b, data_range=255)
    assert psnr(a, b) == pytest.approx(expected)


@pytest.mark.parametrize("name", sorted(cases()))
def test_ssim_of_one_scale_equals_scikit_images(name):
    skimage = pytest.importorskip("skimage.metrics")
    # So low that there is room for one scale, which is SSIM.
    a, b = (image[:20] for image in cases()[name])
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    each = [
        skimage.structural_similarity(a[..., c], b[..., c], data_range=255, **options)
        for c in range(3)
    ]
    assert ms_ssim(a, b) == pytest.approx(np.mean(np.maximum(each, 0)), abs=1e-6)
    if name == "equal":
        assert ms_ssim(a, b) == pytest.approx(1)


def test_one_pixel_pictures_are_compared():
    a, b = np.full((1, 1, 3), 10, np.uint8), np.full((1, 1, 3), 30, np.uint8)
    assert psnr(a, b) == pytest.approx(20 * math.log10(255 / 20))
    assert psnr(a, a) == math.inf
    assert ms_ssim(a, a) == pytest.approx(1)
