"""From the pixels Pillow decodes to 8-bit RGB and alpha, as a viewer would show them.

| decoded as | shown as | kept colour profile |
| --- | --- | --- |
| RGB, palette, YCbCr | itself | if it describes RGB |
| grey, 1-bit | through its grey profile to sRGB where there is one, else r = g = b | if RGB |
| 16-bit grey (and 12-bit) | value * 255 / largest value, rounded; then as grey | if RGB |
| CMYK | through its profile to sRGB (perceptual), else (255 - C)(255 - K)/255 | none |
| anything else (float, signed, 32-bit, Lab) | refused | |

Pillow itself reduces 16-bit RGB to its high bytes: equal to the rounded value or one below it.
"""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageCms

from tfhific.pictures.header import Header

_GREY_MODES = ("1", "L", "LA", "La")
_WIDE_GREY_MODES = ("I;16", "I;16L", "I;16B", "I;16N")
_PALETTE_MODES = ("P", "PA")
_RGB_MODES = ("RGB", "RGBX", "RGBA", "RGBa", "YCbCr")
_PROFILE_HEADER_BYTES = 128
# TIFF tags.
_BITS_PER_SAMPLE = 258
_PHOTOMETRIC = 262
_SAMPLE_FORMAT = 339
_WHITE_IS_ZERO = 0
_UNSIGNED = 1
_UNDECLARED = 4


class UnfaithfulError(ValueError):
    """These samples cannot be turned into 8-bit RGB without guessing."""


@dataclass(frozen=True)
class Colours:
    """Pixels uint8 [H, W, 3], alpha uint8 [H, W] or None, and the profile of these pixels."""

    pixels: np.ndarray
    alpha: np.ndarray | None
    icc: bytes | None


def to_colours(image: Image.Image, header: Header, profile: object) -> Colours:
    """Converts a decoded image.

    Args:
      image: loaded, and upright already.
      header: the facts of the file that Pillow does not pass on.
      profile: the ICC profile as the file had it, or None.

    Raises:
      UnfaithfulError: the samples' meaning cannot be kept in 8-bit RGB.
    """
    _check_tiff_samples(image)
    icc, space = _profile(profile)
    alpha = None
    if image.mode in _WIDE_GREY_MODES or (image.mode == "I" and header.bit_depth == 16):
        wide = np.asarray(image).astype(np.int32)
        if header.colour_key:
            alpha = np.where(wide == header.colour_key[0], 0, 255).astype(np.uint8)
        image = Image.fromarray(_narrow(wide, image))
        pixels, icc = _grey_to_rgb(image, icc, space)
    elif image.mode in _GREY_MODES:
        if image.mode in ("LA", "La"):
            image = image.convert("LA")
            alpha = np.asarray(image.getchannel("A"))
            image = image.getchannel("L")
        else:
            key = _grey_key(image, header)
            image = image.convert("L")
            alpha = None if key is None else _key_alpha(np.asarray(image)[..., None], (key,))
        pixels, icc = _grey_to_rgb(image, icc, space)
    elif image.mode in _PALETTE_MODES or image.mode in _RGB_MODES:
        pixels, alpha = _rgb(image, header)
        icc = icc if space == b"RGB " else None
    elif image.mode == "CMYK":
        pixels = np.asarray(_cmyk_to_rgb(image, icc, space))
        icc = None
    else:
        raise UnfaithfulError(f"samples of kind {image.mode}")
    if alpha is not None and alpha.min() == 255:
        alpha = None
    return Colours(_own(pixels), None if alpha is None else _own(alpha), icc)


def _own(array: np.ndarray) -> np.ndarray:
    # Pillow's view of its memory is read-only; callers expect an array of their own.
    return array.copy() if not array.flags.writeable else np.ascontiguousarray(array)


def _check_tiff_samples(image: Image.Image) -> None:
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return
    formats = tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))
    formats = formats if isinstance(formats, tuple) else (formats,)
    if any(kind not in (_UNSIGNED, _UNDECLARED) for kind in formats):
        raise UnfaithfulError("signed or floating-point samples")


def _narrow(wide: np.ndarray, image: Image.Image) -> np.ndarray:
    tags = getattr(image, "tag_v2", {})
    largest = (1 << int(tags.get(_BITS_PER_SAMPLE, (16,))[0])) - 1
    if not 255 < largest <= 65535 or wide.min() < 0 or wide.max() > largest:
        raise UnfaithfulError("grey samples outside the range the file declares")
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        wide = largest - wide
    # Adding half before the integer division rounds to nearest; `largest` is odd: no ties.
    return ((wide * 255 + largest // 2) // largest).astype(np.uint8)


def _grey_key(image: Image.Image, header: Header) -> int | None:
    if (
        header.colour_key and header.bit_depth
    ):  # a PNG's, in its own bit depth; Pillow has spread samples to 0..255
        return header.colour_key[0] * 255 // ((1 << header.bit_depth) - 1)
    key = image.info.get("transparency")
    return key if isinstance(key, int) else None


def _key_alpha(samples: np.ndarray, key: tuple[int, ...]) -> np.ndarray:
    return np.where((samples == np.array(key)).all(axis=-1), 0, 255).astype(np.uint8)


def _rgb(image: Image.Image, header: Header) -> tuple[np.ndarray, np.ndarray | None]:
    key = None
    if image.mode in _PALETTE_MODES:
        palette = image.palette.mode if image.palette else "RGB"
        clear = "transparency" in image.info or image.mode == "PA" or palette.endswith("A")
        image = image.convert("RGBA" if clear else "RGB")
    elif image.mode == "RGBa":
        image = image.convert("RGBA")
    elif image.mode == "RGB":
        if header.colour_key and header.bit_depth == 16:
            raise UnfaithfulError("a 16-bit transparent colour, of which 8 bits are known")
        key = header.colour_key or image.info.get("transparency")
    elif image.mode != "RGBA":
        image = image.convert("RGB")
    samples = np.asarray(image)
    if samples.shape[-1] == 4:
        return np.ascontiguousarray(samples[..., :3]), np.ascontiguousarray(samples[..., 3])
    return samples, _key_alpha(samples, key) if isinstance(key, tuple) else None


def _profile(icc: object) -> tuple[bytes | None, bytes | None]:
    """The profile cut to the length it declares and its colour space; Nones when it is none."""
    if not isinstance(icc, bytes) or len(icc) < _PROFILE_HEADER_BYTES or icc[36:40] != b"acsp":
        return None, None
    declared = int.from_bytes(icc[:4], "big")
    if not _PROFILE_HEADER_BYTES <= declared <= len(icc):
        return None, None
    return icc[:declared], icc[16:20]


def _grey_to_rgb(
    image: Image.Image, icc: bytes | None, space: bytes | None
) -> tuple[np.ndarray, bytes | None]:
    if icc is not None and space == b"GRAY":
        # All there are: converted one by one, and without the coarse table that littlecms2
        # would put in place of the profile's curve for a whole image.
        values = Image.fromarray(np.arange(256, dtype=np.uint8)[None])
        converted = _to_srgb(values, icc, ImageCms.Flags.NOOPTIMIZE)
        if converted is not None:
            return np.asarray(converted)[0][np.asarray(image)], None
    grey = np.asarray(image)
    return np.repeat(grey[..., None], 3, axis=-1), icc if space == b"RGB " else None


def _cmyk_to_rgb(image: Image.Image, icc: bytes | None, space: bytes | None) -> Image.Image:
    if icc is not None and space == b"CMYK":
        converted = _to_srgb(image, icc)
        if converted is not None:
            return converted
    return image.convert("RGB")


def _to_srgb(
    image: Image.Image, icc: bytes, flags: ImageCms.Flags = ImageCms.Flags.NONE
) -> Image.Image | None:
    """The image in sRGB; None when the profile is damaged, which viewers treat as absent."""
    try:
        return ImageCms.profileToProfile(
            image,
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.PERCEPTUAL,
            outputMode="RGB",
            flags=flags,
        )
    except ImportError as error:
        raise UnfaithfulError(
            "a colour profile, which this build of Pillow, made without littlecms2, cannot apply"
        ) from error
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
