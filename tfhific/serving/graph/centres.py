"""GC in a graph: what `tfhific.codec.centres` does, for a model with a static prior and no maps."""

from __future__ import annotations

import tensorflow as tf

from tfc_port.coding.graph import check_tensors
from tfhific.codec.centres import MIN_LATENTS, STRIDE, CentresCodec
from tfhific.errors import TfhificError
from tfhific.published.code import CodeModel
from tfhific.serving.graph import container
from tfhific.serving.graph.base import GraphCodec, MakeCoder, log2
from tfhific.serving.graph.container import GraphContents
from tfhific.serving.graph.octets import first_error


class GraphCentres(GraphCodec):
    """See `GraphCodec`: the network sees the whole picture, so that `max_pixels` may be smaller."""

    model: CodeModel

    def __init__(self, model: CodeModel, make_coder: MakeCoder, max_pixels: int) -> None:
        """See `GraphCodec`; refuses a prior, noise or maps that no graph is made of."""
        decoding = model.decoding
        if decoding["prior"] != "static" or decoding["maps"] != "none" or decoding["noise"]:
            raise TfhificError(
                f"{model.name} can't be exported: a graph is made of gc with `prior=static`, "
                "without noise and without label maps in its files."
            )
        plain = CentresCodec(model, coder="python")
        plain.check_published(model.name)
        super().__init__(model, make_coder, min(max_pixels, plain.whole_pixels))
        self._centres = tf.constant(plain.centres)
        self._channels, self._least_bits = plain.channels, plain.least_bits
        self._coder = make_coder(model.tables["code"])

    def encode(
        self,
        pixels: tf.Tensor,
        quality_code: tf.Tensor,
        alpha: tf.Tensor,
        icc: tf.Tensor,
        exif: tf.Tensor,
    ) -> tf.Tensor:
        """See `GraphCodec`. The quality has no say."""
        size = tf.shape(pixels)
        height, width = self._latent_size(size[0], size[1])
        rows, columns = _mirrored(size[0], STRIDE * height), _mirrored(size[1], STRIDE * width)
        x = tf.cast(tf.gather(tf.gather(pixels, rows), columns, axis=1), tf.float32)
        code = self.model.networks["encoder"]((x / 127.5 - 1.0)[None])[0]
        squares = tf.square(
            tf.cast(code[..., None], tf.float64) - tf.cast(self._centres, "float64")
        )
        values = tf.reshape(tf.argmin(squares, -1, output_type=tf.int32), [-1])
        indexes = self._indexes(height, width)
        streams = self._coder.choose_streams(values, indexes)
        return container.pack(
            fingerprint=self.model.fingerprint,
            height=size[0],
            width=size[1],
            quality_code=tf.zeros_like(quality_code),
            z=tf.constant(""),
            y=self._coder.encode(values, indexes, streams),
            log2_z_streams=tf.constant(0),
            log2_y_streams=log2(streams),
            band_rows=tf.constant(0),
            alpha=alpha,
            icc=icc,
            exif=exif,
        )

    def claims_error(self, contents: GraphContents) -> tf.Tensor:
        """See `GraphCodec`."""
        height, width = self._latent_size(contents.height, contents.width)
        held = 8 * (tf.strings.length(contents.y) + 4 * contents.y_streams)
        positions = tf.cast(height, tf.float64) * tf.cast(width, tf.float64)
        count = height * width * self._channels
        wrong = check_tensors(contents.y, count, contents.y_streams)
        return first_error(
            [
                (
                    tf.cast(held, tf.float64) < self._least_bits * positions,
                    tf.strings.format(
                        "The file claims a picture of {}x{} pixels, which its bytes of code "
                        "can't hold.",
                        (contents.width, contents.height),
                    ),
                ),
                (tf.strings.length(contents.z) > 0, "The file has hyperlatents; gc has none."),
                (tf.not_equal(wrong, ""), wrong),
            ]
        )

    def decode_sound(self, contents: GraphContents) -> tuple[tf.Tensor, tf.Tensor]:
        """See `GraphCodec`."""
        height, width = self._latent_size(contents.height, contents.width)
        values, wrong = self._coder.decode(
            contents.y, self._indexes(height, width), contents.y_streams
        )
        centres = len(self._centres)
        beyond = tf.reduce_any((values < 0) | (values >= centres))
        said = f"The file's code has a symbol beyond the model's {centres} centres."
        error = first_error([(tf.not_equal(wrong, ""), wrong), (beyond, said)])
        values = tf.clip_by_value(values, 0, centres - 1)
        pixels = tf.cond(
            tf.equal(error, ""),
            lambda: self._generate(
                tf.reshape(values, tf.stack([height, width, self._channels])),
                contents.height,
                contents.width,
            ),
            lambda: tf.zeros([0, 0, 3], tf.uint8),
        )
        return error, pixels

    def _generate(self, symbols: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        networks = self.model.networks
        made = networks["generator"](tf.gather(self._centres, symbols)[None])[0, :height, :width]
        scaled = tf.round((made + 1.0) * 127.5)
        return tf.cast(tf.clip_by_value(scaled, 0.0, 255.0), tf.uint8)

    def _latent_size(self, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        sides = [(side + STRIDE - 1) // STRIDE for side in (height, width)]
        return tuple(tf.maximum(side, MIN_LATENTS) for side in sides)

    def _indexes(self, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        return tf.tile(tf.range(self._channels), tf.reshape(height * width, [1]))


def _mirrored(side: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    """Positions that extend a side by mirroring; see `tfhific.pictures.resampling`."""
    period = tf.maximum(2 * side - 2, 1)
    place = tf.range(target) % period
    return tf.where(side > 1, tf.minimum(place, period - place), tf.zeros_like(place))
