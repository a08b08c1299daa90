"""Encoded images in a graph: what `tfhific.codec.images.read_picture` does, as far as it can."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfhific.codec.plane import COMPRESSION
from tfhific.serving.graph_exif import apply_orientation, upright
from tfhific.serving.graph_jpeg import JpegHeader
from tfhific.serving.graph_png import PngHeader
from tfhific.serving.graph_small_formats import BmpHeader, GifHeader, WebPHeader
from tfhific.serving.octets import first_error, read_number, to_octets

FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WebP")
_PROFILE_HEADER_BYTES = 128
# Beginnings of files that are refused by name, and where they stand.
_OTHER_FORMATS = (
    (0, b"II*\x00", "TIFF"),
    (0, b"MM\x00*", "TIFF"),
    (0, b"II+\x00", "TIFF"),
    (0, b"MM\x00+", "TIFF"),
    (4, b"ftyp", "AVIF or HEIF"),
    (0, b"\x00\x00\x00\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"),
    (0, b"TFH", "a .tfh file, which is compressed already"),
)


def readable() -> str:
    """The formats that this TensorFlow's graphs read, as messages name them."""
    return ", ".join(FORMATS if _has_webp() else FORMATS[:-1])


def _has_webp() -> bool:
    return hasattr(tf.raw_ops, "DecodeWebP")


@dataclasses.dataclass(frozen=True)
class GraphPicture:
    """An upright picture and what travels beside it; [0, 0, 3] where `error` is not empty.

    Attributes:
      error: string.
      pixels: uint8 [H, W, 3].
      alpha: a grey PNG, an empty string when every pixel is opaque.
      icc, exif: strings, empty where there is none.
    """

    error: tf.Tensor
    pixels: tf.Tensor
    alpha: tf.Tensor
    icc: tf.Tensor
    exif: tf.Tensor


def read(data: tf.Tensor, max_pixels: int) -> GraphPicture:
    """Reads an encoded image, a string, whatever it is; never fails.

    Args:
      data: the file.
      max_pixels: larger pictures are refused from their header.
    """
    return GraphPicture(*_read(data, max_pixels))


def _read(data: tf.Tensor, max_pixels: int) -> tuple[tf.Tensor, ...]:
    """The fields of a `GraphPicture`."""
    octets = to_octets(tf.strings.substr(data, 0, tf.minimum(tf.strings.length(data), 32)))

    def starts(at: int, magic: bytes) -> tf.Tensor:
        here = read_number(octets, at + tf.range(len(magic)), 1)
        return tf.reduce_all(tf.equal(here, tf.constant(list(magic), tf.int64)))

    def refuse(message) -> tuple[tf.Tensor, ...]:
        empty = tf.constant(b"")
        return message, tf.zeros([0, 0, 3], tf.uint8), empty, empty, empty

    def unless(checks, decode) -> tuple[tf.Tensor, ...]:
        error = first_error(checks)
        fields = tf.cond(tf.equal(error, ""), decode, lambda: refuse(error))
        return tuple(tf.ensure_shape(field, spec) for field, spec in zip(fields, _SHAPES))

    def checks(header, name: str) -> list:
        pixels = tf.cast(header.height, tf.int64) * tf.cast(header.width, tf.int64)
        return [
            (
                tf.not_equal(header.error, ""),
                tf.strings.join(
                    ["can't read this image: ", header.error, " is not read here; convert it"]
                ),
            ),
            (
                pixels > max_pixels,
                tf.strings.format(
                    f"this {name} has {{}}x{{}} pixels, more than the limit of "
                    f"{max_pixels:,}: scale it down, or use the command line",
                    (header.width, header.height),
                ),
            ),
        ]

    def jpeg():
        header = JpegHeader(data)

        def decode():
            inks = tf.equal(header.components, 4)
            grey = tf.equal(header.components, 1)
            pixels = header.pixels()
            return _finish(pixels, grey, inks, header.icc, header.exif, header.xmp)

        return unless(checks(header, "JPEG"), decode)

    def png():
        header = PngHeader(data)
        return unless(
            checks(header, "PNG"),
            lambda: _finish(
                header.samples(), header.grey, _NO, header.icc, header.exif, header.xmp
            ),
        )

    def plain(kind, name: str):
        header = kind(data)
        empty = tf.constant(b"")
        return unless(
            checks(header, name), lambda: _finish(header.pixels(), _NO, _NO, empty, empty, empty)
        )

    def webp():
        header = WebPHeader(data)
        return unless(
            checks(header, "WebP"),
            lambda: _finish(header.samples(), _NO, _NO, header.icc, header.exif, header.xmp),
        )

    def other():
        named = [(starts(at, magic), what) for at, magic, what in _OTHER_FORMATS]
        if not _has_webp():
            named.append((starts(8, b"WEBP"), "WebP"))
        what = first_error(named)
        return refuse(
            tf.where(
                tf.equal(tf.strings.length(data), 0),
                "expected an image, received nothing (0 bytes)",
                tf.strings.join(
                    [
                        f"expected a {readable()} image, received ",
                        tf.where(tf.equal(what, ""), "none of these", what),
                        "; convert it first",
                    ]
                ),
            )
        )

    branches = [
        (starts(0, b"\xff\xd8\xff"), jpeg),
        (starts(0, b"\x89PNG\r\n\x1a\n"), png),
        (starts(0, b"GIF87a") | starts(0, b"GIF89a"), lambda: plain(GifHeader, "GIF")),
        (starts(0, b"BM"), lambda: plain(BmpHeader, "BMP")),
    ]
    if _has_webp():
        branches.append((starts(0, b"RIFF") & starts(8, b"WEBP"), webp))
    return tf.case(branches, default=other, exclusive=False)


_NO = False
_SHAPES = ([], [None, None, 3], [], [], [])


def _finish(samples, grey, inks, icc, exif, xmp) -> tuple[tf.Tensor, ...]:
    """Turns samples [H, W, 3] or [H, W, 4] upright, and keeps what is to be kept beside them."""
    exif, orientation = upright(exif, xmp)
    samples = apply_orientation(samples, orientation)
    if samples.shape[-1] == 4:
        alpha = samples[..., 3:]
        opaque = tf.reduce_all(tf.equal(alpha, 255))
        alpha = tf.cond(
            opaque,
            lambda: tf.constant(b""),
            lambda: tf.io.encode_png(alpha, compression=COMPRESSION),
        )
    else:
        alpha = tf.constant(b"")
    # See `picture_colour._profile`.
    octets = to_octets(icc)
    declared = read_number(octets, tf.constant(0), 4)
    length = tf.cast(tf.size(octets), tf.int64)
    sound = (declared >= _PROFILE_HEADER_BYTES) & (declared <= length)
    sound &= tf.equal(read_number(octets, tf.constant(36), 4), int.from_bytes(b"acsp", "big"))
    space = read_number(octets, tf.constant(16), 4)
    kept = sound & tf.equal(space, int.from_bytes(b"RGB ", "big")) & ~tf.convert_to_tensor(inks)
    needed = first_error(
        [
            (
                tf.equal(tf.size(samples), 0),
                "can't read this image: it is cut short or damaged",
            ),
            (
                sound & inks & tf.equal(space, int.from_bytes(b"CMYK", "big")),
                "a CMYK image with a colour profile is not read here: convert it to RGB",
            ),
            (
                sound & grey & tf.equal(space, int.from_bytes(b"GRAY", "big")),
                "a grey image with a colour profile is not read here: convert it to RGB",
            ),
        ]
    )
    profile = tf.strings.substr(icc, 0, tf.cast(tf.minimum(declared, length), tf.int32))
    profile = tf.where(kept, profile, "")
    pixels = samples[..., :3]
    # With an error there is no picture.
    pixels = pixels[: tf.where(tf.equal(needed, ""), tf.shape(pixels)[0], 0)]
    return needed, pixels, alpha, profile, exif
