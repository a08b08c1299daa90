"""Encoded images in a graph: what `tfhific.pictures.images.read_picture` does, as far as it can."""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfhific.pictures.plane import COMPRESSION
from tfhific.serving.graph.octets import first_case, first_error, read_number, to_octets
from tfhific.serving.pictures.exif import apply_orientation, upright
from tfhific.serving.pictures.jpeg import JpegHeader
from tfhific.serving.pictures.png import PngHeader
from tfhific.serving.pictures.small_formats import BmpHeader, GifHeader, WebPHeader

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


def measure(data: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """The pixels of an encoded image by its header, int64; 0 where `read` decodes nothing.

    Args:
      data: the file, a string.
      max_pixels: larger pictures are refused from their header.
    """
    return _cases(data, max_pixels, lambda error, pixels, decode: pixels, _no_pixels)


def _no_pixels(refusal) -> tf.Tensor:
    return tf.constant(0, tf.int64)


def read(data: tf.Tensor, max_pixels: int) -> GraphPicture:
    """Reads an encoded image, a string, whatever it is; never fails.

    Args:
      data: the file.
      max_pixels: larger pictures are refused from their header.
    """
    return _finish(_read(data, max_pixels))


@dataclasses.dataclass(frozen=True)
class _Raw:
    """An image as it is stored.

    Attributes:
      error: string.
      colours: uint8 [H, W, 3].
      alpha: uint8 [H, W, 1], or [0, 0, 1] for a format without.
      grey, inks: bool, whether it is grey, or CMYK.
      icc, exif, xmp: strings, empty where there is none.
    """

    error: tf.Tensor
    colours: tf.Tensor
    alpha: tf.Tensor
    grey: tf.Tensor
    inks: tf.Tensor
    icc: tf.Tensor
    exif: tf.Tensor
    xmp: tf.Tensor

    def fields(self) -> tuple[tf.Tensor, ...]:
        return tuple(tf.convert_to_tensor(value) for value in vars(self).values())


_SHAPES: tuple[list[int | None], ...] = ([], [None, None, 3], [None, None, 1], [], [], [], [], [])


def _raw(error="", colours=None, alpha=None, grey=False, inks=False, icc="", exif="", xmp=""):
    colours = tf.zeros([0, 0, 3], tf.uint8) if colours is None else colours
    alpha = tf.zeros([0, 0, 1], tf.uint8) if alpha is None else alpha
    return _Raw(error, colours, alpha, grey, inks, icc, exif, xmp).fields()


def _read(data: tf.Tensor, max_pixels: int) -> _Raw:
    def decoded(error, pixels, decode):
        return tf.cond(tf.equal(error, ""), decode, lambda: _raw(error))

    fields = _cases(data, max_pixels, decoded, lambda refusal: _raw(refusal()))
    return _Raw(*(tf.ensure_shape(field, shape) for field, shape in zip(fields, _SHAPES)))


def _cases(data: tf.Tensor, max_pixels: int, of_header, of_none):
    """What is made of an image, by its format.

    Args:
      data: the file.
      max_pixels: larger pictures have an error.
      of_header: gets the error, the pixels by the header, int64, 0 with an error, and a function
        that decodes.
      of_none: gets a function that gives the error of a file of another format. What nobody asks
        for is in no graph: TensorFlow takes what leads nowhere away in as many rounds over the
        whole graph as it is deep.
    """
    octets = to_octets(tf.strings.substr(data, 0, tf.minimum(tf.strings.length(data), 32)))

    def starts(at: int, magic: bytes) -> tf.Tensor:
        here = read_number(octets, at + tf.range(len(magic)), 1)
        return tf.reduce_all(tf.equal(here, tf.constant(list(magic), tf.int64)))

    def checked(header, name: str, decode):
        pixels = tf.cast(header.height, tf.int64) * tf.cast(header.width, tf.int64)
        error = first_error(
            [
                (
                    tf.not_equal(header.error, ""),
                    tf.strings.join(["can't read this image: ", header.error]),
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
        )
        return of_header(error, tf.where(tf.equal(error, ""), pixels, 0), decode)

    def jpeg():
        header = JpegHeader(data)
        return checked(
            header,
            "JPEG",
            lambda: _raw(
                colours=header.pixels(),
                grey=tf.equal(header.components, 1),
                inks=tf.equal(header.components, 4),
                icc=header.icc,
                exif=header.exif,
                xmp=header.xmp,
            ),
        )

    def with_alpha(header, name, grey=False):
        def decode():
            samples = header.samples()
            return _raw(
                colours=samples[..., :3],
                alpha=samples[..., 3:],
                grey=grey,
                icc=header.icc,
                exif=header.exif,
                xmp=header.xmp,
            )

        return checked(header, name, decode)

    def png():
        header = PngHeader(data)
        return with_alpha(header, "PNG", header.grey)

    def plain(kind, name: str):
        header = kind(data)
        return checked(header, name, lambda: _raw(colours=header.pixels()))

    def refusal():
        named = [(starts(at, magic), what) for at, magic, what in _OTHER_FORMATS]
        if not _has_webp():
            named.append((starts(8, b"WEBP"), "WebP"))
        what = first_error(named)
        what = tf.where(tf.equal(what, ""), "none of these", what)
        what = tf.where(tf.equal(tf.strings.length(data), 0), "nothing (0 bytes)", what)
        return tf.strings.join([f"expected a {readable()} image, received ", what, "; convert it"])

    branches = [
        (starts(0, b"\xff\xd8\xff"), jpeg),
        (starts(0, b"\x89PNG\r\n\x1a\n"), png),
        (starts(0, b"GIF87a") | starts(0, b"GIF89a"), lambda: plain(GifHeader, "GIF")),
        (starts(0, b"BM"), lambda: plain(BmpHeader, "BMP")),
    ]
    if _has_webp():
        branches.append(
            (
                starts(0, b"RIFF") & starts(8, b"WEBP"),
                lambda: with_alpha(WebPHeader(data), "WebP"),
            )
        )
    return first_case(branches, lambda: of_none(refusal))


def _finish(raw: _Raw) -> GraphPicture:
    """Turns an image upright, and keeps what is to be kept beside it."""
    exif, orientation = upright(raw.exif, raw.xmp)
    colours = apply_orientation(raw.colours, orientation)

    def plane():
        return tf.io.encode_png(apply_orientation(raw.alpha, orientation), compression=COMPRESSION)

    # A format without alpha has none that is not 255.
    opaque = tf.reduce_all(tf.equal(raw.alpha, 255))
    alpha = tf.cond(opaque, lambda: tf.constant(b""), plane)
    # See `picture_colour._profile`.
    octets = to_octets(raw.icc)
    declared = read_number(octets, tf.constant(0), 4)
    length = tf.cast(tf.size(octets), tf.int64)
    sound = (declared >= _PROFILE_HEADER_BYTES) & (declared <= length)
    sound &= tf.equal(read_number(octets, tf.constant(36), 4), int.from_bytes(b"acsp", "big"))
    space = read_number(octets, tf.constant(16), 4)

    def describes(kind: bytes) -> tf.Tensor:
        return sound & tf.equal(space, int.from_bytes(kind, "big"))

    error = first_error(
        [
            (tf.not_equal(raw.error, ""), raw.error),
            (
                tf.equal(tf.size(raw.colours), 0),
                "can't read this image: it is cut short or damaged",
            ),
            (
                raw.inks & describes(b"CMYK"),
                "can't read this image: CMYK with a colour profile is not read here; "
                "convert it to RGB",
            ),
            (
                raw.grey & describes(b"GRAY"),
                "can't read this image: grey with a colour profile is not read here; "
                "convert it to RGB",
            ),
        ]
    )
    profile = tf.strings.substr(raw.icc, 0, tf.cast(tf.minimum(declared, length), tf.int32))
    profile = tf.where(describes(b"RGB ") & ~raw.inks, profile, "")
    # With an error there is no picture.
    colours = colours[: tf.where(tf.equal(error, ""), tf.shape(colours)[0], 0)]
    return GraphPicture(error, colours, alpha, profile, exif)
