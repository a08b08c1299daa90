"""Reading pictures: every kind gives the pixels that a viewer would show."""

from __future__ import annotations

import functools
import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps, features

from tfhific.pictures.images import encode_png, read_picture


def photo(height=40, width=56, channels=3, seed=0):
    """Smooth colours with some noise, uint8."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    phases = rng.uniform(0, 6, channels)
    waves = np.stack([np.sin(x / 9 + p) + np.cos(y / 7 - p) for p in phases], axis=-1)
    return np.clip(127 + 55 * waves + rng.normal(0, 3, waves.shape), 0, 255).astype(np.uint8)


def saved(image, kind, **options):
    held = io.BytesIO()
    image.save(held, kind, **options)
    return held.getvalue()


def in_mode(mode, samples):
    return Image.frombytes(mode, samples.shape[1::-1], samples.tobytes())


def chunk(kind, data=b""):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height, depth, colour_type, rows, *chunks):
    """A PNG file from its packed rows, each without its filter byte."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    data = b"".join(b"\x00" + row for row in rows)
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", header),
            *chunks,
            chunk(b"IDAT", zlib.compress(data)),
            chunk(b"IEND"),
        ]
    )


def profile(space, tags):
    """An ICC profile of version 2 for an output or display device, its connection space Lab."""
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    connection = b"XYZ " if space == b"GRAY" else b"Lab "
    white = struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    head = struct.pack(">I4sI4s", start + len(body), b"none", 0x02400000, b"prtr")
    head += space + connection + bytes(12) + b"acsp" + bytes(28) + white
    return head.ljust(128, b"\x00") + struct.pack(">I", len(tags)) + table + body


def cmyk_profile():
    """Ink C darkens from L* = 100 to 50 without any hue; each of M, Y and K is black."""
    one = 0x10000
    lut = b"mft2" + bytes(4) + bytes([4, 3, 2, 0])
    lut += struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, one) + struct.pack(">HH", 2, 2)
    lut += struct.pack(">2H", 0, 65535) * 4
    for node in range(16):  # C varies slowest
        lightness = {0: 100.0, 8: 50.0}.get(node, 0.0)
        lut += struct.pack(">3H", round(lightness * 652.8), 0x8000, 0x8000)
    lut += struct.pack(">2H", 0, 65535) * 3
    return profile(b"CMYK", {b"A2B0": lut})


def linear_grey_profile():
    white = b"XYZ " + bytes(4) + struct.pack(">3I", 0xF6D6, 0x10000, 0xD32D)
    curve = b"curv" + bytes(4) + struct.pack(">I", 0)
    return profile(b"GRAY", {b"wtpt": white, b"kTRC": curve})


@functools.lru_cache
def srgb_profile():
    # Once: it says when it was made.
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def encoded_srgb(linear):
    """IEC 61966-2-1, 0..1 to 0..255."""
    low = linear <= 0.0031308
    return 255 * np.where(
        low, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055
    )


# Formats


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("WEBP", {"lossless": True}),
    ],
)
@pytest.mark.parametrize("size", [(1, 1), (1, 37), (17, 16), (63, 65)])
def test_lossless_formats_give_the_pixels_that_were_saved(kind, options, size):
    pixels = photo(*size)
    picture = read_picture(saved(Image.fromarray(pixels), kind, **options))
    np.testing.assert_array_equal(picture.pixels, pixels)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.writeable
    assert (picture.alpha, picture.icc, picture.exif) == (None, None, None)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_jpeg_gives_the_pixels_that_pillow_decodes(progressive, subsampling):
    options = {"progressive": progressive, "subsampling": subsampling, "quality": 80}
    data = saved(Image.fromarray(photo()), "JPEG", **options)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    np.testing.assert_array_equal(read_picture(data).pixels, expected)


@pytest.mark.skipif(not features.check("avif"), reason="this Pillow reads no AVIF")
def test_avif_is_read_upright():
    tags = Image.Exif()
    tags[0x0112] = 6
    pixels = photo(24, 40)
    data = saved(Image.fromarray(pixels), "AVIF", quality=90, exif=tags.tobytes())
    picture = read_picture(data)
    difference = picture.pixels.astype(int) - np.rot90(pixels, -1)
    assert np.abs(difference).mean() < 6


def test_gif_gives_its_first_frame():
    frames = [Image.fromarray(np.full((9, 11, 3), c, np.uint8)) for c in ((255, 0, 0), (0, 0, 255))]
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:])
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.pixels, np.asarray(frames[0]))
    assert picture.alpha is None


def test_gif_transparency_becomes_alpha():
    image = in_mode("P", np.array([[0, 1], [1, 2]], np.uint8))
    image.putpalette([10, 20, 30, 40, 50, 60, 70, 80, 90])
    picture = read_picture(saved(image, "GIF", transparency=1))
    np.testing.assert_array_equal(picture.alpha, [[255, 0], [0, 255]])
    np.testing.assert_array_equal(picture.pixels[0, 0], [10, 20, 30])
    np.testing.assert_array_equal(picture.pixels[1, 1], [70, 80, 90])


def test_first_page_of_a_tiff_is_read():
    pages = [Image.fromarray(photo(seed=s)) for s in range(2)]
    data = saved(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(read_picture(data).pixels, np.asarray(pages[0]))


# Depths and colours


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_grey_is_repeated_over_the_channels(kind):
    data = saved(Image.fromarray(photo(channels=1)[..., 0]), kind)
    expected = np.asarray(Image.open(io.BytesIO(data)))
    picture = read_picture(data)
    for channel in range(3):
        np.testing.assert_array_equal(picture.pixels[..., channel], expected)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "BMP"])
def test_one_bit_becomes_black_and_white(kind):
    bits = photo(channels=1)[..., 0] > 127
    picture = read_picture(saved(Image.fromarray(bits), kind))
    np.testing.assert_array_equal(picture.pixels, np.repeat(bits[..., None], 3, -1) * np.uint8(255))


def test_palette_gives_its_colours():
    image = Image.fromarray(photo()).quantize(16)
    picture = read_picture(saved(image, "PNG"))
    np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGB")))
    assert picture.alpha is None


@pytest.mark.parametrize("transparency", [1, bytes([255, 0, 128, 255])])
def test_palette_transparency_becomes_alpha_and_keeps_colours(transparency):
    indexes = np.array([[0, 1, 2, 3]], np.uint8)
    image = in_mode("P", indexes)
    colours = np.array([[1, 2, 3], [40, 50, 60], [70, 80, 90], [100, 110, 120]], np.uint8)
    image.putpalette(colours.tobytes())
    picture = read_picture(saved(image, "PNG", transparency=transparency))
    expected = list(transparency) if isinstance(transparency, bytes) else [255, 0, 255, 255]
    np.testing.assert_array_equal(picture.alpha, [expected])
    np.testing.assert_array_equal(picture.pixels, colours[None])


@pytest.mark.parametrize("depth", [1, 2, 4, 8])
def test_grey_key_of_a_png_is_transparent_at_every_depth(depth):
    levels = 1 << depth
    values = np.arange(8) % levels
    bits = "".join(f"{v:0{depth}b}" for v in values)
    row = int(bits, 2).to_bytes(depth, "big")
    key = levels - 1
    data = png(8, 1, depth, 0, [row], chunk(b"tRNS", struct.pack(">H", key)))
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.pixels[0, :, 0], values * 255 // (levels - 1))
    if key in values:
        np.testing.assert_array_equal(picture.alpha[0], np.where(values == key, 0, 255))
    else:
        assert picture.alpha is None


def test_rgb_key_of_a_png_is_transparent():
    pixels = photo(4, 5)
    pixels[1, 2] = (3, 5, 7)
    key = chunk(b"tRNS", struct.pack(">3H", 3, 5, 7))
    picture = read_picture(png(5, 4, 8, 2, [row.tobytes() for row in pixels], key))
    np.testing.assert_array_equal(picture.pixels, pixels)
    np.testing.assert_array_equal(picture.alpha == 0, (pixels == (3, 5, 7)).all(-1))


def test_16_bit_grey_is_rounded_to_the_nearest_of_255():
    values = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    values[0, :4] = [128, 129, 65535, 65407]
    expected = np.floor(values / 257 + 0.5)
    for kind in ("PNG", "TIFF"):
        picture = read_picture(saved(Image.fromarray(values), kind))
        np.testing.assert_array_equal(picture.pixels[..., 1], expected)


def test_16_bit_grey_key_is_compared_before_rounding():
    row = struct.pack(">3H", 1000, 1001, 1002)
    picture = read_picture(png(3, 1, 16, 0, [row], chunk(b"tRNS", struct.pack(">H", 1001))))
    np.testing.assert_array_equal(picture.alpha, [[255, 0, 255]])
    np.testing.assert_array_equal(picture.pixels[..., 0], [[4, 4, 4]])


def test_16_bit_grey_where_white_is_zero_is_not_inverted():
    values = np.array([[0, 65535, 257]], np.uint16)
    data = bytearray(saved(Image.fromarray(values), "TIFF"))
    entry = struct.pack("<HHIH", 262, 3, 1, 1)
    assert data.count(entry) == 1
    data = data.replace(entry, struct.pack("<HHIH", 262, 3, 1, 0))
    np.testing.assert_array_equal(read_picture(bytes(data)).pixels[0, :, 0], [255, 0, 254])


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_colour_is_within_one_of_rounded(colour_type, channels):
    values = np.random.default_rng(0).integers(0, 65536, (6, 7, channels))
    rows = [row.astype(">u2").tobytes() for row in values]
    picture = read_picture(png(7, 6, 16, colour_type, rows))
    rounded = np.round(values / 257)
    colour = rounded[..., :1] if channels == 2 else rounded[..., :3]
    assert np.abs(picture.pixels - colour).max() <= 1
    if channels in (2, 4):
        assert np.abs(picture.alpha - rounded[..., -1]).max() <= 1


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_and_the_colours_under_it_are_kept(kind, mode):
    samples = photo(channels=len(mode))
    samples[:5, :, -1] = 0
    image = in_mode(mode, samples)
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    picture = read_picture(saved(image, kind, **options))
    np.testing.assert_array_equal(picture.alpha, samples[..., -1])
    np.testing.assert_array_equal(picture.pixels, np.asarray(image.convert("RGBA"))[..., :3])


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_alpha_that_hides_nothing_is_none(mode):
    samples = photo(channels=len(mode))
    samples[..., -1] = 255
    assert read_picture(saved(in_mode(mode, samples), "PNG")).alpha is None


def test_cmyk_without_profile_is_multiplied_with_black():
    image = in_mode("CMYK", photo(channels=4))
    inks = np.asarray(image).astype(float)
    expected = (255 - inks[..., :3]) * (255 - inks[..., 3:]) / 255
    picture = read_picture(saved(image, "TIFF"))
    assert np.abs(picture.pixels - expected).max() <= 1


def test_inverted_cmyk_of_a_jpeg_is_not_a_negative():
    image = Image.new("CMYK", (16, 16), (0, 255, 255, 0))  # red ink on paper
    picture = read_picture(saved(image, "JPEG", quality=95))
    assert np.abs(picture.pixels.astype(int) - [255, 0, 0]).max() <= 3


@pytest.mark.parametrize("kind", ["JPEG", "TIFF"])
def test_cmyk_is_shown_through_its_profile_which_is_then_dropped(kind):
    image = Image.new("CMYK", (16, 8), (255, 0, 0, 0))
    picture = read_picture(saved(image, kind, icc_profile=cmyk_profile()))
    # L* = 50 is Y = .1842 (CIE 15), grey 119 in sRGB; without its profile it would be cyan.
    assert np.abs(picture.pixels.astype(int) - 119).max() <= 2
    assert picture.icc is None


def test_damaged_cmyk_profile_counts_as_none():
    image = Image.new("CMYK", (16, 8), (255, 0, 0, 0))
    broken = cmyk_profile()[:140] + bytes(len(cmyk_profile()) - 140)
    picture = read_picture(saved(image, "TIFF", icc_profile=broken))
    np.testing.assert_array_equal(np.unique(picture.pixels.reshape(-1, 3), axis=0), [[0, 255, 255]])


def test_grey_is_shown_through_its_profile_which_is_then_dropped():
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    picture = read_picture(saved(Image.fromarray(grey), "PNG", icc_profile=linear_grey_profile()))
    expected = encoded_srgb(grey / 255)[..., None]
    assert np.abs(picture.pixels - expected).max() <= 2
    assert picture.icc is None


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_rgb_profile_is_kept(kind):
    data = saved(Image.fromarray(photo()), kind, icc_profile=srgb_profile())
    assert read_picture(data).icc == srgb_profile()


@pytest.mark.parametrize(
    "unfit",
    [cmyk_profile(), b"no profile at all", srgb_profile()[:200], b"\x00" * 300],
    ids=["cmyk", "text", "cut", "zeros"],
)
def test_profile_of_something_else_is_dropped(unfit):
    data = saved(Image.fromarray(photo()), "PNG", icc_profile=unfit)
    picture = read_picture(data)
    assert picture.icc is None
    np.testing.assert_array_equal(picture.pixels, photo())


# EXIF


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once_and_forgotten(kind, orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    tags[0x010F] = "maker"
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(Image.fromarray(photo(24, 40)), kind, exif=tags.tobytes(), **options)
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    picture = read_picture(data)
    np.testing.assert_array_equal(picture.pixels, expected)
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept.get(0x0112, 1) == 1
    assert kept[0x010F] == "maker"
    again = read_picture(encode_png(picture))
    np.testing.assert_array_equal(again.pixels, expected)
    assert again.exif == picture.exif


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_senseless_orientation_is_ignored(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    data = saved(Image.fromarray(photo(24, 40)), "PNG", exif=tags.tobytes())
    np.testing.assert_array_equal(read_picture(data).pixels, photo(24, 40))


def exif_with_thumbnail(order="<", orientation=6, thumbnail=b"\xff\xd8thumbnail\xff\xd9"):
    """Orientation and one Exif-folder tag, and a second folder with a thumbnail behind it."""
    first = 8 + 2 + 12 * 2 + 4
    exif_folder = first + 2 + 12 * 2 + 4
    start = exif_folder + 2 + 12 + 4
    blob = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    blob += struct.pack(order + "H", 2)
    blob += struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    blob += struct.pack(order + "HHII", 0x8769, 4, 1, exif_folder)
    blob += struct.pack(order + "I", first)
    blob += struct.pack(order + "H", 2)
    blob += struct.pack(order + "HHII", 0x0201, 4, 1, start)
    blob += struct.pack(order + "HHII", 0x0202, 4, 1, len(thumbnail))
    blob += struct.pack(order + "I", 0)
    blob += struct.pack(order + "H", 1)
    blob += struct.pack(order + "HHIHH", 0x8827, 3, 1, 400, 0)  # ISO speed
    blob += struct.pack(order + "I", 0)
    return b"Exif\x00\x00" + blob + thumbnail


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("behind", [b"", b"something else"])
def test_thumbnail_is_dropped_and_other_tags_stay(order, behind):
    block = exif_with_thumbnail(order) + behind
    picture = read_picture(saved(Image.fromarray(photo(24, 40)), "JPEG", exif=block))
    assert picture.pixels.shape == (40, 24, 3)
    assert b"thumbnail" not in picture.exif
    assert picture.exif.endswith(behind)
    kept = Image.Exif()
    kept.load(picture.exif)
    assert kept.get_ifd(0x8769)[0x8827] == 400
    assert not kept.get_ifd(1)


@pytest.mark.parametrize("keep", [6, 7, 10, 14, 16, 18, 20])
def test_damaged_exif_is_dropped_and_the_picture_shown_as_stored(keep):
    block = exif_with_thumbnail()[:keep]
    picture = read_picture(saved(Image.fromarray(photo(24, 40)), "PNG", exif=block))
    np.testing.assert_array_equal(picture.pixels, photo(24, 40))
    assert picture.exif is None


def test_orientation_counts_even_where_the_rest_of_the_block_is_cut_off():
    block = exif_with_thumbnail()[:30]
    picture = read_picture(saved(Image.fromarray(photo(24, 40)), "PNG", exif=block))
    assert picture.pixels.shape == (40, 24, 3)
    assert picture.exif is None


def test_tiff_keeps_what_describes_the_picture():
    tags = Image.Exif()
    tags[0x010F] = "maker"
    tags[0x0112] = 6
    tags.get_ifd(0x8769)[0x8827] = 400  # ISO speed
    tags.get_ifd(0x8825)[0x0001] = "N"  # GPS latitude
    data = saved(Image.fromarray(photo(24, 40)), "TIFF", exif=tags.tobytes())
    kept = Image.Exif()
    kept.load(read_picture(data).exif)
    assert kept[0x010F] == "maker"
    assert kept.get_ifd(0x8769)[0x8827] == 400
    assert kept.get_ifd(0x8825)[0x0001] == "N"
    assert 0x0112 not in kept
    assert 0x0111 not in kept  # where the strips of samples are: the file's affair


def test_orientation_of_an_xmp_packet_counts():
    packet = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    data = saved(Image.fromarray(photo(24, 40)), "JPEG", xmp=packet)
    assert read_picture(data).pixels.shape == (40, 24, 3)
