"""Classical codecs: what they write decodes, and the size asked for is kept."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tfhific.errors import ImageError
from tfhific.evaluation.classical import (
    SETTINGS,
    at_size,
    available,
    decode,
    encode_jpeg,
    encode_jpeg2000,
)
from tfhific.evaluation.metrics import psnr

ENCODERS = available()
every_encoder = pytest.mark.parametrize("kind", sorted(ENCODERS))


def photo(height=48, width=64):
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    waves = np.stack([np.sin(x / p) + np.cos(y / (p + 3)) for p in (5, 8, 11)], axis=-1)
    return np.clip(127 + 50 * waves + rng.normal(0, 4, waves.shape), 0, 255).astype(np.uint8)


def test_jpeg_is_always_there():
    assert "JPEG" in ENCODERS


@every_encoder
def test_better_settings_give_larger_files_and_closer_pictures(kind):
    files = [ENCODERS[kind](photo(), setting) for setting in (20, 35, 50)]
    sizes = [len(data) for data in files]
    ratios = [psnr(photo(), decode(data)) for data in files]
    assert sizes == sorted(set(sizes))
    assert ratios == sorted(set(ratios))


@every_encoder
@pytest.mark.parametrize("setting", [SETTINGS[0], SETTINGS[-1]])
def test_the_ends_of_the_scale_are_taken(kind, setting):
    assert decode(ENCODERS[kind](photo(), setting)).shape == photo().shape


@every_encoder
@pytest.mark.parametrize("size", [(1, 1), (1, 37), (17, 2)])
def test_small_and_odd_sizes_are_kept(kind, size):
    pixels = photo(*size)
    decoded = decode(ENCODERS[kind](pixels, 90))
    assert decoded.shape == pixels.shape
    assert np.abs(decoded.astype(int) - pixels).mean() < 40


def test_jpeg_has_the_subsampling_asked_for():
    def factors(data):
        layers = Image.open(io.BytesIO(data)).layer
        return [(layer[1], layer[2]) for layer in layers]

    assert factors(encode_jpeg(photo(), 50)) == [(2, 2), (1, 1), (1, 1)]
    assert factors(encode_jpeg(photo(), 50, "4:4:4")) == [(1, 1), (1, 1), (1, 1)]


def test_optimised_jpeg_is_smaller_and_the_same_picture():
    plain, optimised = (encode_jpeg(photo(), 50, optimize=o) for o in (False, True))
    assert len(optimised) < len(plain)
    np.testing.assert_array_equal(decode(plain), decode(optimised))


def test_noise_is_encoded_at_every_jpeg_quality():
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for quality in SETTINGS:
        assert decode(encode_jpeg(noise, quality, "4:4:4")).shape == noise.shape


@pytest.mark.skipif("JPEG2000" not in ENCODERS, reason="this Pillow writes no JPEG 2000")
def test_jpeg2000_reaches_about_the_decibels_asked_for():
    for quality in (30, 50):
        reached = psnr(photo(), decode(encode_jpeg2000(photo(), quality)))
        assert reached == pytest.approx(15 + 0.4 * quality, abs=2)


@every_encoder
def test_size_is_kept_and_the_next_settings_would_not_fit(kind):
    encode = ENCODERS[kind]
    max_bytes = len(encode(photo(), 40)) + 5
    found = at_size(encode, photo(), max_bytes)
    assert found.fits(max_bytes)
    assert found.setting >= 40
    assert found.data == encode(photo(), found.setting)
    for setting in range(found.setting + 1, found.setting + 5):
        assert len(encode(photo(), setting)) > max_bytes


def test_every_size_gives_the_best_setting_of_a_growing_encoder():
    def encode(pixels, setting):
        return bytes(10 * setting)

    for max_bytes in range(10, 1200, 7):
        data, setting = at_size(encode, photo(), max_bytes)
        assert setting == min(max_bytes // 10, 100)
        assert len(data) == 10 * setting


def test_smallest_file_comes_back_where_none_fits_and_says_so():
    found = at_size(encode_jpeg, photo(), 10)
    assert found.setting == 1
    assert not found.fits(10)
    assert found.data == encode_jpeg(photo(), 1)


def test_no_settings_are_refused():
    with pytest.raises(ValueError, match="at least one setting"):
        at_size(encode_jpeg, photo(), 10, settings=[])


@pytest.mark.parametrize("quality", [0, 101, -1])
def test_quality_off_the_scale_is_refused(quality):
    with pytest.raises(ImageError, match=f"received {quality}"):
        encode_jpeg(photo(), quality)


@pytest.mark.parametrize(
    "unfit", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)]
)
def test_unfit_arrays_are_refused(unfit):
    with pytest.raises(ImageError, match="expected a uint8 array"):
        encode_jpeg(unfit, 50)


def test_size_that_jpeg_cannot_hold_is_refused():
    with pytest.raises(ImageError, match="70000 x 1"):
        encode_jpeg(np.zeros((1, 70000, 3), np.uint8), 50)


@pytest.mark.parametrize("data", [b"", b"no picture", encode_jpeg(photo(), 50)[:300]])
def test_bytes_that_do_not_decode_are_refused(data):
    with pytest.raises(ImageError, match=f"cannot decode {len(data)} bytes"):
        decode(data)
