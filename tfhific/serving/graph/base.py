"""What the graphs of all published models share: one picture to a file's bytes and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf

from tfc_port.coding import Tables
from tfhific.published.model import PublishedModel
from tfhific.serving.graph import container
from tfhific.serving.graph.container import GraphContents
from tfhific.serving.graph.octets import first_error, to_octets
from tfhific.serving.pictures.plane import check_plane

MakeCoder = Callable[[Tables], tf.Module]
"""Makes a coder of `tfhific.serving.graph.coders` for a set of tables."""


@dataclasses.dataclass(frozen=True)
class Decoded:
    """A decoded file; where `error` is not empty, the picture is [0, 0, 3].

    Attributes:
      error: string.
      pixels: uint8 [H, W, 3].
      contents: what the file holds beside it.
    """

    error: tf.Tensor
    pixels: tf.Tensor
    contents: GraphContents


class GraphCodec(tf.Module):
    """Compresses and decompresses one picture.

    A graph of another kind of model implements `encode`, `claims_error` and `decode_sound`.

    Attributes:
      model: the published model.
      max_pixels: larger pictures are refused, in both directions.
    """

    def __init__(self, model: PublishedModel, make_coder: MakeCoder, max_pixels: int) -> None:
        """Initializer.

        Args:
          model: the published model.
          make_coder: makes the entropy coders.
          max_pixels: larger pictures are refused, in both directions.

        Raises:
          TfhificError: for a model that no graph is made of.
        """
        super().__init__(name="codec")
        self.model = model
        self.max_pixels = max_pixels

    def encode(
        self,
        pixels: tf.Tensor,
        quality_code: tf.Tensor,
        alpha: tf.Tensor,
        icc: tf.Tensor,
        exif: tf.Tensor,
    ) -> tf.Tensor:
        """The bytes of a `.tfh` file, a string.

        Args:
          pixels: uint8 [H, W, 3], neither side 0.
          quality_code: int32, see `tfhific.bitstream.container`; 0 for a model of one rate.
          alpha: a grey PNG, or an empty string.
          icc: an ICC profile, or an empty string.
          exif: an EXIF block, or an empty string.
        """
        raise NotImplementedError

    def claims_error(self, contents: GraphContents) -> tf.Tensor:
        """What is wrong with what a file of this model claims, a string; nothing is decoded."""
        raise NotImplementedError

    def decode_sound(self, contents: GraphContents) -> tuple[tf.Tensor, tf.Tensor]:
        """What is wrong, and the picture, uint8 [H, W, 3], of a file whose claims are sound."""
        raise NotImplementedError

    def examine(self, data: tf.Tensor) -> tuple[tf.Tensor, GraphContents]:
        """What is wrong with a file's bytes, as far as it can be told without decoding anything.

        Args:
          data: the file, a string, whatever it is.

        Returns:
          The error, a string, and what the file holds.
        """
        contents = container.unpack(data, self.max_pixels)
        error = self._own_error(contents, data)
        error = tf.cond(tf.equal(error, ""), lambda: self.claims_error(contents), lambda: error)
        return error, contents

    def decode(self, data: tf.Tensor) -> Decoded:
        """Decodes a file's bytes, a string, whatever they are."""
        error, contents = self.examine(data)
        error, pixels = tf.cond(
            tf.equal(error, ""),
            lambda: self.decode_sound(contents),
            lambda: (error, tf.zeros([0, 0, 3], tf.uint8)),
        )
        return Decoded(error, tf.ensure_shape(pixels, [None, None, 3]), contents)

    def _own_error(self, contents: GraphContents, data: tf.Tensor) -> tf.Tensor:
        """What is wrong with a file of any model for this one, a string."""
        model = self.model
        octets = to_octets(tf.strings.substr(data, tf.minimum(4, tf.strings.length(data)), 8))
        name = tf.strings.reduce_join(tf.gather([f"{value:02x}" for value in range(256)], octets))
        own = model.fingerprint.hex()
        stranger = tf.strings.join(
            ["The file was made by the model ", name, f"; this is {model.name} ({own})."]
        )
        error = first_error(
            [
                (tf.not_equal(contents.error, ""), contents.error),
                (tf.not_equal(contents.fingerprint, model.fingerprint), stranger),
            ]
        )
        present = tf.equal(error, "") & contents.has_alpha
        plane = check_plane(contents.alpha, present, contents.height, contents.width)
        return tf.where(tf.equal(error, ""), plane, error)


def log2(power: tf.Tensor) -> tf.Tensor:
    """The exponent of a power of two up to 2^15, int32."""
    return tf.reduce_sum(
        tf.cast(power > tf.constant([1 << exponent for exponent in range(16)]), tf.int32)
    )
