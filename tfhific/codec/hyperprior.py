"""Codec of models with a hyperprior: latents coded about their means, by scales from hyperlatents.

Ballé et al., ICLR 2018; Minnen et al., NeurIPS 2018. Systems `mini`, `mini2` and `hific`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tfc_port import coding
from tfhific import systems
from tfhific.bitstream import container
from tfhific.bitstream.container import Contents
from tfhific.codec import base
from tfhific.codec.effort import DEFAULT, TriesHarder, weight_of
from tfhific.codec.encoded import Encoded
from tfhific.codec.hyperprior_effort import HyperpriorEffort
from tfhific.codec.plausible import check_claims, cut, least_bits_of_all, least_bits_of_any
from tfhific.codec.sizes import size_of
from tfhific.codec.transforms import Transforms
from tfhific.errors import BitstreamError, TfhificError
from tfhific.pictures.images import validate_array
from tfhific.published.hyperprior import HyperpriorModel
from tfhific.published.rate import latent_bits
from tfhific.runtimes.choice import RUNTIMES

HYPERLATENTS_ALLOWANCE = 0.03
"""What up to four streams may add to z, which is some 3 % of a file: with one, as the general
allowance would have it, z would take a decoder in core ops as long as y does."""

BAND_LATENTS = 1 << 21
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


class HyperpriorCodec(base.Codec):
    """Compresses and decompresses pictures with one published model; networks work in tiles."""

    MODEL = HyperpriorModel
    RUNTIMES = RUNTIMES
    published: HyperpriorModel

    def __init__(
        self,
        published: HyperpriorModel,
        coder: str | None = None,
        tile: int | None = None,
        max_pixels: int = container.DEFAULT_MAX_PIXELS,
        precision: str = "float32",
        runtime: str = "auto",
    ) -> None:
        """See `tfhific.codec.base.Codec`."""
        super().__init__(published, coder, tile, max_pixels, precision, runtime)
        self._transforms = Transforms(published, tile, precision, self.runtime)
        self._tile = tile

    @property
    def transforms(self) -> Transforms:
        """What runs the model's networks."""
        return self._transforms

    @functools.cached_property
    def model(self) -> Any:
        """The trainable Keras model with the published weights, made when first asked for.

        Raises:
          ModelError: when the published model does not say how it was configured.
        """
        return systems.trainable(self.published)

    def estimate_bpp(self, image: np.ndarray, quality: float | None = None) -> float:
        """Bits per pixel that the trained float model assigns to a picture's rounded latents.

        Minus log2 of the probability of z and y and nothing else, divided by H * W. What a file
        takes beyond it is the price of integer tables and scales, stream ends, escapes and header.

        Args:
          image: see `encode`.
          quality: see `encode`.

        Raises:
          ImageError: when `image` is no picture, or too large.
          ArgumentError: when `quality` is outside 1..8, or is given to a model of one rate.
        """
        code = self.rates.code(quality, self.name)
        self._check_size(image)
        image = validate_array(image)
        y = self._transforms.analyse(image, code)
        z = self._transforms.hyper_analyse(y)
        model = self.published
        flat = z.reshape(-1, z.shape[-1]).T.astype(np.float64)
        bits = -np.log2(np.maximum(model.density.mass(flat), 1e-300)).sum()
        for rows in self._bands(*y.shape[:2])[1]:
            scale = model.float_scales(self._transforms.float_scales(z, rows, y.shape[1]))
            symbols = self._transforms.quantise(y, z, rows).astype(np.float64)
            bits += latent_bits(model.likelihood, symbols, scale).sum()
        return float(bits / (image.shape[0] * image.shape[1]))

    def _encode(self, image: np.ndarray, quality_code: int, side: Mapping[str, Any]) -> Encoded:
        return self.coded(size_of(image), quality_code, *self.analysed(image, quality_code))

    def harder(self) -> TriesHarder:
        """See `Codec.harder`."""
        if self.runtime != "tensorflow":
            raise TfhificError(
                f"An `effort` above {DEFAULT} takes gradients, which the runtime {self.runtime} "
                "has none of: leave `effort` out, or use the runtime tensorflow."
            )
        weight_of(self.published, 0)
        return self._effort

    @functools.cached_property
    def _effort(self) -> HyperpriorEffort:
        return HyperpriorEffort(self, self._tile)

    def analysed(self, image: np.ndarray, quality_code: int) -> tuple[np.ndarray, np.ndarray]:
        """Scaled latents of a picture, float32, and its hyperlatents, int32."""
        y = self._transforms.analyse(image, quality_code)
        return y, self._transforms.hyper_analyse(y)

    def coded(
        self,
        size: tuple[int, int],
        quality_code: int,
        y: np.ndarray,
        z: np.ndarray,
        nearest: bool = False,
    ) -> Encoded:
        """The file of latents and hyperlatents.

        Args:
          size: the picture's height and width.
          quality_code: see `tfhific.bitstream.container`.
          y: float32 [h, w, latent channels], scaled latents; what a decoder will have is put in
            their place.
          z: int32 [., ., hyperlatent channels].
          nearest: see `Transforms.quantise`.
        """
        model = self.published
        z_payload, z_streams = self._code(
            z, _channel_indexes(z.shape), model.z_tables, allowance=HYPERLATENTS_ALLOWANCE
        )
        band_rows, bands = self._bands(*size_of(y))
        payloads: list[bytes] = []
        streams: int | None = None
        for rows in bands:
            indexes = self._transforms.indexes(z, rows, y.shape[1])
            # From here on these rows are what the decoder has, in the memory of the encoder's.
            symbols = self._transforms.quantise(y, z, rows, nearest, indexes)
            payload, streams = self._code(symbols, indexes, model.y_tables, streams)
            payloads.append(payload)
        contents = Contents(
            fingerprint=model.fingerprint,
            height=size[0],
            width=size[1],
            quality_code=quality_code,
            z=z_payload,
            y=container.join_bands(payloads),
            z_streams=z_streams,
            y_streams=streams or 1,
            band_rows=band_rows,
        )
        return Encoded(contents, y)

    def _encode_again(self, contents: Contents, image: np.ndarray) -> Encoded:
        return self._encode(image, contents.quality_code, {})

    def reconstruct(self, encoded: Encoded) -> np.ndarray:
        """See `Codec.reconstruct`; the code is decoded latents before the gain."""
        contents = encoded.contents
        return self._transforms.synthesise(encoded.code, contents.quality_code, encoded.size)

    def decode_latents(self, data: bytes) -> Latents:
        """What the entropy decoder makes of a file.

        Raises:
          BitstreamError: as `decompress`.
        """
        z, bands = self._decode_latents(self.unpack(data))
        rows, indexes, y = zip(*bands)
        y = np.concatenate(y)
        y_hat = y.astype(np.float32)
        for band in rows:
            self._transforms.dequantise(y_hat, z, band)
        return Latents(y=y, z=z, y_hat=y_hat, indexes=np.concatenate(indexes))

    def _bands(self, height: int, width: int) -> tuple[int, list[slice]]:
        """The stored number of latent rows a band (0: one band), and the bands."""
        unit = self._transforms.hyper_stride
        row = width * self.published.log_gain.shape[-1]
        rows = max(BAND_LATENTS // (row * unit), 1) * unit
        if rows >= height:
            return 0, [slice(0, height)]
        return rows, cut(height, rows)

    def decode_code(self, contents: Contents) -> np.ndarray:
        """See `Codec.decode_code`: float32 [h, w, latent channels], decoded latents."""
        return self.symbols_of(contents)[0]

    def symbols_of(self, contents: Contents) -> tuple[np.ndarray, np.ndarray]:
        """Decoded latents of a file, as `decode_code` gives them, and its hyperlatents, int32.

        Raises:
          BitstreamError: as `decode`.
        """
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
        return y_hat, z

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
