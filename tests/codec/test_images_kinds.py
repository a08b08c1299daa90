"""Files of kinds that are not read are named, and a JPEG's missing parts are told apart."""

from __future__ import annotations

import struct
import warnings

import numpy as np
import pytest
from PIL import Image

from tests.codec.test_images import in_mode, photo, saved
from tfhific.errors import ImageError, PictureWarning
from tfhific.pictures.images import read_picture


def brands(major, *others):
    content = major + bytes(4) + b"".join(others)
    return struct.pack(">I", 8 + len(content)) + b"ftyp" + content + bytes(100)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (brands(b"heic", b"mif1", b"heic"), "HEIC"),
        (brands(b"mif1", b"mif1", b"heic"), "HEIC"),
        (brands(b"msf1", b"hevc"), "HEIC"),
        (brands(b"mif1", b"miaf"), "HEIF"),
        (brands(b"crx ", b"isom"), "Canon CR3"),
        (brands(b"mp42", b"isom"), "video"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "JPEG XL"),
        (b"\xff\x0a" + bytes(50), "JPEG XL"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "JPEG 2000"),
        (b"8BPS\0\1" + bytes(50), "Photoshop"),
        (b"<?xml version='1.0'?><svg/>", "SVG"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"%PDF-1.7\n", "PDF"),
        (b"P6\n1 1\n255\nabc", "PNM"),
        (b"qoif" + bytes(50), "QOI"),
        (b"FUJIFILMCCD-RAW " + bytes(50), "Fujifilm RAF"),
        (b"IIU\0" + bytes(50), "Panasonic RW2"),
        (b"IIRO" + bytes(50), "Olympus ORF"),
        (b"\x76\x2f\x31\x01" + bytes(50), "OpenEXR"),
        (b"\0\0\1\0\1\0" + bytes(50), "icon"),
    ],
)
def test_kinds_by_their_first_bytes_are_named(data, name):
    with pytest.raises(ImageError) as caught:
        read_picture(data)
    told = str(caught.value)
    assert "this kind is not read: " in told
    assert name in told
    assert "convert it first" in told
    assert "damaged" not in told


def test_cut_avif_is_damaged_and_not_another_kind():
    with pytest.raises(ImageError, match=r"damaged|reads no AVIF"):
        read_picture(brands(b"avif", b"mif1"))


# JPEG


def jpeg(pixels=None, **options):
    pixels = np.maximum(photo(), 1) if pixels is None else pixels
    return saved(Image.fromarray(pixels), "JPEG", **options)


def frame(data):
    """Where the frame header's content begins."""
    at = 2
    while data[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return at + 4


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda d, at: d[:at] + b"\x0c" + d[at + 1 :], "12-bit JPEG"),
        (lambda d, at: d[: at - 3] + b"\xc3" + d[at - 2 :], "lossless JPEG"),
        (lambda d, at: d[: at - 3] + b"\xc5" + d[at - 2 :], "hierarchical JPEG"),
        (lambda d, at: d[: at - 3] + b"\xf7" + d[at - 2 :], "JPEG-LS"),
        (lambda d, at: d[: at + 1] + b"\0\0" + d[at + 3 :], "height"),
        (lambda d, at: d[: at + 5] + b"\2" + d[at + 6 :], "2 components"),
    ],
)
def test_kinds_of_jpeg_that_are_not_read_are_named(change, name):
    data = jpeg()
    with pytest.raises(ImageError, match=f"this kind is not read: .*{name}"):
        read_picture(change(data, frame(data)))


VARIANTS = [
    {},
    {"progressive": True},
    {"subsampling": 0},
    {"restart_marker_blocks": 2},
    {"restart_marker_rows": 1},
    {"optimize": True},
]


@pytest.mark.parametrize("options", VARIANTS)
@pytest.mark.parametrize("padding", [b"", b"\xff", bytes(40)])
def test_a_jpeg_without_its_end_marker_is_read_with_a_warning(options, padding):
    data = jpeg(**options)
    assert data.endswith(b"\xff\xd9")
    expected = read_picture(data).pixels
    with pytest.warns(PictureWarning, match="end marker is missing"):
        picture = read_picture(data[:-2] + padding)
    np.testing.assert_array_equal(picture.pixels, expected)


@pytest.mark.parametrize("options", VARIANTS)
def test_a_jpeg_that_lacks_more_than_its_end_is_refused(options):
    data = jpeg(**options)
    for cut in [*range(3, 60), *range(60, len(data) - 20, 67)]:
        with pytest.raises(ImageError):
            read_picture(data[:-cut])


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_a_jpeg_whose_scan_ends_early_is_refused_though_the_end_marker_is_there(mode, orientation):
    pixels = photo(64, 80, 4 if mode == "CMYK" else 3)
    image = in_mode("CMYK", pixels) if mode == "CMYK" else Image.fromarray(pixels).convert(mode)
    tags = Image.Exif()
    tags[0x0112] = orientation
    data = saved(image, "JPEG", exif=tags.tobytes())
    scan = data.rindex(b"\xff\xda") + 20
    for share in (0.05, 0.3, 0.6, 0.9):
        cut = data[: scan + int(share * (len(data) - scan))]
        with pytest.raises(ImageError, match="samples end before"):
            read_picture(cut.rstrip(b"\xff") + b"\xff\xd9")


def test_a_grey_corner_is_no_fault():
    pixels = photo(64, 80)
    pixels[-16:, -16:] = 128
    for options in VARIANTS:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            read_picture(jpeg(pixels, **options))


def test_a_progressive_jpeg_without_its_last_scans_is_shown_with_a_warning():
    data = jpeg(progressive=True)
    last = data.rindex(b"\xff\xc4")
    with pytest.warns(PictureWarning, match="scans are missing"):
        picture = read_picture(data[:last] + b"\xff\xd9")
    assert np.abs(picture.pixels.astype(int) - read_picture(data).pixels).mean() < 8
