"""Colours that a file states without a profile are shown as meant, or refused by name."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, features

from tests.codec.test_images import chunk, encoded_srgb, photo, png, saved, srgb_profile
from tfhific.errors import ImageError
from tfhific.pictures.images import encode_png, read_picture

# From light in the given primaries (D65) to light in sRGB's: SMPTE EG 432-1 and BT.2087.
P3_TO_SRGB = np.array([[1.2249, -0.2247, 0.0], [-0.0420, 1.0419, 0.0], [-0.0197, -0.0786, 1.0979]])
BT2020_TO_SRGB = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]
)
# Inside sRGB, so that nothing is clipped.
COLOURS = np.array([[[128, 120, 110], [200, 190, 180], [90, 100, 95], [255, 255, 255]]], np.uint8)
needs_avif = pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")


def with_chunks(*chunks, pixels=COLOURS):
    height, width = pixels.shape[:2]
    return png(width, height, 8, 2, [row.tobytes() for row in pixels], *chunks)


def cicp(*points):
    return chunk(b"cICP", bytes(points))


def gama(gamma):
    return chunk(b"gAMA", struct.pack(">I", round(gamma * 100_000)))


def chrm(*values):
    return chunk(b"cHRM", struct.pack(">8I", *(round(v * 100_000) for v in values)))


P3_CHRM = chrm(0.3127, 0.3290, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060)
SRGB_CHRM = chrm(0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)


def in_srgb(picture):
    """What colour management makes of a picture: float [H, W, 3]."""
    shown = ImageCms.profileToProfile(
        Image.fromarray(picture.pixels),
        ImageCms.ImageCmsProfile(io.BytesIO(picture.icc)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    return np.asarray(shown).astype(float)


def light(values):
    """IEC 61966-2-1, 0..255 to 0..1."""
    values = values / 255
    return np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize(
    ("extra", "curve", "matrix"),
    [
        (cicp(12, 13, 0, 1), light, P3_TO_SRGB),
        (cicp(12, 1, 0, 1), light, P3_TO_SRGB),
        (cicp(9, 14, 0, 1), light, BT2020_TO_SRGB),
        (cicp(1, 8, 0, 1), lambda v: v / 255, np.eye(3)),
        (cicp(1, 5, 0, 1), lambda v: (v / 255) ** 2.8, np.eye(3)),
        (gama(1.0), lambda v: v / 255, np.eye(3)),
        (gama(1 / 1.8) + SRGB_CHRM, lambda v: (v / 255) ** 1.8, np.eye(3)),
        (gama(1 / 2.2) + P3_CHRM, light, P3_TO_SRGB),
        (gama(0.45455) + chrm(*[0.3127, 0.329, 0.708, 0.292, 0.17, 0.797, 0.131, 0.046]), light,
         BT2020_TO_SRGB),
    ],
)  # fmt: skip
def test_a_png_that_states_its_colours_is_shown_as_they_mean(extra, curve, matrix):
    picture = read_picture(with_chunks(extra))
    np.testing.assert_array_equal(picture.pixels, COLOURS)
    expected = encoded_srgb(np.clip(curve(COLOURS) @ matrix.T, 0, 1))
    assert np.abs(in_srgb(picture) - expected).max() <= 1.6


@pytest.mark.parametrize(
    "extra",
    [
        cicp(1, 13, 0, 1),
        cicp(1, 1, 0, 1),
        cicp(2, 2, 0, 1),
        gama(1 / 2.2),
        gama(0.45455) + SRGB_CHRM,
        P3_CHRM,
        gama(0) + P3_CHRM,
        gama(1.0) + chunk(b"sRGB", b"\0"),
        gama(1.0) + chrm(*[0.0] * 8),
        gama(1.0) + chrm(*[0.3127, 0.3290] * 4),
        cicp(12, 13, 1, 1),
        cicp(77, 13, 0, 1),
    ],
)
def test_what_is_srgb_or_senseless_gets_no_profile(extra):
    assert read_picture(with_chunks(extra)).icc is None


def test_the_first_of_the_statements_that_count_counts():
    profile = srgb_profile()
    own = chunk(b"iCCP", b"n\0\0" + zlib.compress(profile))
    assert read_picture(with_chunks(own + gama(1.0))).icc == profile
    stated = read_picture(with_chunks(cicp(12, 13, 0, 1))).icc
    assert read_picture(with_chunks(cicp(12, 13, 0, 1) + own)).icc == stated
    assert read_picture(with_chunks(cicp(99, 13, 0, 1) + own)).icc == profile


def test_a_made_profile_survives_writing_and_reading():
    picture = read_picture(with_chunks(cicp(12, 13, 0, 1)))
    assert read_picture(encode_png(picture)).icc == picture.icc
    assert picture.icc[:4] == struct.pack(">I", len(picture.icc))
    profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.icc))
    assert "Display P3" in ImageCms.getProfileDescription(profile)


@pytest.mark.parametrize(
    ("points", "name"),
    [
        ((9, 16, 0, 1), "PQ"),
        ((9, 18, 0, 1), "HLG"),
        ((1, 9, 0, 1), "logarithmic"),
        ((12, 17, 0, 1), "ST 428"),
        ((10, 8, 0, 1), "XYZ"),
        ((1, 13, 0, 0), "narrow range"),
    ],
)
def test_colours_that_no_profile_describes_are_refused_by_name(points, name):
    with pytest.raises(ImageError, match=f"this kind is not read: .*{name}"):
        read_picture(with_chunks(cicp(*points)))


def avif(primaries, transfer, **options):
    data = saved(Image.fromarray(photo(24, 40)), "AVIF", quality=95, **options)
    at = data.index(b"colrnclx") + 8
    return data[:at] + struct.pack(">HH", primaries, transfer) + data[at + 4 :]


@needs_avif
@pytest.mark.parametrize("points", [(12, 13), (9, 1), (1, 8)])
def test_an_avif_that_states_its_colours_keeps_them(points):
    picture = read_picture(avif(*points))
    assert picture.icc == read_picture(with_chunks(cicp(*points, 0, 1))).icc
    assert picture.icc is not None


@needs_avif
@pytest.mark.parametrize("points", [(1, 13), (1, 1), (2, 2)])
def test_an_avif_of_srgb_gets_no_profile(points):
    assert read_picture(avif(*points)).icc is None


@needs_avif
def test_an_avif_with_a_profile_of_its_own_keeps_it():
    profile = srgb_profile()
    data = saved(Image.fromarray(photo()), "AVIF", icc_profile=profile)
    assert read_picture(data).icc == profile


@needs_avif
@pytest.mark.parametrize("major", [b"mif1", b"msf1", b"miaf", b"avio"])
def test_an_avif_by_a_compatible_brand_is_read(major):
    data = avif(1, 13)
    changed = data[:8] + major + data[12:]
    assert b"avif" in data[16 : int.from_bytes(data[:4], "big")]
    np.testing.assert_array_equal(read_picture(changed).pixels, read_picture(data).pixels)
