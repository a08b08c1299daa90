"""Writing pictures, and checking arrays: what is written is what was given, or is refused."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms

from tfhific.errors import ImageError, OutputError
from tfhific.pictures.images import (
    Picture,
    encode_png,
    read_picture,
    to_pillow,
    validate_array,
    write_image,
    write_png,
)


def photo(height=40, width=56, channels=3, seed=0):
    """Smooth colours with some noise, uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    phases = rng.uniform(0, 6, channels)
    waves = np.stack([np.sin(x / 9 + p) + np.cos(y / 7 - p) for p in phases], axis=-1)
    return np.clip(127 + 55 * waves + rng.normal(0, 3, waves.shape), 0, 255).astype(np.uint8)


def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def maker_exif():
    tags = Image.Exif()
    tags[0x010F] = "maker"
    return tags.tobytes()


@pytest.mark.parametrize("extension", [".png", ".webp", ".tif", ".TIFF"])
def test_lossless_files_hold_pixels_alpha_profile_and_exif(extension, tmp_path):
    alpha = photo(channels=1, seed=1)[..., 0]
    picture = Picture(photo(), alpha, srgb_profile(), maker_exif())
    write_image(picture, tmp_path / f"x{extension}")
    again = read_picture(tmp_path / f"x{extension}")
    np.testing.assert_array_equal(again.pixels, picture.pixels)
    np.testing.assert_array_equal(again.alpha, alpha)
    assert again.icc == picture.icc
    kept = Image.Exif()
    kept.load(again.exif)
    assert kept[0x010F] == "maker"


def test_jpeg_is_close_and_holds_profile_and_exif(tmp_path):
    picture = Picture(photo(), None, srgb_profile(), maker_exif())
    write_image(picture, tmp_path / "x.jpg")
    again = read_picture(tmp_path / "x.jpg")
    assert np.abs(again.pixels.astype(int) - picture.pixels).mean() < 4
    assert again.icc == picture.icc
    assert again.exif == picture.exif


def test_bmp_holds_the_pixels(tmp_path):
    write_image(photo(), tmp_path / "x.bmp")
    np.testing.assert_array_equal(read_picture(tmp_path / "x.bmp").pixels, photo())


def test_write_png_writes_png_under_any_name(tmp_path):
    write_png(photo(), tmp_path / "x.dat")
    assert (tmp_path / "x.dat").read_bytes() == encode_png(photo())


def test_standard_output_gets_a_png(capfdbinary):
    write_image(photo(), "-")
    np.testing.assert_array_equal(read_picture(capfdbinary.readouterr().out).pixels, photo())


@pytest.mark.parametrize("name", ["x.jpg", "x.bmp"])
def test_formats_without_transparency_refuse_it(name, tmp_path):
    with pytest.raises(ImageError, match="no transparency"):
        write_image(Picture(photo(), np.zeros((40, 56), np.uint8)), tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x", "x.gif", "x.tfh"])
def test_unknown_extension_is_refused(name, tmp_path):
    with pytest.raises(OutputError, match=r"expected a name ending in \.png"):
        write_image(photo(), tmp_path / name)


def test_size_the_format_cannot_hold_is_refused(tmp_path):
    with pytest.raises(ImageError, match="WEBP cannot hold"):
        write_image(np.zeros((1, 20000, 3), np.uint8), tmp_path / "x.webp")
    assert not list(tmp_path.iterdir())


def test_to_pillow_has_alpha_only_where_there_is_some():
    assert to_pillow(Picture(photo())).mode == "RGB"
    assert to_pillow(Picture(photo(), np.zeros((40, 56), np.uint8))).mode == "RGBA"


# Arrays


def test_rgb_array_is_passed_on():
    pixels = photo()
    assert validate_array(pixels) is pixels


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1)])
def test_grey_array_is_repeated(shape):
    grey = np.arange(35, dtype=np.uint8).reshape(shape)
    assert validate_array(grey).shape == (5, 7, 3)
    np.testing.assert_array_equal(validate_array(grey)[..., 2], grey.reshape(5, 7))


@pytest.mark.parametrize(
    ("unfit", "received"),
    [
        (np.zeros((4, 4, 3), np.float32), r"received float32 \[4, 4, 3\]; scale"),
        (np.zeros((4, 4, 3), bool), r"received bool"),
        (np.zeros((4, 4, 4), np.uint8), r"received uint8 \[4, 4, 4\]; pass image\[..., :3\]"),
        (np.zeros((2, 4, 4, 3), np.uint8), r"received uint8 \[2, 4, 4, 3\]"),
        (np.zeros((3, 4, 5), np.uint8), r"received uint8 \[3, 4, 5\]"),
        (np.zeros((0, 4, 3), np.uint8), "at least one pixel"),
        (np.uint8(3), r"received uint8 \[\]"),
        ("photo.jpg", "received a str; read files"),
        ([[0, 1]], "received a list"),
        (Image.new("P", (2, 2)), "PIL image of mode P"),
    ],
)
def test_other_arrays_are_refused_with_what_was_received(unfit, received):
    with pytest.raises(ImageError, match=received):
        validate_array(unfit)
