"""A published model as a codec: pictures to bytes and back."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from tfc_port import coding
from tfhific.codec import container
from tfhific.codec.container import Contents
from tfhific.codec.images import Picture, read_picture, validate_array
from tfhific.codec.model import Model
from tfhific.codec.rate import gaussian_bits
from tfhific.errors import BitstreamError, ImageError

_MAX_SYMBOL = 1 << 24

MAX_WHOLE_PIXELS = 40_000_000
"""Pictures are coded whole, in memory that grows with their size: larger ones are refused."""


@dataclasses.dataclass(frozen=True)
class Latents:
    """What the entropy coder sees of a picture.

    Attributes:
      y: int32 [h, w, latent channels], latents rounded about their means.
      z: int32 [ceil(h / 4), ceil(w / 4), hyperlatent channels].
      mean: float32, shaped like y.
      indexes: int32, shaped like y, the row of the CDF tables that codes each latent.
    """

    y: np.ndarray
    z: np.ndarray
    mean: np.ndarray
    indexes: np.ndarray


@dataclasses.dataclass(frozen=True)
class Coded:
    """A compressed picture with what its decoder will show.

    Attributes:
      data: the file's bytes.
      latents: what was coded.
      quality_code: the stored quality.
      size: height and width in pixels.
    """

    data: bytes
    latents: Latents
    quality_code: int
    size: tuple[int, int]


class Codec:
    """Compresses and decompresses pictures with one published model.

    Attributes:
      published: the model's arrays and description.
    """

    def __init__(self, published: Model, coder: str | None = None) -> None:
        """Initializer.

        Args:
          published: the model.
          coder: implementation of the entropy coder (`native`, `python`, ...); None for the
            fastest one here. They read and write the same streams.
        """
        self.published = published
        self._coder = coder

    @property
    def name(self) -> str:
        return self.published.name

    @property
    def fingerprint(self) -> bytes:
        """8 bytes that a file names its model by."""
        return self.published.fingerprint

    @functools.cached_property
    def _stride(self) -> int:
        return self.published.networks["analysis"].strides()[0]

    @functools.cached_property
    def _hyper_stride(self) -> int:
        return self.published.networks["hyper_analysis"].strides()[0]

    def compress(self, image: np.ndarray, quality: float = 5.0) -> bytes:
        """Compresses a picture.

        Args:
          image: uint8 [H, W, 3], RGB, H and W at least 1. Grey [H, W] is taken as RGB.
          quality: 1 (smallest) to 8 (best), fractions allowed.

        Returns:
          The bytes of a `.tfh` file.

        Raises:
          ImageError: when `image` is no such array.
          ValueError: when `quality` is outside 1..8.
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
          ImageError: when `image` is no such array.
          ValueError: when `quality` is outside 1..8.
        """
        import tensorflow as tf

        image = _check_size(validate_array(image))
        latents = self._latents(image, container.quality_code(quality))
        model = self.published
        z = latents.z.reshape(-1, latents.z.shape[-1]).T.astype(np.float64)
        bits = -np.log2(np.maximum(model.density.mass(z), 1e-300)).sum()
        network = model.networks["hyper_synthesis_scale"]
        raw = network(tf.constant(latents.z[None], tf.float32)).numpy()[0].astype(np.float64)
        height, width = latents.y.shape[:2]
        index = model.scale_gain * raw[:height, :width] + model.scale_centre
        log_scales = np.log(model.scales)
        scale = np.exp(np.interp(index, np.arange(len(log_scales)), log_scales))
        bits += gaussian_bits(latents.y.astype(np.float64), scale).sum()
        return float(bits / (image.shape[0] * image.shape[1]))

    def encode(self, image: np.ndarray, quality: float = 5.0, **metadata: bytes | None) -> Coded:
        """Like `compress`, and keeps what `reconstruct` needs.

        Args:
          image: uint8 [H, W, 3].
          quality: 1 to 8.
          **metadata: `alpha` (a grey PNG), `icc`, `exif`; bytes stored as they are.
        """
        image = _check_size(validate_array(image))
        code = container.quality_code(quality)
        latents = self._latents(image, code)
        model = self.published
        z_indexes = _channel_indexes(latents.z.shape)
        z, z_streams = self._code(latents.z, z_indexes, model.z_tables)
        y, y_streams = self._code(latents.y, latents.indexes, model.y_tables)
        contents = Contents(
            fingerprint=model.fingerprint,
            height=image.shape[0],
            width=image.shape[1],
            quality_code=code,
            z=z,
            y=y,
            z_streams=z_streams,
            y_streams=y_streams,
            **metadata,
        )
        return Coded(container.pack(contents), latents, code, image.shape[:2])

    def reconstruct(self, coded: Coded) -> np.ndarray:
        """What `decompress` will make of `coded.data`, from the encoder's side.

        Returns:
          uint8 [H, W, 3].
        """
        return self._synthesise(coded.latents, coded.quality_code, coded.size)

    def compress_picture(self, picture: Picture, quality: float = 5.0) -> bytes:
        """Compresses a picture with its alpha plane (losslessly), ICC profile and EXIF block."""
        alpha = None
        if picture.alpha is not None:
            alpha = _encode_plane(picture.alpha)
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
        pixels = self._decode(contents)
        alpha = None
        if contents.alpha is not None:
            alpha = _decode_plane(contents.alpha, pixels.shape[:2])
        return Picture(pixels=pixels, alpha=alpha, icc=contents.icc, exif=contents.exif)

    def _unpack(self, data: bytes) -> Contents:
        if not isinstance(data, (bytes, bytearray, memoryview)):
            raise BitstreamError(f"Expected the bytes of a .tfh file. Received: {type(data)}.")
        contents = container.unpack(bytes(data), max_pixels=MAX_WHOLE_PIXELS)
        if contents.fingerprint != self.fingerprint:
            raise BitstreamError(
                f"The file was made by the model {contents.fingerprint.hex()}; this is "
                f"{self.name} ({self.fingerprint.hex()})."
            )
        return contents

    def _decode(self, contents: Contents) -> np.ndarray:
        model = self.published
        size = contents.height, contents.width
        height, width = (-(-side // self._stride) for side in size)
        z_shape = (
            -(-height // self._hyper_stride),
            -(-width // self._hyper_stride),
            model.z_tables.rows,
        )
        z = self._decode_symbols(
            contents.z, _channel_indexes(z_shape), model.z_tables, contents.z_streams
        )
        mean, indexes = self._predict(z, height, width)
        y = self._decode_symbols(contents.y, indexes, model.y_tables, contents.y_streams)
        return self._synthesise(Latents(y, z, mean, indexes), contents.quality_code, size)

    def _decode_symbols(self, payload, indexes, tables, streams) -> np.ndarray:
        try:
            flat = coding.decode(
                payload, indexes.ravel(), tables, streams=streams, implementation=self._coder
            )
        except coding.CodingError as error:
            raise BitstreamError(f"The file's latents can't be decoded: {error}") from None
        return flat.reshape(indexes.shape)

    def _code(self, values, indexes, tables) -> tuple[bytes, int]:
        values, indexes = values.ravel(), indexes.ravel()
        payload = coding.encode(values, indexes, tables, streams=1, implementation=self._coder)
        streams = coding.choose_streams(len(payload))
        if streams > 1:
            payload = coding.encode(
                values, indexes, tables, streams=streams, implementation=self._coder
            )
        return payload, streams

    def _latents(self, image: np.ndarray, quality_code: int) -> Latents:
        import tensorflow as tf

        model = self.published
        padded = _extend(image, self._stride)
        x = tf.constant(padded[None], tf.float32) / 255.0 - 0.5
        y = model.networks["analysis"](x).numpy()[0] * self._gain(model.log_gain, quality_code)
        wide = _extend(y, self._hyper_stride)
        z = model.networks["hyper_analysis"](tf.constant(wide[None])).numpy()[0]
        z = _to_symbols(z)
        mean, indexes = self._predict(z, *y.shape[:2])
        return Latents(_to_symbols(y - mean), z, mean, indexes)

    def _predict(self, z: np.ndarray, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
        import tensorflow as tf

        model = self.published
        mean = model.networks["hyper_synthesis_mean"](tf.constant(z[None], tf.float32)).numpy()[0]
        indexes = model.branch(z[None])[0]
        return (
            np.ascontiguousarray(mean[:height, :width]),
            np.ascontiguousarray(indexes[:height, :width]),
        )

    def _synthesise(self, latents: Latents, quality_code: int, size: tuple) -> np.ndarray:
        import tensorflow as tf

        gain = self._gain(self.published.log_inverse_gain, quality_code)
        y = (latents.y.astype(np.float32) + latents.mean) * gain
        x = self.published.networks["synthesis"](tf.constant(y[None]))
        x = tf.saturate_cast(tf.round((x[0, : size[0], : size[1]] + 0.5) * 255.0), tf.uint8)
        return x.numpy()

    @staticmethod
    def _gain(table: np.ndarray, quality_code: int) -> np.ndarray:
        position = quality_code / container.QUALITY_STEPS
        below = min(int(position), len(table) - 2)
        share = np.float32(position - below)
        return np.exp(table[below] + share * (table[below + 1] - table[below]))


def _check_size(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    if height * width > MAX_WHOLE_PIXELS:
        raise ImageError(
            f"expected a picture of at most {MAX_WHOLE_PIXELS:,} pixels, received {width}x{height}"
            "; scale it down or cut it into parts"
        )
    return image


def _to_symbols(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), -_MAX_SYMBOL, _MAX_SYMBOL).astype(np.int32)


def _channel_indexes(shape: tuple) -> np.ndarray:
    return np.ascontiguousarray(np.broadcast_to(np.arange(shape[-1], dtype=np.int32), shape))


def _extend(array: np.ndarray, multiple: int) -> np.ndarray:
    """Extends rows and columns to a multiple, by reflection or, too short for it, the edge."""
    for axis in (0, 1):
        missing = -array.shape[axis] % multiple
        if missing:
            pads = [(0, 0)] * array.ndim
            pads[axis] = (0, missing)
            array = np.pad(array, pads, "reflect" if missing < array.shape[axis] else "edge")
    return array


def _encode_plane(plane: np.ndarray) -> bytes:
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(plane).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _decode_plane(data: bytes, shape: tuple) -> np.ndarray:
    try:
        plane = read_picture(data, max_pixels=shape[0] * shape[1]).pixels[..., 0]
    except ImageError as error:
        raise BitstreamError(f"The file's alpha plane can't be read: {error}") from None
    if plane.shape != tuple(shape):
        raise BitstreamError(
            f"The file's alpha plane has {plane.shape[1]}x{plane.shape[0]} pixels, its picture "
            f"{shape[1]}x{shape[0]}."
        )
    return np.ascontiguousarray(plane)
