"""What every codec is: pictures to a file's bytes and back, by one published model.

A codec of another kind of model implements `_encode`, `decode_code`, `reconstruct` and
`_encode_again`; all else is the same for all.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
import math
import os
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tfc_port import coding
from tfhific.bitstream import container
from tfhific.bitstream.container import Contents
from tfhific.codec import effort as efforts
from tfhific.codec.effort import Progress, TriesHarder
from tfhific.codec.encoded import Encoded
from tfhific.codec.rate_search import bound_in_bytes, largest_that_fits, largest_with_effort
from tfhific.codec.rates import Rates, rates_of
from tfhific.codec.sizes import beyond_limit, beyond_memory
from tfhific.errors import BitstreamError, ImageError, ModelError, TfhificError
from tfhific.pictures.images import Picture, validate_array
from tfhific.pictures.plane import check_plane, decode_plane, encode_plane
from tfhific.published.model import PublishedModel
from tfhific.runtimes import choice


class Codec(abc.ABC):
    """Compresses and decompresses pictures with one published model.

    Attributes:
      published: the model.
      runtime: the name of what runs its networks.
    """

    MODEL: ClassVar[type[PublishedModel]]
    """The kind of published model that it runs."""
    IN_TILES: ClassVar[bool] = True
    """Whether networks can run on a picture in tiles; else they see it whole, in float32."""
    RUNTIMES: ClassVar[tuple[str, ...]] = ("tensorflow",)
    """What can run the networks: see `tfhific.runtimes.choice`."""

    def __init__(
        self,
        published: PublishedModel,
        coder: str | None = None,
        tile: int | None = None,
        max_pixels: int = container.DEFAULT_MAX_PIXELS,
        precision: str = "float32",
        runtime: str = "auto",
    ) -> None:
        """Initializer.

        Args:
          published: the model.
          coder: implementation of the entropy coder, `native`, `python` or `graph`; None for
            `native` where TFC's kernels are installed and `python` elsewhere, since a picture is
            coded by it before the graph is traced. They read and write the same streams.
          tile: side of the tiles, in pixels, that networks run on; None to choose by size, and
            always None for a model that sees the whole picture.
          max_pixels: larger pictures are refused, in both directions.
          precision: of the networks that see or make pictures, `float32` or `bfloat16`; any of
            them reads what any wrote. A model that sees the whole picture has `float32` alone.
          runtime: what runs the networks: `tensorflow`; `litert`, for which TensorFlow need not be
            installed; `auto`, the first of them that is; or `light`, which starts soonest: `litert`
            where it is installed and has the model's layers and the precision, unless TensorFlow is
            imported already, and else `tensorflow`. Files of either are read by both, and pixels
            are within one of each other.

        Raises:
          ModelError: when the model is of another kind than the codec's, or has layers that the
            runtime doesn't.
          ArgumentError: for a `tile` that is too small, another precision or another runtime.
          TfhificError: for tiles, a precision or a runtime that the model doesn't have.
        """
        if not isinstance(published, self.MODEL):
            raise ModelError(
                f"{published.name} says that it is of {published.system}, and does not hold what "
                "such a model holds."
            )
        if tile is not None and not self.IN_TILES:
            raise TfhificError(
                f"{published.name} sees the whole picture, because its layers normalise over all "
                "of it: it can't work in tiles. Leave `tile` out."
            )
        if precision != "float32" and not self.IN_TILES:
            raise TfhificError(f"{published.name} works in float32. Received: {precision!r}.")
        self.published = published
        self.runtime = self.runtime_for(published, runtime, precision)
        self._coder = coder or _coder_for(self.runtime)
        self._max_pixels = max_pixels

    @classmethod
    def runtime_for(
        cls, published: PublishedModel, wanted: str = choice.AUTO, precision: str = "float32"
    ) -> str:
        """The name of what would run a model's networks.

        Args:
          published: the model.
          wanted: the `runtime` that a codec of it is to be made with.
          precision: likewise.

        Raises:
          TfhificError: as the codec, for a runtime.
        """
        networks = published.networks.values()
        return choice.choose(
            wanted,
            cls.RUNTIMES,
            published.name,
            lambda name: choice.suits(name, networks, precision),
        )

    # What is true of a model.

    @property
    def name(self) -> str:
        """The model's name."""
        return self.published.name

    @property
    def fingerprint(self) -> bytes:
        """8 bytes that a file names its model by."""
        return self.published.fingerprint

    @functools.cached_property
    def rates(self) -> Rates:
        """Which qualities there are."""
        return rates_of(self.published)

    @property
    def single_rate(self) -> bool:
        """Whether there is one rate: such a codec takes no quality."""
        return self.rates.single

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of what `encode` takes beside the picture and the quality.

        Of these: `labels`, `kept`, `search` and `label`; see the codecs that take them.
        """
        return ()

    @property
    def classes(self) -> int:
        """Of label maps, or of pictures; 0 for a model that knows none."""
        return 0

    @property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, as many as there are; empty where they have none."""
        return ()

    @property
    def whole_pixels(self) -> int | None:
        """The most pixels of a picture that networks see whole; None where they work in tiles."""
        return None

    def check_published(self, folder: str) -> None:
        """Checks that the model's description and networks fit each other, before they are used.

        Args:
          folder: where it was read from, for the message.

        Raises:
          ModelError: when they don't.
        """
        try:
            wrong = [what for what, fits in self._published_fits().items() if not fits]
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ModelError(f"{folder!r} holds an incomplete model ({error!r:.200}).") from None
        if wrong:
            raise ModelError(f"{folder!r} holds an inconsistent model: its {wrong[0]} do not fit.")

    def _published_fits(self) -> dict[str, bool]:
        """Whether what the model says of itself holds, by what it is about."""
        return {}

    # Sizes.

    def fits(self, height: int, width: int) -> bool:
        """Whether pictures of a size in pixels can be compressed and decompressed."""
        return 0 < height * width <= min(self.whole_pixels or self._max_pixels, self._max_pixels)

    def _check_size(self, image: object) -> None:
        height, width = (*getattr(image, "shape", ()), 0, 0)[:2]
        if not height * width or self.fits(height, width):
            return
        limit = min(self.whole_pixels or self._max_pixels, self._max_pixels)
        if self.whole_pixels is None:
            raise ImageError(beyond_limit(height, width, limit))
        raise ImageError(beyond_memory(height, width, limit, "A picture"))

    # To files.

    def encode(
        self,
        image: np.ndarray,
        quality: float | None = None,
        *,
        effort: int | None = None,
        lpips: str | os.PathLike | None = None,
        progress: Progress | None = None,
        alpha: bytes | None = None,
        icc: bytes | None = None,
        exif: bytes | None = None,
        **side: Any,
    ) -> Encoded:
        """Like `compress`, and keeps what `reconstruct` needs.

        Args:
          image: uint8 [H, W, 3], RGB, H and W at least 1. Grey [H, W] is taken as RGB.
          quality: 1 (smallest) to 8 (best), fractions allowed; None for 5. A model of one rate
            takes None alone.
          effort: 1 (fastest) to 9 (smallest files at equal quality); None for 1. Any decoder reads
            the files of any. See `tfhific.codec.effort`.
          lpips: file of LPIPS weights, with an effort of 5 to 9: the distance then counts more than
            squared errors do, as this model's decoder shows the picture. For a model whose decoder
            was trained for it.
          progress: told of steps done and of how many there are, at an effort above 1.
          alpha: a grey PNG of the alpha plane, stored as it is.
          icc: an ICC profile, stored as it is.
          exif: an EXIF block, stored as it is.
          **side: what the model takes beside the picture, by the names in `needs`.

        Raises:
          ImageError: when `image` is no such array, or too large, or what is beside it is missing
            or doesn't fit.
          ArgumentError: when `quality` is outside 1..8, or is given to a model of one rate, or
            `effort` is outside 1..9, or below 5 with `lpips`.
          ModelError: when `lpips` is missing, or holds something else.
          TfhificError: for what the model doesn't take.
        """
        effort = efforts.checked(effort)
        efforts.check_perception(effort, lpips)
        code = self.rates.code(quality, self.name)
        unknown = sorted(set(side) - set(self.needs))
        if unknown:
            raise TfhificError(
                f"{self.name} takes {', '.join(self.needs) or 'a picture and nothing else'}. "
                f"Received: {', '.join(unknown)}."
            )
        # The size first: making the array contiguous may copy all of it.
        self._check_size(image)
        if effort == efforts.DEFAULT:
            encoded = self._encode(validate_array(image), code, side)
        else:
            harder = self.harder()
            encoded = harder.encode(validate_array(image), code, effort, progress, lpips)
        contents = dataclasses.replace(encoded.contents, alpha=alpha, icc=icc, exif=exif)
        return dataclasses.replace(encoded, contents=contents)

    def harder(self) -> TriesHarder:
        """What encodes at an effort above 1.

        Raises:
          TfhificError: where there is none.
        """
        raise TfhificError(
            f"{self.name} has no `effort` above {efforts.DEFAULT}: its codes are not chosen by "
            "bits and squared errors. Leave `effort` out."
        )

    @abc.abstractmethod
    def _encode(self, image: np.ndarray, quality_code: int, side: Mapping[str, Any]) -> Encoded:
        """Encodes a checked picture, without metadata."""

    def compress(self, image: np.ndarray, quality: float | None = None, **side: Any) -> bytes:
        """Compresses a picture.

        Args:
          image: see `encode`.
          quality: see `encode`.
          **side: see `encode`.

        Returns:
          The bytes of a `.tfh` file.

        Raises:
          TfhificError: as `encode`.
        """
        return self.encode(image, quality, **side).data

    def compress_picture(
        self, picture: Picture, quality: float | None = None, **side: Any
    ) -> bytes:
        """Compresses a picture with its alpha plane (losslessly), ICC profile and EXIF block."""
        alpha = None if picture.alpha is None else encode_plane(picture.alpha)
        encoded = self.encode(
            picture.pixels, quality, alpha=alpha, icc=picture.icc, exif=picture.exif, **side
        )
        return encoded.data

    def compress_to(
        self,
        picture: Picture,
        *,
        max_bytes: int | None = None,
        max_bpp: float | None = None,
        effort: int | None = None,
        **side: Any,
    ) -> bytes:
        """Compresses a picture at the largest quality whose file is within a bound.

        At an effort above 1 the quality is searched for without it, then made good in up to three
        files: the quality may be a little below the largest.

        Args:
          picture: with its alpha plane and metadata, which count; `Picture(pixels)` of an array.
          max_bytes: what the file may take; or
          max_bpp: what it may take in bits per pixel.
          effort: see `encode`.
          **side: see `encode`.

        Returns:
          The bytes of a `.tfh` file; `quality_of` says at which quality.

        Raises:
          ArgumentError: for none or both of the bounds, or one that is no positive number.
          TfhificError: as `encode`, and where even the smallest file takes more.
        """
        height, width = picture.pixels.shape[:2]
        limit = bound_in_bytes(max_bytes, max_bpp, height * width)
        effort = efforts.checked(effort)
        efforts.check_perception(effort, side.get("lpips"))

        def slow(quality: float | None = None) -> bytes:
            return self.compress_picture(picture, quality, effort=effort, **side)

        def quick(quality: float) -> bytes:
            ours = ("progress", "lpips")
            without = {name: value for name, value in side.items() if name not in ours}
            return self.compress_picture(picture, quality, **without)

        if not self.rates.single:
            ends = self.rates.lowest, self.rates.highest
            if effort != efforts.DEFAULT:
                self.harder()
                return largest_with_effort(quick, slow, limit, *ends)
            return largest_that_fits(quick, limit, *ends)[0]
        data = slow()
        if len(data) > limit:
            raise TfhificError(
                f"{limit:,} bytes can't be reached: {self.name} has one rate, at which the file "
                f"takes {len(data):,} bytes."
            )
        return data

    def quality_of(self, data: bytes) -> float | None:
        """The quality that a file was made at; None of a model of one rate.

        Raises:
          BitstreamError: as `decompress`.
        """
        contents = self.unpack(data)
        return None if self.rates.single else contents.quality

    def estimate_bpp(self, image: np.ndarray, quality: float | None = None) -> float:
        """Bits per pixel that the trained float model assigns to what is coded of a picture.

        NaN where there is no such model beside the tables that code.

        Args:
          image: see `encode`.
          quality: see `encode`.

        Raises:
          TfhificError: as `encode`.
        """
        self.rates.code(quality, self.name)
        return math.nan

    # From files.

    def decompress(self, data: bytes) -> np.ndarray:
        """Decompresses a `.tfh` file's bytes.

        Returns:
          uint8 [H, W, 3], RGB.

        Raises:
          BitstreamError: when the bytes are damaged, cut short, or made by another model.
        """
        return self.decode(self.unpack(data))

    def decompress_picture(self, data: bytes) -> Picture:
        """Decompresses a file with its alpha plane and metadata.

        Raises:
          BitstreamError: as `decompress`.
        """
        contents = self.unpack(data)
        alpha = None
        if contents.alpha is not None:
            alpha = decode_plane(contents.alpha, contents.size)
        return Picture(self.decode(contents), alpha, contents.icc, contents.exif)

    def decode(self, contents: Contents) -> np.ndarray:
        """The picture of a file's contents, uint8 [H, W, 3].

        Raises:
          BitstreamError: when they don't fit each other or this model.
        """
        return self.reconstruct(Encoded(contents, self.decode_code(contents)))

    @abc.abstractmethod
    def decode_code(self, contents: Contents) -> np.ndarray:
        """What the entropy decoder makes of a file's contents: see `Encoded.code`.

        Raises:
          BitstreamError: as `decode`.
        """

    @abc.abstractmethod
    def reconstruct(self, encoded: Encoded) -> np.ndarray:
        """What `decompress` will make of `encoded.data`, from the encoder's side.

        Returns:
          uint8 [H, W, 3].
        """

    def unpack(self, data: bytes) -> Contents:
        """A file's contents, checked as far as it can be without decoding.

        Raises:
          BitstreamError: when they are damaged, too large or of another model.
        """
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise BitstreamError(f"Expected the bytes of a .tfh file. Received: {type(data)}.")
        contents = container.unpack(bytes(data), max_pixels=self._max_pixels)
        if contents.fingerprint != self.fingerprint:
            kind = ""
            if contents.kept is not None and "kept" not in self.needs:
                kind = " by selective compression (sc), which codes a region of the picture,"
            raise BitstreamError(
                f"The file was made{kind} by the model {contents.fingerprint.hex()}; this is "
                f"{self.name} ({self.fingerprint.hex()})."
            )
        size = contents.size
        if self.whole_pixels is not None and size[0] * size[1] > self.whole_pixels:
            raise BitstreamError(beyond_memory(*size, self.whole_pixels, "The file's picture"))
        if contents.alpha is not None:
            check_plane(contents.alpha, size)
        return contents

    # Whether a file is a picture's.

    def holds(self, data: bytes, image: np.ndarray) -> bool:
        """Whether a file decodes to the code that encoding a picture so gives.

        Of a searched code the search is not made again: the file's own is coded once more. A file
        of an effort above 1 doesn't hold in this sense; see `verify`.

        Args:
          data: a `.tfh` file of this model.
          image: uint8 [H, W, 3].

        Raises:
          BitstreamError: as `decompress`.
        """
        contents = self.unpack(data)
        encoded = self._encode_again(contents, validate_array(image))
        return (
            encoded.size == contents.size
            and self._same_payload(contents, encoded.contents)
            and bool(np.array_equal(self.decode_code(contents), encoded.code))
        )

    def verify(
        self,
        data: bytes,
        picture: Picture,
        effort: int | None = None,
        lpips: str | os.PathLike | None = None,
    ) -> Picture:
        """Decodes a file as a reader would, and compares that with the encoder's prediction.

        At an effort above 1 symbols are not chosen again: the file's own are coded once more, and
        may not cost more than those that effort 1 gives the picture.

        Args:
          data: a `.tfh` file of this model.
          picture: that it was made of.
          effort: that it was made with; see `encode`.
          lpips: likewise.

        Returns:
          The decoded picture.

        Raises:
          BitstreamError: as `decompress`.
          TfhificError: when the file does not decode to what was encoded, its alpha plane included.
          ArgumentError: as `encode`.
        """
        effort = efforts.checked(effort)
        decoded = self.decompress_picture(data)
        contents = self.unpack(data)
        if effort == efforts.DEFAULT:
            encoded = self._encode_again(contents, picture.pixels)
        else:
            encoded = self.harder().encode_again(contents, picture.pixels, lpips)
        same = self._same_payload(contents, encoded.contents)
        same = same and np.array_equal(decoded.pixels, self.reconstruct(encoded))
        if picture.alpha is not None:
            alpha = decoded.alpha
            same = same and alpha is not None and np.array_equal(alpha, picture.alpha)
        if not same:
            raise TfhificError("the file does not decode to what was encoded")
        return decoded

    @abc.abstractmethod
    def _encode_again(self, contents: Contents, image: np.ndarray) -> Encoded:
        """What encoding a picture gives with the quality and what else a file's contents say."""

    def _same_payload(self, contents: Contents, again: Contents) -> bool:
        """Whether payloads agree, where that is to be asked: other encoders may band otherwise."""
        return True


def _coder_for(runtime: str) -> str:
    """The coder for one picture. TFC's kernels need TensorFlow: without it nobody asks for them."""
    native = runtime == "tensorflow" and "native" in coding.available()
    return "native" if native else "python"
