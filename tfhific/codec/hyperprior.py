"""A published model as a codec: pictures to bytes and back."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator

import numpy as np

from tfc_port import coding
from tfhific.bitstream import container
from tfhific.bitstream.container import Contents
from tfhific.codec.plausible import check_claims, cut, least_bits_of_all, least_bits_of_any
from tfhific.codec.transforms import Transforms
from tfhific.errors import BitstreamError, ImageError
from tfhific.pictures.images import Picture, validate_array
from tfhific.pictures.plane import check_plane, decode_plane, encode_plane
from tfhific.published.hyperprior import Model
from tfhific.published.rate import latent_bits

HYPERLATENTS_ALLOWANCE = 0.03
"""What up to four streams may add to z, which is some 3 % of a file: with one, as the general
allowance would have it, z would take a decoder in core ops as long as y does."""

_BAND_LATENTS = 1 << 21
"""So many latents a band, about: what coding takes in memory does not grow with the picture."""


@dataclasses.dataclass(frozen=True)
class Latents:
    """What the entropy coder sees of a picture.

    Attributes:
      y: int32 [h, w, latent channels], the symbols: latents rounded about their means.
      z: int32 [., ., hyperlatent channels].
      y_hat: float32, shaped like y, the decoded latents before the gain.
      indexes: int32, shaped like y, the row of the CDF tables that codes each latent.
    """

    y: np.ndarray
    z: np.ndarray
    y_hat: np.ndarray
    indexes: np.ndarray


@dataclasses.dataclass(frozen=True)
class Coded:
    """A compressed picture with what its decoder will see.

    Attributes:
      data: the file's bytes.
      y_hat: float32 [h, w, latent channels], decoded latents before the gain.
      quality_code: the stored quality.
      size: height and width in pixels.
    """

    data: bytes
    y_hat: np.ndarray
    quality_code: int
    size: tuple[int, int]


class Codec:
    """Compresses and decompresses pictures with one published model.

    Attributes:
      published: the model's arrays and description.
    """

    whole_picture = False
    """Whether networks see a picture at once, and `encode` takes what it needs by `needs`."""
    needs: tuple[str, ...] = ()
    """Names of what `encode` takes beside the picture and the quality."""

    def __init__(
        self,
        published: Model,
        coder: str | None = None,
        tile: int | None = None,
        max_pixels: int = container.DEFAULT_MAX_PIXELS,
        precision: str = "float32",
    ) -> None:
        """Initializer.

        Args:
          published: the model.
          coder: implementation of the entropy coder, `native`, `python` or `graph`; None for
            `native` where TFC's kernels are installed and `python` elsewhere, since a picture is
            coded by it before the graph is traced. They read and write the same streams.
          tile: side of the tiles, in pixels, that networks run on; None to choose by size.
          max_pixels: larger pictures are refused, in both directions.
          precision: of the analysis and synthesis transforms, `float32` or `bfloat16`; any of
            them reads what any wrote.

        Raises:
          ArgumentError: when `tile` is too small, or for another precision.
        """
        self.published = published
        self._coder = coder or ("native" if "native" in coding.available() else "python")
        self._transforms = Transforms(published, tile, precision)
        self._max_pixels = max_pixels

    @property
    def name(self) -> str:
        return self.published.name

    @property
    def fingerprint(self) -> bytes:
        """8 bytes that a file names its model by."""
        return self.published.fingerprint

    @functools.cached_property
    def single_rate(self) -> bool:
        """Whether the model has one rate: a quality is then accepted and has no effect."""
        return self.published.single_rate

    @functools.cached_property
    def model(self):
        """The trainable Keras model with the published weights, made when first asked for.

        Raises:
          ModelError: when the published model does not say how it was configured.
        """
        from tfhific.publishing.trainable import trainable

        return trainable(self.published)

    def compress(self, image: np.ndarray, quality: float = 5.0) -> bytes:
        """Compresses a picture.

        Args:
          image: uint8 [H, W, 3], RGB, H and W at least 1. Grey [H, W] is taken as RGB.
          quality: 1 (smallest) to 8 (best), fractions allowed.

        Returns:
          The bytes of a `.tfh` file.

        Raises:
          ImageError: when `image` is no such array, or too large.
          ArgumentError: when `quality` is outside 1..8.
        """
        return self.encode(image, quality).data

    def decompress(self, data: bytes) -> np.ndarray:
        """Decompresses a `.tfh` file's bytes.

        Returns:
          uint8 [H, W, 3], RGB.

        Raises:
          BitstreamError: when the bytes are damaged, cut short, or made by another model.
        """
        return self._decode(self._unpack(data))

    def estimate_bpp(self, image: np.ndarray, quality: float = 5.0) -> float:
        """Bits per pixel that the trained float model assigns to a picture's rounded latents.

        Minus log2 of the probability of z and y and nothing else, divided by H * W. What a file
        takes beyond it is the price of integer tables and scales, stream ends, escapes and header.

        Args:
          image: uint8 [H, W, 3].
          quality: 1 to 8.

        Raises:
          ImageError: when `image` is no such array, or too large.
          ArgumentError: when `quality` is outside 1..8.
        """
        image = self._checked(image)
        y = self._transforms.analyse(image, self._quality_code(quality))
        z = self._transforms.hyper_analyse(y)
        model = self.published
        flat = z.reshape(-1, z.shape[-1]).T.astype(np.float64)
        bits = -np.log2(np.maximum(model.density.mass(flat), 1e-300)).sum()
        for rows in self._bands(*y.shape[:2])[1]:
            scale = model.float_scales(self._transforms.float_scales(z, rows, y.shape[1]))
            symbols = self._transforms.quantise(y, z, rows).astype(np.float64)
            bits += latent_bits(model.likelihood, symbols, scale).sum()
        return float(bits / (image.shape[0] * image.shape[1]))

    def encode(self, image: np.ndarray, quality: float = 5.0, **metadata: bytes | None) -> Coded:
        """Like `compress`, and keeps what `reconstruct` needs.

        Args:
          image: uint8 [H, W, 3].
          quality: 1 to 8.
          **metadata: `alpha` (a grey PNG), `icc`, `exif`; bytes stored as they are.
        """
        image = self._checked(image)
        code = self._quality_code(quality)
        model = self.published
        y = self._transforms.analyse(image, code)
        z = self._transforms.hyper_analyse(y)
        z_payload, z_streams = self._code(
            z, _channel_indexes(z.shape), model.z_tables, allowance=HYPERLATENTS_ALLOWANCE
        )
        band_rows, bands = self._bands(*y.shape[:2])
        payloads, streams = [], None
        for rows in bands:
            indexes = self._transforms.indexes(z, rows, y.shape[1])
            # From here on these rows are what the decoder has, in the memory of the encoder's.
            symbols = self._transforms.quantise(y, z, rows)
            payload, streams = self._code(symbols, indexes, model.y_tables, streams)
            payloads.append(payload)
        contents = Contents(
            fingerprint=model.fingerprint,
            height=image.shape[0],
            width=image.shape[1],
            quality_code=code,
            z=z_payload,
            y=container.join_bands(payloads),
            z_streams=z_streams,
            y_streams=streams,
            band_rows=band_rows,
            **metadata,
        )
        return Coded(container.pack(contents), y, code, image.shape[:2])

    def reconstruct(self, coded: Coded) -> np.ndarray:
        """What `decompress` will make of `coded.data`, from the encoder's side.

        Returns:
          uint8 [H, W, 3].
        """
        return self._transforms.synthesise(coded.y_hat, coded.quality_code, coded.size)

    def compress_picture(self, picture: Picture, quality: float = 5.0) -> bytes:
        """Compresses a picture with its alpha plane (losslessly), ICC profile and EXIF block."""
        alpha = None if picture.alpha is None else encode_plane(picture.alpha)
        coded = self.encode(
            picture.pixels, quality, alpha=alpha, icc=picture.icc, exif=picture.exif
        )
        return coded.data

    def decompress_picture(self, data: bytes) -> Picture:
        """Decompresses a file with its alpha plane and metadata.

        Raises:
          BitstreamError: as `decompress`.
        """
        contents = self._unpack(data)
        alpha = None
        if contents.alpha is not None:
            alpha = decode_plane(contents.alpha, (contents.height, contents.width))
        pixels = self._decode(contents)
        return Picture(pixels=pixels, alpha=alpha, icc=contents.icc, exif=contents.exif)

    def decode_latents(self, data: bytes) -> Latents:
        """What the entropy decoder makes of a file.

        Raises:
          BitstreamError: as `decompress`.
        """
        z, bands = self._decode_latents(self._unpack(data))
        rows, indexes, y = zip(*bands)
        y = np.concatenate(y)
        y_hat = y.astype(np.float32)
        for band in rows:
            self._transforms.dequantise(y_hat, z, band)
        return Latents(y=y, z=z, y_hat=y_hat, indexes=np.concatenate(indexes))

    def _quality_code(self, quality: float) -> int:
        """What a file says of its quality: 0 where the model has one rate."""
        code = container.quality_code(quality)
        return 0 if self.single_rate else code

    def _checked(self, image: np.ndarray) -> np.ndarray:
        # The size first: making the array contiguous may copy all of it.
        height, width = (*getattr(image, "shape", ()), 0, 0)[:2]
        if height * width > self._max_pixels:
            raise ImageError(
                f"expected a picture of at most {self._max_pixels:,} pixels, received "
                f"{width}x{height}; raise the limit or scale it down"
            )
        return validate_array(image)

    def _unpack(self, data: bytes) -> Contents:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise BitstreamError(f"Expected the bytes of a .tfh file. Received: {type(data)}.")
        contents = container.unpack(bytes(data), max_pixels=self._max_pixels)
        if contents.fingerprint != self.fingerprint:
            raise BitstreamError(
                f"The file was made by the model {contents.fingerprint.hex()}; this is "
                f"{self.name} ({self.fingerprint.hex()})."
            )
        if contents.alpha is not None:
            check_plane(contents.alpha, (contents.height, contents.width))
        return contents

    def _bands(self, height: int, width: int) -> tuple[int, list[slice]]:
        """The stored number of latent rows a band (0: one band), and the bands."""
        unit = self._transforms.hyper_stride
        row = width * self.published.log_gain.shape[-1]
        rows = max(_BAND_LATENTS // (row * unit), 1) * unit
        if rows >= height:
            return 0, [slice(0, height)]
        return rows, cut(height, rows)

    def _decode(self, contents: Contents) -> np.ndarray:
        height, width = self._transforms.latent_size((contents.height, contents.width))
        z, bands = self._decode_latents(contents)
        y_hat = np.empty([height, width, self.published.log_gain.shape[-1]], np.float32)
        decoded = []
        for rows, _, symbols in bands:
            y_hat[rows] = symbols
            decoded.append(rows)
        # Only now: the second half of a checkerboard is predicted from rows of the next band too.
        for rows in decoded:
            self._transforms.dequantise(y_hat, z, rows)
        return self._transforms.synthesise(
            y_hat, contents.quality_code, (contents.height, contents.width)
        )

    def _decode_latents(self, contents: Contents) -> tuple[np.ndarray, Iterator[tuple]]:
        """The hyperlatents, and an iterator over rows, indexes and symbols of the bands."""
        model, transforms = self.published, self._transforms
        height, width = transforms.latent_size((contents.height, contents.width))
        z_shape = (*transforms.hyper_size((height, width)), model.z_tables.rows)
        cuts, payloads = check_claims(
            contents,
            z_shape=z_shape,
            y_shape=(height, width, model.log_gain.shape[-1]),
            unit=transforms.hyper_stride,
            least_z_bits=self._least_bits[0],
            least_y_bits=self._least_bits[1],
        )
        z = self._decode_symbols(
            contents.z, _channel_indexes(z_shape), model.z_tables, contents.z_streams
        )

        def bands() -> Iterator[tuple]:
            for rows, payload in zip(cuts, payloads):
                indexes = transforms.indexes(z, rows, width)
                symbols = self._decode_symbols(payload, indexes, model.y_tables, contents.y_streams)
                yield rows, indexes, symbols

        return z, bands()

    @functools.cached_property
    def _least_bits(self) -> tuple[float, float]:
        """Bits that a position of hyperlatents, and a latent, take at the least."""
        model = self.published
        return least_bits_of_all(model.z_tables), least_bits_of_any(model.y_tables)

    def _decode_symbols(self, payload, indexes, tables, streams) -> np.ndarray:
        try:
            flat = coding.decode(
                payload, indexes.ravel(), tables, streams=streams, implementation=self._coder
            )
        except coding.CodingError as error:
            raise BitstreamError(f"The file's latents can't be decoded: {error}") from None
        return flat.reshape(indexes.shape)

    def _code(
        self,
        values,
        indexes,
        tables,
        streams: int | None = None,
        allowance: float = coding.ALLOWANCE,
    ) -> tuple[bytes, int]:
        """Payload and number of streams, which is chosen by the payload's size where not given."""
        values, indexes = values.ravel(), indexes.ravel()
        if streams is None:
            size = coding.estimate_bytes(values, indexes, tables)
            streams = coding.choose_streams(size, allowance)
        payload = coding.encode(
            values, indexes, tables, streams=streams, implementation=self._coder
        )
        return payload, streams


def _channel_indexes(shape: tuple) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(np.arange(shape[-1], dtype=np.int32), shape))
