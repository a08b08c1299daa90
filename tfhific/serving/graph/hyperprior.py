"""One picture to a file's bytes and back, in a graph: what `tfhific.codec.hyperprior` does."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfc_port.coding.graph import check_tensors
from tfhific.codec import hyperprior as plain
from tfhific.codec import plausible
from tfhific.published.hyperprior import HyperpriorModel
from tfhific.serving.graph import container
from tfhific.serving.graph.base import GraphCodec, MakeCoder, log2
from tfhific.serving.graph.container import GraphContents
from tfhific.serving.graph.octets import first_error, read_varint, to_octets, varint_string
from tfhific.serving.graph.transforms import GraphTransforms


class GraphHyperprior(GraphCodec):
    """See `GraphCodec`: latents coded about their means, in tiles and bands."""

    model: HyperpriorModel

    def __init__(self, model: HyperpriorModel, make_coder: MakeCoder, max_pixels: int) -> None:
        """See `GraphCodec`."""
        super().__init__(model, make_coder, max_pixels)
        self._transforms = GraphTransforms(model)
        self._y_coder = make_coder(model.y_tables)
        self._z_coder = make_coder(model.z_tables)
        self._least_z_bits = plausible.least_bits_of_all(model.z_tables)
        self._least_y_bits = plausible.least_bits_of_any(model.y_tables)

    def encode(
        self,
        pixels: tf.Tensor,
        quality_code: tf.Tensor,
        alpha: tf.Tensor,
        icc: tf.Tensor,
        exif: tf.Tensor,
    ) -> tf.Tensor:
        """See `GraphCodec`."""
        transforms = self._transforms
        y = transforms.analyse(pixels, quality_code)
        z = transforms.hyper_analyse(y)
        z_values, z_indexes = tf.reshape(z, [-1]), self._channel_indexes(tf.shape(z))
        z_streams = self._z_coder.choose_streams(z_values, z_indexes, plain.HYPERLATENTS_ALLOWANCE)
        z_payload = self._z_coder.encode(z_values, z_indexes, z_streams)
        size = tf.shape(y)
        band_rows = self._band_rows(size[0], size[1])

        def band(top, section, streams, y):
            bottom = tf.minimum(top + band_rows, size[0])
            indexes = transforms.indexes(z, top, bottom, size[1])
            symbols, decoded = transforms.settle(y, z, top, bottom, indexes)
            indexes, symbols = tf.reshape(indexes, [-1]), tf.reshape(symbols, [-1])
            # The rows behind a band are predicted from what the decoder has in it.
            y = tf.concat([y[:top], decoded, y[bottom:]], axis=0)
            # The first band chooses for all.
            chosen = tf.cond(
                tf.equal(top, 0),
                lambda: self._y_coder.choose_streams(symbols, indexes),
                lambda: streams,
            )
            payload = self._y_coder.encode(symbols, indexes, chosen)
            head = tf.where(bottom < size[0], varint_string(tf.strings.length(payload)), "")
            return bottom, tf.strings.join([section, head, payload]), chosen, y

        _, section, y_streams, _ = tf.while_loop(
            lambda top, *_: top < size[0],
            band,
            (tf.constant(0), tf.constant(""), tf.constant(1), y),
            shape_invariants=(
                tf.TensorShape([]),
                tf.TensorShape([]),
                tf.TensorShape([]),
                tf.TensorShape([None, None, transforms.channels]),
            ),
            parallel_iterations=1,
        )
        image_size = tf.shape(pixels)
        return container.pack(
            fingerprint=self.model.fingerprint,
            height=image_size[0],
            width=image_size[1],
            quality_code=quality_code,
            z=z_payload,
            y=section,
            log2_z_streams=log2(z_streams),
            log2_y_streams=log2(y_streams),
            band_rows=tf.where(band_rows >= size[0], 0, band_rows),
            alpha=alpha,
            icc=icc,
            exif=exif,
        )

    def claims_error(self, contents: GraphContents) -> tf.Tensor:
        """What is wrong with what a file claims, a string; see `tfhific.codec.plausible`."""
        transforms, channels = self._transforms, self._transforms.channels
        height, width = transforms.latent_size(contents.height, contents.width)
        z_height, z_width = transforms.hyper_size(height, width)
        positions = tf.cast(z_height, tf.float64) * tf.cast(z_width, tf.float64)
        z_bytes = tf.strings.length(contents.z)
        held = tf.cast(8 * (z_bytes + 4 * contents.z_streams), tf.float64)
        rows = tf.where(tf.equal(contents.band_rows, 0), height, contents.band_rows)
        row = tf.cast(width * channels, tf.int64)
        error = first_error(
            [
                (
                    held < self._least_z_bits * positions,
                    tf.strings.format(
                        "The file claims a picture of {}x{} pixels, which its {} bytes of "
                        "hyperlatents can't hold.",
                        (contents.width, contents.height, z_bytes),
                    ),
                ),
                (
                    (rows > height)
                    | (
                        tf.not_equal(contents.band_rows, 0)
                        & tf.not_equal(rows % transforms.hyper_stride, 0)
                    ),
                    tf.strings.format(
                        "The file claims impossible bands, of {} latent rows.", (rows,)
                    ),
                ),
                (
                    (contents.version > 0)
                    & (rows > transforms.hyper_stride)
                    & (tf.cast(rows, tf.int64) * row > plausible.MAX_BAND_LATENTS),
                    tf.strings.format(
                        "The file claims a band of {} latent rows, more than "
                        f"{plausible.MAX_BAND_LATENTS} latents.",
                        (rows,),
                    ),
                ),
            ]
        )
        return tf.cond(
            tf.equal(error, ""),
            lambda: self._payload_error(contents, z_height * z_width, height, rows, row),
            lambda: error,
        )

    def decode_sound(self, contents: GraphContents) -> tuple[tf.Tensor, tf.Tensor]:
        """What is wrong, and the picture, of a file whose container is sound and of this model."""
        transforms, channels = self._transforms, self._transforms.channels
        height, width = transforms.latent_size(contents.height, contents.width)
        z_height, z_width = transforms.hyper_size(height, width)
        rows = tf.where(tf.equal(contents.band_rows, 0), height, contents.band_rows)
        shape = tf.stack([z_height, z_width, self.model.z_tables.rows])
        z, error = self._z_coder.decode(
            contents.z, self._channel_indexes(shape), contents.z_streams
        )
        error, y_hat = self._decode_bands(
            contents, tf.reshape(z, shape), error, height, width, rows
        )
        y_hat = tf.ensure_shape(y_hat, [None, None, channels])
        pixels = tf.cond(
            tf.equal(error, ""),
            lambda: transforms.synthesise(
                y_hat, contents.quality_code, contents.height, contents.width
            ),
            lambda: tf.zeros([0, 0, 3], tf.uint8),
        )
        return error, pixels

    def _payload_error(
        self,
        contents: GraphContents,
        positions: tf.Tensor,
        height: tf.Tensor,
        rows: tf.Tensor,
        row: tf.Tensor,
    ) -> tf.Tensor:
        """What is wrong with the payloads, a string; nothing is decoded.

        Args:
          contents: what the file holds.
          positions: int32, of hyperlatents.
          height: int32, rows of latents.
          rows: int32, of a band.
          row: int64, latents a row.
        """
        bands = tf.cast(-(-height // rows), tf.float64)
        size = tf.cast(tf.strings.length(contents.y), tf.float64)
        held = 8.0 * (size + 4.0 * tf.cast(contents.y_streams, tf.float64) * bands)
        least = self._least_y_bits * tf.cast(row, tf.float64) * tf.cast(height, tf.float64)
        error = first_error(
            [
                (
                    held < least,
                    tf.strings.format(
                        "The file claims a picture of {}x{} pixels, which its {} bytes of latents "
                        "can't hold.",
                        (contents.width, contents.height, tf.strings.length(contents.y)),
                    ),
                )
            ]
        )
        count = positions * self.model.z_tables.rows
        wrong = check_tensors(contents.z, count, contents.z_streams)
        octets = to_octets(contents.y)

        def band(top, at, error):
            bottom = tf.minimum(top + rows, height)
            behind, length, error = _next_band(octets, at, tf.equal(bottom, height), error)
            count = tf.cast(
                tf.minimum(tf.cast(bottom - top, tf.int64) * row, tf.int32.max), tf.int32
            )
            payload = tf.strings.substr(contents.y, behind, length)
            wrong = check_tensors(payload, count, contents.y_streams)
            return bottom, behind + length, tf.where(tf.equal(error, ""), wrong, error)

        _, _, error = tf.while_loop(
            lambda top, at, error: (top < height) & tf.equal(error, ""),
            band,
            (tf.constant(0), tf.constant(0), tf.where(tf.equal(error, ""), wrong, error)),
            parallel_iterations=1,
        )
        return error

    def _decode_bands(
        self,
        contents: GraphContents,
        z: tf.Tensor,
        error: tf.Tensor,
        height: tf.Tensor,
        width: tf.Tensor,
        rows: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """What is wrong, and the decoded latents, float32 [height, width, channels]."""
        octets = to_octets(contents.y)

        def band(top, at, error, y_hat):
            bottom = tf.minimum(top + rows, height)
            behind, length, error = _next_band(octets, at, tf.equal(bottom, height), error)
            indexes = self._transforms.indexes(z, top, bottom, width)
            symbols, coding_error = self._y_coder.decode(
                tf.strings.substr(contents.y, behind, length),
                tf.reshape(indexes, [-1]),
                contents.y_streams,
            )
            values = tf.cast(tf.reshape(symbols, tf.shape(indexes)), tf.float32)
            error = tf.where(tf.equal(error, ""), coding_error, error)
            y_hat = tf.cond(
                tf.equal(top, 0), lambda: values, lambda: tf.concat([y_hat, values], axis=0)
            )
            return bottom, behind + length, error, y_hat

        channels = self._transforms.channels
        _, _, error, y_hat = tf.while_loop(
            lambda top, at, error, y_hat: (top < height) & tf.equal(error, ""),
            band,
            (tf.constant(0), tf.constant(0), error, tf.zeros([0, 0, channels])),
            shape_invariants=(
                tf.TensorShape([]),
                tf.TensorShape([]),
                tf.TensorShape([]),
                tf.TensorShape([None, None, channels]),
            ),
            parallel_iterations=1,
        )
        y_hat = tf.cond(
            tf.equal(error, ""), lambda: self._dequantise(y_hat, z, rows), lambda: y_hat
        )
        return error, y_hat

    def _dequantise(self, y: tf.Tensor, z: tf.Tensor, rows: tf.Tensor) -> tf.Tensor:
        """Decoded latents of symbols, float32 [height, width, channels], in bands of `rows`."""
        height = tf.shape(y)[0]

        def band(top, y):
            bottom = tf.minimum(top + rows, height)
            _, decoded = self._transforms.settle(y, z, top, bottom)
            return bottom, tf.concat([y[:top], decoded, y[bottom:]], axis=0)

        _, y = tf.while_loop(
            lambda top, _: top < height,
            band,
            (tf.constant(0), y),
            shape_invariants=(
                tf.TensorShape([]),
                tf.TensorShape([None, None, self._transforms.channels]),
            ),
            parallel_iterations=1,
        )
        return y

    def _band_rows(self, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        """Latent rows a band, at least `height` where there is one band: see `BAND_LATENTS`."""
        unit = self._transforms.hyper_stride
        row = width * self._transforms.channels
        return tf.maximum(plain.BAND_LATENTS // (row * unit), 1) * unit

    def _channel_indexes(self, shape: tf.Tensor) -> tf.Tensor:
        channels = self.model.z_tables.rows
        return tf.tile(tf.constant(np.arange(channels, dtype=np.int32)), [shape[0] * shape[1]])


def _next_band(
    octets: tf.Tensor, at: tf.Tensor, last: tf.Tensor, error: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where a band's payload begins in y, how long it is, and what is wrong, now or before.

    Args:
      octets: int32, the bytes of y.
      at: int32, where the band begins.
      last: bool, whether it is the last one, which takes what is left.
      error: what was wrong before, a string.
    """
    end = tf.size(octets)
    length, behind, cut, wrong = read_varint(octets, at, end)
    cut |= length > tf.cast(end - behind, tf.int64)
    behind = tf.where(last, at, tf.minimum(behind, end))
    length = tf.cast(tf.minimum(length, tf.cast(end - behind, tf.int64)), tf.int32)
    length = tf.where(last, end - behind, length)
    error = first_error(
        [
            (tf.not_equal(error, ""), error),
            (~last & cut, "The file ends inside its latents. It is damaged or cut short."),
            (
                ~last & wrong,
                "The file's length of a band is not a valid number. It is damaged.",
            ),
        ]
    )
    return behind, length, error
