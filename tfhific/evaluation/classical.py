"""Classical codecs to compare with, through Pillow: JPEG, WebP, JPEG 2000 and AVIF.

Pictures are uint8 [H, W, 3]. A file holds the picture and nothing else: no metadata.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, features

from tfhific.errors import ArgumentError, ImageError

Encoder = Callable[[np.ndarray, int], bytes]

# Every encoder here takes each of these; a larger one means a better picture.
SETTINGS = range(1, 101)
# How far above a setting that fits others are tried: the sizes of small WebP files go up and down.
_LOOK_AHEAD = 4
_FEATURE_OF_FORMAT = {"JPEG": "jpg", "WEBP": "webp", "JPEG2000": "jpg_2000", "AVIF": "avif"}


class SizedFile(NamedTuple):
    """A file found by `at_size`: its bytes, and the encoder setting that made it."""

    data: bytes
    setting: int

    def fits(self, max_bytes: int) -> bool:
        """Whether the file is within a size; false where even the smallest one is not."""
        return len(self.data) <= max_bytes


def encode_jpeg(
    pixels: np.ndarray, quality: int, subsampling: str = "4:2:0", optimize: bool = True
) -> bytes:
    """Encodes as baseline JPEG.

    Args:
      pixels: uint8 [H, W, 3].
      quality: 1 to 100, libjpeg's scale.
      subsampling: "4:4:4", "4:2:2" or "4:2:0".
      optimize: whether the Huffman tables are made for this picture.

    Raises:
      ImageError: a picture or setting the encoder does not take.
    """
    return _encode(pixels, "JPEG", quality, subsampling=subsampling, optimize=optimize)


def encode_webp(pixels: np.ndarray, quality: int, method: int = 4) -> bytes:
    """Encodes as lossy WebP of quality 1 to 100; `method` is the effort, 0 to 6."""
    return _encode(pixels, "WEBP", quality, method=method)


def encode_avif(
    pixels: np.ndarray, quality: int, subsampling: str = "4:2:0", speed: int = 6
) -> bytes:
    """Encodes as AVIF of quality 1 to 100; `speed` 0 is the slowest and best, 10 the fastest."""
    return _encode(pixels, "AVIF", quality, subsampling=subsampling, speed=speed)


def encode_jpeg2000(pixels: np.ndarray, quality: int) -> bytes:
    """Encodes as JPEG 2000, irreversible, aiming at a PSNR of 15 + .4 `quality` dB.

    The colour transform is on; Pillow leaves it off unless told. Without it a Kodak photograph
    of 24.8 dB took 29,013 bytes instead of 11,758.
    """
    decibels = 15 + 0.4 * quality
    options = {"quality_mode": "dB", "quality_layers": [decibels], "irreversible": True, "mct": 1}
    return _encode(pixels, "JPEG2000", quality, **options)


def available() -> dict[str, Encoder]:
    """The encoders that this build of Pillow has, by Pillow's name of the format."""
    encoders: dict[str, Encoder] = {
        "JPEG": encode_jpeg,
        "WEBP": encode_webp,
        "JPEG2000": encode_jpeg2000,
        "AVIF": encode_avif,
    }
    return {kind: encode for kind, encode in encoders.items() if _has(kind)}


def decode(data: bytes) -> np.ndarray:
    """Decodes a file that one of the encoders here made, to uint8 [H, W, 3].

    Raises:
      ImageError: bytes that Pillow cannot decode in one of these formats.
    """
    formats = [kind for kind in _FEATURE_OF_FORMAT if _has(kind)]
    Image.init()
    try:
        with Image.open(io.BytesIO(data), formats=formats) as image:
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise ImageError(
            f"cannot decode {len(data)} bytes: expected one of {', '.join(formats)}, received "
            f"something else or a damaged file ({error})"
        ) from error


def at_size(
    encode: Encoder, pixels: np.ndarray, max_bytes: int, settings: Sequence[int] = SETTINGS
) -> SizedFile:
    """Finds the best setting whose file is at most `max_bytes` long, by bisection.

    Sizes are taken to grow with the setting. They do not quite, so the search goes on upwards
    until none of the next four settings fits.

    Args:
      encode: gives a file for a picture and a setting.
      pixels: uint8 [H, W, 3].
      max_bytes: the size not to exceed.
      settings: from the smallest file to the largest.

    Returns:
      The file and its setting. When none fits, the smallest setting's file, which is then longer
      than `max_bytes`: ask `fits(max_bytes)`.

    Raises:
      ArgumentError: no settings to choose from.
      ImageError: a picture the encoder does not take.
    """
    if len(settings) == 0:
        raise ArgumentError("expected at least one setting to choose from, received none")
    best = SizedFile(encode(pixels, settings[0]), settings[0])
    if not best.fits(max_bytes):
        return best
    low, high = 0, len(settings)  # settings[low] fits; settings[high] does not, or is none
    while high - low > 1:
        middle = (low + high) // 2
        found = SizedFile(encode(pixels, settings[middle]), settings[middle])
        if found.fits(max_bytes):
            low, best = middle, found
        else:
            high = middle
    position = low + 2  # low + 1 is known not to fit
    while position < min(low + 1 + _LOOK_AHEAD, len(settings)):
        found = SizedFile(encode(pixels, settings[position]), settings[position])
        if found.fits(max_bytes):
            low, best = position, found
        position += 1
    return best


def _encode(pixels: np.ndarray, kind: str, quality: int, **options: object) -> bytes:
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise ImageError(
            f"expected a uint8 array [height, width, 3], received {pixels.dtype} "
            f"{list(pixels.shape)}"
        )
    if quality not in SETTINGS:
        raise ImageError(
            f"expected a {kind} quality from {SETTINGS[0]} to {SETTINGS[-1]}, received {quality}"
        )
    if not _has(kind):
        raise ImageError(f"this build of Pillow writes no {kind}; install one that does")
    if kind != "JPEG2000":
        options["quality"] = quality
    held = io.BytesIO()
    try:
        Image.fromarray(pixels).save(held, kind, **options)
    except (OSError, ValueError, TypeError) as error:
        raise ImageError(
            f"cannot encode {pixels.shape[1]} x {pixels.shape[0]} pixels as {kind}: {error}"
        ) from error
    return held.getvalue()


def _has(kind: str) -> bool:
    with warnings.catch_warnings():  # older Pillows warn about features they have never heard of
        warnings.simplefilter("ignore")
        return bool(features.check(_FEATURE_OF_FORMAT[kind]))
