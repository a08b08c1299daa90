"""What the codecs share whose networks see a whole picture: limits, borders, files' frames."""

from __future__ import annotations

import math

import numpy as np

from tfc_port import coding
from tfhific.bitstream import container
from tfhific.bitstream.container import Contents
from tfhific.errors import BitstreamError, ImageError, ModelError, TfhificError
from tfhific.pictures.images import Picture, validate_array
from tfhific.pictures.plane import check_plane, decode_plane, encode_plane
from tfhific.published.model import WholeModel

MEMORY = 4 << 30
"""Bytes that a network's largest layer may take, about."""


def fitting_size(height: int, width: int, limit: int) -> tuple[int, int]:
    """The largest size of that shape with at most `limit` pixels: height and width."""
    factor = math.sqrt(limit / (height * width))
    return max(int(height * factor), 1), max(int(width * factor), 1)


def refusal(height: int, width: int, limit: int, what: str) -> str:
    """What is said of a picture that is too large to be seen whole."""
    tall, wide = fitting_size(height, width, limit)
    return (
        f"{what} of {width}x{height} pixels is too large for a model that sees it whole: expected "
        f"at most {limit:,} pixels, such as {wide}x{tall}. Scale it down, or take a model that "
        "works in tiles, such as mini."
    )


def mirrored(side: int, target: int) -> np.ndarray:
    """Positions that extend `side` pixels to `target` by mirroring at both ends, int64 [target]."""
    period = max(2 * side - 2, 1)
    place = np.arange(target) % period
    return np.minimum(place, period - place) if side > 1 else np.zeros(target, np.int64)


def resampled(image: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """A picture, uint8 [H, W, 3], at another size: uint8 [height, width, channels]."""
    from PIL import Image

    picture = Image.fromarray(image)
    if channels == 1:
        picture = picture.convert("L")
    if (height, width) != image.shape[:2]:
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.uint8).reshape(height, width, channels)


class WholePictureCodec:
    """Base of the codecs of `WholeModel`s.

    Attributes:
      published: the model.
    """

    whole_picture = True
    needs: tuple[str, ...] = ()
    """Names of what `encode` takes beside the picture."""

    def __init__(
        self,
        published: WholeModel,
        coder: str | None = None,
        tile: int | None = None,
        max_pixels: int = container.DEFAULT_MAX_PIXELS,
        precision: str = "float32",
    ) -> None:
        """Initializer.

        Args:
          published: the model.
          coder: implementation of the entropy coder; see `tfhific.codec.hyperprior.Codec`.
          tile: must be None: such a model is never tiled.
          max_pixels: larger pictures are refused, in both directions.
          precision: must be `float32`.

        Raises:
          TfhificError: for tiles or another precision.
        """
        if tile is not None:
            raise TfhificError(
                f"{published.name} sees the whole picture, because its layers normalise over all "
                "of it: it can't work in tiles. Leave `tile` out."
            )
        if precision != "float32":
            raise TfhificError(f"{published.name} works in float32. Received: {precision!r}.")
        self.published = published
        self._coder = coder or ("native" if "native" in coding.available() else "python")
        self._max_pixels = max_pixels

    def check_published(self, folder: str) -> None:
        """Checks that the model's description and networks fit each other, before they are used.

        Args:
          folder: where it was read from, for the message.

        Raises:
          ModelError: when they don't.
        """
        try:
            wrong = [what for what, fits in self._fits().items() if not fits]
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(f"{folder!r} holds an incomplete model ({error!r:.200}).") from None
        if wrong:
            raise ModelError(f"{folder!r} holds an inconsistent model: its {wrong[0]} do not fit.")

    def _fits(self) -> dict[str, bool]:
        """Whether what the model says of itself holds, by what it is about."""
        raise NotImplementedError

    @property
    def name(self) -> str:
        return self.published.name

    @property
    def fingerprint(self) -> bytes:
        """8 bytes that a file names its model by."""
        return self.published.fingerprint

    @property
    def single_rate(self) -> bool:
        """Whether a quality has no effect; such a codec takes none at all."""
        return self.published.single_rate

    @property
    def whole_pixels(self) -> int:
        """The most pixels of a picture that the networks can see whole."""
        raise NotImplementedError

    def encode(self, image: np.ndarray, **options) -> bytes:
        """The file's bytes of a picture, uint8 [H, W, 3]."""
        raise NotImplementedError

    def decode(self, contents: Contents) -> np.ndarray:
        """The picture of a file's contents, uint8 [H, W, 3]."""
        raise NotImplementedError

    def holds(self, data: bytes, image: np.ndarray) -> bool:
        """Whether a file decodes to the code that `encode` gives a picture, uint8 [H, W, 3]."""
        raise NotImplementedError

    def compress(self, image: np.ndarray, quality: float | None = None, **options) -> bytes:
        """Compresses a picture.

        Args:
          image: uint8 [H, W, 3], RGB, or grey [H, W].
          quality: must be None: such a model has the one rate that it was trained for.
          **options: what the codec's `encode` takes.

        Raises:
          ImageError: when `image` is no such array, or too large.
          TfhificError: for a quality, or options that the model doesn't have.
        """
        if quality is not None:
            raise TfhificError(
                f"{self.name} has one rate, which its training chose: leave the quality out. "
                f"Received: {quality}."
            )
        unknown = sorted(set(options) - set(self.needs) - {"alpha", "icc", "exif"})
        if unknown:
            raise TfhificError(
                f"{self.name} takes {', '.join(self.needs) or 'a picture and nothing else'}. "
                f"Received: {', '.join(unknown)}."
            )
        self._check_size(image)
        return self.encode(validate_array(image), **options)

    def decompress(self, data: bytes) -> np.ndarray:
        """Decompresses a file's bytes to uint8 [H, W, 3].

        Raises:
          BitstreamError: when the bytes are damaged, cut short, or made by another model.
        """
        return self.decode(self.unpack(data))

    def compress_picture(self, picture: Picture, quality: float | None = None, **options) -> bytes:
        """Compresses a picture with its alpha plane (losslessly), ICC profile and EXIF block."""
        alpha = None if picture.alpha is None else encode_plane(picture.alpha)
        kept = {"alpha": alpha, "icc": picture.icc, "exif": picture.exif}
        return self.compress(picture.pixels, quality, **kept, **options)

    def decompress_picture(self, data: bytes) -> Picture:
        """Decompresses a file with its alpha plane and metadata.

        Raises:
          BitstreamError: as `decompress`.
        """
        contents = self.unpack(data)
        alpha = None
        if contents.alpha is not None:
            alpha = decode_plane(contents.alpha, (contents.height, contents.width))
        return Picture(self.decode(contents), alpha, contents.icc, contents.exif)

    def unpack(self, data: bytes) -> Contents:
        """A file's contents, checked as far as any model can.

        Raises:
          BitstreamError: when they are damaged, too large or of another model.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise BitstreamError(f"Expected the bytes of a .tfh file. Received: {type(data)}.")
        contents = container.unpack(bytes(data), max_pixels=self._max_pixels)
        if contents.fingerprint != self.fingerprint:
            kind = ""
            if contents.kept is not None and self.published.system != "sc":
                kind = " by selective compression (sc), which codes a region of the picture,"
            raise BitstreamError(
                f"The file was made{kind} by the model {contents.fingerprint.hex()}; this is "
                f"{self.name} ({self.published.system}, {self.fingerprint.hex()})."
            )
        limit = self.whole_pixels
        if contents.height * contents.width > limit:
            raise BitstreamError(
                refusal(contents.height, contents.width, limit, "The file's picture")
            )
        if contents.alpha is not None:
            check_plane(contents.alpha, (contents.height, contents.width))
        return contents

    def _check_size(self, image: object) -> None:
        height, width = (*getattr(image, "shape", ()), 0, 0)[:2]
        limit = min(self.whole_pixels, self._max_pixels)
        if height * width > limit:
            raise ImageError(refusal(height, width, limit, "A picture"))
