"""Pictures as people have them, in and out: files of many kinds, 8-bit RGB arrays inside.

Which colours and depths are read, and how, is tabled in `picture_colour`. Of several frames the
first is read, of a TIFF's pages the first that is no smaller version of another. Colours that a
file states without an ICC profile (PNG's cICP or gAMA, AVIF's nclx) become one.

Damage that a format cannot show by itself (a changed byte inside a JPEG's scan) goes unnoticed, as
in any viewer. On such damage in a compressed TIFF, libtiff may print a line on standard error.
"""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from tfhific.errors import ImageError, OutputError, PictureWarning
from tfhific.files.atomic import STANDARD_STREAM, write_atomically
from tfhific.pictures.colour import UnfaithfulError, to_colours
from tfhific.pictures.decode import TooLargeError, decode
from tfhific.pictures.header import Header, read_header
from tfhific.pictures.pillow import quiet_pillow
from tfhific.pictures.source import Source, open_source

# Where Pillow, too, stops believing that a picture is meant well.
DEFAULT_MAX_PIXELS = 178_956_970
READABLE = "JPEG, PNG, WebP, TIFF, BMP, GIF or AVIF"
# 16-bit RGBA without compression, and room for metadata.
_MAX_BYTES_PER_PIXEL = 8
_MAX_EXTRA_BYTES = 1 << 26
_FORMAT_OF_EXTENSION = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".bmp": "BMP",
}
WRITTEN_EXTENSIONS = tuple(_FORMAT_OF_EXTENSION)
"""Endings of the formats that `write_image` knows."""
_HOLDS_ALPHA = ("PNG", "WEBP", "TIFF")
_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    # zlib's lowest level: about a third of the default's time for photographs of much that size.
    "PNG": {"compress_level": 1},
    "JPEG": {"quality": 95, "subsampling": "4:4:4", "optimize": True},
    # exact: colours under full transparency are kept.
    "WEBP": {"lossless": True, "exact": True, "method": 2},
    "TIFF": {"compression": "tiff_adobe_deflate"},
    "BMP": {},
}


@dataclass(frozen=True, eq=False)
class Picture:
    """An upright picture and what travels beside it.

    Attributes:
      pixels: uint8 [H, W, 3], RGB in the colour space of `icc`, sRGB without one. Where alpha is
        0 they are what the file held there.
      alpha: uint8 [H, W], not premultiplied; None when every pixel is opaque.
      icc: ICC profile of `pixels`, or None.
      exif: EXIF block with `Exif\\0\\0` in front, upright and without thumbnail, or None.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None

    def stripped(self) -> Picture:
        """The picture without ICC profile and EXIF block; alpha stays."""
        return replace(self, icc=None, exif=None)


def read_picture(source: Source, max_pixels: int = DEFAULT_MAX_PIXELS) -> Picture:
    """Reads a picture as a viewer would show it.

    Args:
      source: path, "-" for standard input, the file's bytes, or an open binary file.
      max_pixels: larger pictures are refused from their header, before they are decoded.

    Raises:
      ImageError: nothing readable there, not a picture of a known format, cut short, damaged,
        too large, or of a kind that is not read, which is then named. The message is one line
        and names the source.

    Warns:
      PictureWarning: the file is damaged where the picture is not (a JPEG without end marker).
    """
    max_bytes = _MAX_BYTES_PER_PIXEL * max_pixels + _MAX_EXTRA_BYTES
    with open_source(source, max_bytes) as (stream, name), quiet_pillow:
        try:
            header = read_header(stream)
            _check_format(header, name)
            decoded = decode(stream, header, max_pixels)
            colours = to_colours(decoded.image, header, decoded.profile)
        except ImageError:
            raise
        except UnfaithfulError as error:
            raise ImageError(
                f"cannot read {name}: this kind is not read: {error}, convert it first (expected "
                "samples that 8-bit RGB can show, in a common layout)"
            ) from error
        except TooLargeError as error:
            raise ImageError(
                f"cannot read {name}: expected at most {max_pixels} pixels, received "
                f"{error.size[0]} x {error.size[1]}; shrink the picture or raise the limit"
            ) from error
        except Image.DecompressionBombError as error:
            raise ImageError(
                f"cannot read {name}: expected a picture within Pillow's own limit, received a "
                "larger one; shrink it or raise PIL.Image.MAX_IMAGE_PIXELS"
            ) from error
        except MemoryError as error:
            raise ImageError(
                f"cannot read {name}: expected a picture that fits in memory, received a larger "
                "one; shrink it"
            ) from error
        # Damaged files make Pillow's parsers raise almost anything: OSError, SyntaxError,
        # struct.error, ValueError, KeyError, ZeroDivisionError, zlib.error and more.
        except Exception as error:
            raise ImageError(
                f"cannot read {name}: expected a whole {READABLE} file, received one that is cut "
                f"short or damaged ({_one_line(error)}); get the file again"
            ) from error
    if decoded.warning:
        warnings.warn(f"{name}: {decoded.warning}", PictureWarning, stacklevel=2)
    return Picture(colours.pixels, colours.alpha, colours.icc, decoded.exif)


def validate_array(image: object) -> np.ndarray:
    """Returns an image array as uint8 [H, W, 3].

    Args:
      image: uint8 [H, W, 3]; or grey, [H, W] or [H, W, 1], which is repeated over the channels.
        The result shares its memory where it can.

    Raises:
      ImageError: another type, dtype or shape, or no pixels.
    """
    if isinstance(image, Image.Image):
        raise ImageError(
            f"expected a uint8 array [height, width, 3], received a PIL image of mode {image.mode}"
            "; pass numpy.asarray(image.convert('RGB'))"
        )
    if not isinstance(image, np.ndarray) and not hasattr(image, "__array__"):
        raise ImageError(
            f"expected a uint8 array [height, width, 3], received a {type(image).__name__}; "
            "read files with read_picture first"
        )
    array = np.asarray(image)
    received = f"received {array.dtype} {list(array.shape)}"
    if array.dtype != np.uint8:
        raise ImageError(
            f"expected a uint8 array [height, width, 3], {received}; scale values to 0..255, "
            "round, and convert with astype(numpy.uint8)"
        )
    if array.ndim == 3 and array.shape[2] == 4:
        raise ImageError(
            f"expected a uint8 array [height, width, 3], {received}; pass image[..., :3] and "
            "keep the alpha channel beside it"
        )
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3):
        raise ImageError(
            f"expected a uint8 array [height, width, 3], {received}; pass one image at a time, "
            "channels last"
        )
    if array.size == 0:
        raise ImageError(f"expected at least one pixel, {received}")
    if array.shape[2] == 1:
        array = np.repeat(array, 3, axis=2)
    return np.ascontiguousarray(array)


def to_pillow(picture: Picture | np.ndarray) -> Image.Image:
    """Returns the picture as a Pillow image of mode RGB or RGBA, its metadata in `info`."""
    if not isinstance(picture, Picture):
        picture = Picture(validate_array(picture))
    pixels = picture.pixels
    if picture.alpha is not None:
        pixels = np.concatenate([pixels, picture.alpha[..., None]], axis=-1)
    image = Image.fromarray(pixels)
    if picture.icc is not None:
        image.info["icc_profile"] = picture.icc
    if picture.exif is not None:
        image.info["exif"] = picture.exif
    return image


def encode_png(picture: Picture | np.ndarray) -> bytes:
    """Returns a PNG file with the picture's pixels, alpha, ICC profile and EXIF."""
    return _encode(to_pillow(picture), "PNG")


def write_png(
    picture: Picture | np.ndarray,
    destination: str | os.PathLike[str],
    overwrite: bool = True,
) -> None:
    """Writes a PNG file, whatever the destination's extension; "-" is standard output.

    Raises:
      ImageError: an array that is no picture.
      OutputError: see `write_atomically`.
    """
    write_atomically(destination, encode_png(picture), overwrite)


def write_image(
    picture: Picture | np.ndarray,
    destination: str | os.PathLike[str],
    overwrite: bool = True,
) -> None:
    """Writes a picture in the format that the destination's extension names.

    PNG, WebP (lossless) and TIFF keep pixels and alpha as they are; JPEG is of quality 95 without
    chroma subsampling; BMP holds pixels only, neither profile nor EXIF. "-" is a PNG on standard
    output.

    Raises:
      ImageError: an array that is no picture, or one that the format cannot hold.
      OutputError: an unknown extension, or a destination that `write_atomically` refuses.
    """
    name = os.fspath(destination)
    extension = ".png" if name == STANDARD_STREAM else os.path.splitext(name)[1].lower()
    kind = _FORMAT_OF_EXTENSION.get(extension)
    if kind is None:
        raise OutputError(
            f"cannot write {name!r}: expected a name ending in {', '.join(_FORMAT_OF_EXTENSION)}, "
            f"received {extension or 'no extension'!r}"
        )
    image = to_pillow(picture)
    if image.mode == "RGBA" and kind not in _HOLDS_ALPHA:
        raise ImageError(
            f"cannot write {name!r}: {kind} holds no transparency and the picture has some; "
            "write .png, .webp or .tiff"
        )
    try:
        data = _encode(image, kind)
    except (OSError, ValueError, OverflowError) as error:
        raise ImageError(
            f"cannot write {name!r}: {kind} cannot hold this picture of {image.width} x "
            f"{image.height} pixels ({_one_line(error)}); write .png"
        ) from error
    write_atomically(destination, data, overwrite)


def _encode(image: Image.Image, kind: str) -> bytes:
    options = dict(_SAVE_OPTIONS[kind])
    if kind != "BMP":
        for key in ("icc_profile", "exif"):
            if key in image.info:
                options[key] = image.info[key]
    held = io.BytesIO()
    with quiet_pillow:
        image.save(held, kind, **options)
    return held.getvalue()


def _check_format(header: Header, name: str) -> None:
    if header.unread and header.format:
        raise UnfaithfulError(header.unread)
    if header.unread:
        raise ImageError(
            f"cannot read {name}: this kind is not read: {header.unread}, convert it first "
            f"(expected a {READABLE} file)"
        )
    if header.format is None:
        raise ImageError(
            f"cannot read {name}: expected a {READABLE} file, received none of these; "
            "convert it first"
        )
    if header.format not in Image.OPEN:
        Image.init()
    if header.format not in Image.OPEN:
        raise ImageError(
            f"cannot read {name}: this Pillow reads no {header.format}; convert the picture or "
            "install a newer Pillow"
        )


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "..."
