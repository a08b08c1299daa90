"""What latents of a part of a picture cost in bits, and what they show, with gradients.

The networks, tables and gains are the published model's own. Only scale indexes come from the float
network here: gradients go through them. What is coded takes them from the integer branch as ever.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tfhific.codec.code_lengths import CodeLengths
from tfhific.codec.transforms import Transforms
from tfhific.published.checkerboard import FEATURES, FIRST, NEAR, SECOND
from tfhific.published.functional import first_half, mean_and_step

if TYPE_CHECKING:
    import tensorflow as tf

Rounding = Callable[["tf.Tensor"], "tf.Tensor"]
"""Real symbols to those that the decoder has, or to something that resembles them."""


class Terms(NamedTuple):
    """What latents cost and show.

    Attributes:
      bits: scalar, of latents and hyperlatents.
      shown: float32 [H, W, 3] in 0..255, the picture before it is rounded.
    """

    bits: tf.Tensor
    shown: tf.Tensor


class Settled(NamedTuple):
    """Latents as a decoder has them, float32 [h, w, channels] each.

    Attributes:
      symbols: rounded in some way.
      values: decoded latents, before the gain.
      indexes: real scale indexes.
      steps: what a symbol's next neighbour adds to its decoded latent.
    """

    symbols: tf.Tensor
    values: tf.Tensor
    indexes: tf.Tensor
    steps: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Objective:
    """Costs of latents by one published model.

    Attributes:
      transforms: of the model.
    """

    transforms: Transforms

    @functools.cached_property
    def y_lengths(self) -> CodeLengths:
        """Code lengths of the latents' symbols."""
        return CodeLengths(self.transforms.model.y_tables)

    @functools.cached_property
    def z_lengths(self) -> CodeLengths:
        """Code lengths of the hyperlatents."""
        return CodeLengths(self.transforms.model.z_tables)

    def picture(self, latents: tf.Tensor, inverse_gain: np.ndarray) -> tf.Tensor:
        """The picture of decoded latents before it is rounded, [16h, 16w, 3] in 0..255.

        Args:
          latents: float32 [h, w, channels], before the gain.
          inverse_gain: float32 [channels].
        """
        import tensorflow as tf

        model = self.transforms.model
        low, high = model.pixel_range
        x = model.networks["synthesis"]((latents * inverse_gain)[None])[0]
        return tf.clip_by_value((x - low) / (high - low) * 255.0, 0.0, 255.0)

    def settled(self, y: tf.Tensor, z: tf.Tensor, round_y: Rounding) -> Settled:
        """What a decoder has of latents, and what codes them.

        Args:
          y: float32 [h, w, channels], scaled latents; the first row's number in the picture is
            even, and so is the first column's.
          z: float32 [ceil(h / 4), ceil(w / 4), hyperlatent channels], rounded in some way.
          round_y: see `Rounding`.
        """
        import tensorflow as tf

        model = self.transforms.model
        networks, (rows, columns) = model.networks, y.shape[:2]

        def of_hyperlatents(name: str) -> tf.Tensor:
            return networks[name](z[None])[0][:rows, :columns]

        indexes = model.scale_gain * of_hyperlatents("hyper_synthesis_scale") + model.scale_centre
        if not model.checkerboard:
            mean = of_hyperlatents("hyper_synthesis_mean")
            symbols = round_y(y - mean)
            return Settled(symbols, symbols + mean, indexes, tf.ones_like(y))
        features = of_hyperlatents(FEATURES)
        first = first_half(tf.shape(y)[:2])
        mean, step = mean_and_step(networks[FIRST](features[None])[0])
        before, step_before = round_y(y / step - mean), step
        known = (before + mean) * step
        near = networks[NEAR](tf.where(first, known, tf.zeros_like(known))[None])
        mean, step = mean_and_step(networks[SECOND](features[None] + near)[0])
        after = round_y(y / step - mean)
        return Settled(
            tf.where(first, before, after),
            tf.where(first, known, (after + mean) * step),
            indexes,
            tf.where(first, step_before, step),
        )

    def terms(
        self,
        y: tf.Tensor,
        z: tf.Tensor,
        size: tuple[int, int],
        inverse_gain: np.ndarray,
        round_y: Rounding,
    ) -> Terms:
        """What latents and hyperlatents cost and show.

        Args:
          y: see `settled`.
          z: see `settled`.
          size: at most 16h rows and 16w columns: what is beyond them may become anything.
          inverse_gain: float32 [channels].
          round_y: see `Rounding`.
        """
        import tensorflow as tf

        settled = self.settled(y, z, round_y)
        channels = tf.range(z.shape[-1], dtype=tf.float32) + tf.zeros_like(z)
        bits_y = tf.reduce_sum(self.y_lengths.of_values(settled.symbols, settled.indexes))
        bits_z = tf.reduce_sum(self.z_lengths.of_values(z, channels))
        shown = self.picture(settled.values, inverse_gain)[: size[0], : size[1]]
        return Terms(bits_y + bits_z, shown)
