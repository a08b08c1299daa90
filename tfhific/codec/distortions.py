"""What an encoder that tries harder takes for the distance of two pictures, in bits.

Squared errors are what the model was trained to lower. LPIPS (R. Zhang et al., CVPR 2018, arXiv
1801.03924) is for a decoder that was trained for it too: see `Perceived`.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import tensorflow as tf

Perception = Callable[["tf.Tensor", "tf.Tensor"], "tf.Tensor"]
"""Two float32 [batch, H, W, 3] in [-1, 1] to their distances, float32 [batch]."""


class Distortion(Protocol):
    """A distance of two pictures, in bits."""

    @property
    def pace(self) -> float:
        """Share of a level's learning rate that suits a search for it."""

    @property
    def squared(self) -> float | None:
        """Bits that a squared error of one is worth, where the distance is nothing else, so that
        how it changes with a symbol is known."""

    def __call__(self, shown: tf.Tensor, target: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Of a part of a picture, with gradients to what is shown.

        Args:
          shown: float32 [H, W, 3] in 0..255, not rounded.
          target: float32, of the same shape.
          seed: int32 [2], of what is drawn for it.

        Returns:
          A scalar.
        """

    def of_pictures(self, decoded: np.ndarray, image: np.ndarray) -> float:
        """Of whole pictures, uint8 [H, W, 3]."""


class SquaredErrors:
    """The sum of squared errors, by what one is worth."""

    pace = 1.0

    def __init__(self, weight: float) -> None:
        """Initializer.

        Args:
          weight: bits that a squared error of one is worth.
        """
        self.squared = weight

    def __call__(self, shown: tf.Tensor, target: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See `Distortion`."""
        import tensorflow as tf

        return self.squared * tf.reduce_sum(tf.math.squared_difference(shown, target))

    def of_pictures(self, decoded: np.ndarray, image: np.ndarray) -> float:
        """See `Distortion`."""
        return self.squared * squared_error(decoded, image)


class Perceived:
    """Three quarters of the squared errors, and LPIPS.

    A network that looks at every fourth pixel alone can be pleased by what nobody else sees. So the
    pictures are shifted by up to seven pixels, differently in each step: what lowers the distance
    then lowers another network's too.
    """

    pace = 0.5
    """At all of a level's learning rate, 120 steps made files 6 % and squared errors 5 % larger,
    and another network saw 2 % more of a distance."""

    squared = None

    SQUARED = 0.75
    """Share of the squared errors' own weight."""

    EQUAL = 650.0
    """The mean squared error, on 0..255, that an LPIPS of one counts as. Along the curve of
    `mini-v3-realistic` from quality 1 to 4 as many bits lower LPIPS by one as would lower the
    squared error by 1,100 to 1,200, in lambda's terms. With a little over half of it, beside
    three quarters of the squared errors, files of Kodak's pictures are a twelfth larger at a
    quality, and the squared error is as it was."""

    BLOCK = 1024
    """Pixels a side, at most, that the network sees at once of whole pictures."""

    SHIFTS = 8
    """Pixels, from 0 on, that pictures may be shifted by."""

    def __init__(self, weight: float, perception: Perception) -> None:
        """Initializer.

        Args:
          weight: bits that a squared error of one is worth to the model.
          perception: LPIPS.
        """
        self._squared = SquaredErrors(self.SQUARED * weight)
        # A mean squared error is of three colours to a pixel.
        self._per_pixel = 3.0 * self.EQUAL * weight
        self._perception = perception

    def __call__(self, shown: tf.Tensor, target: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """See `Distortion`."""
        import tensorflow as tf

        height, width = target.shape[:2]
        most = tf.constant([max(min(self.SHIFTS, side // 8), 1) for side in (height, width)])
        key = seed + tf.constant([1 << 28, 0], tf.int32)
        down, right = tf.unstack(
            tf.random.stateless_uniform([2], key, 0, tf.int32.max, tf.int32) % most
        )
        pair = [picture[None, down:, right:] / 127.5 - 1.0 for picture in (target, shown)]
        seen = self._perception(*pair)[0]
        return self._squared(shown, target, seed) + self._per_pixel * height * width * seen

    def of_pictures(self, decoded: np.ndarray, image: np.ndarray) -> float:
        """See `Distortion`."""
        import tensorflow as tf

        total = self._squared.of_pictures(decoded, image)
        for place in _blocks(image.shape[:2], self.BLOCK):
            pair = [
                tf.constant(picture[place][None], tf.float32) / 127.5 - 1.0
                for picture in (image, decoded)
            ]
            pixels = pair[0].shape[1] * pair[0].shape[2]
            total += self._per_pixel * pixels * float(self._perception(*pair)[0])
        return total


def perception(path: str | os.PathLike) -> Perception:
    """LPIPS of pictures of any size; small ones are enlarged to what the network needs.

    Args:
      path: file of its weights: see `tfhific.losses.lpips_weights`.

    Raises:
      ModelError: when it is missing, or holds something else.
    """
    import tensorflow as tf

    from tfhific.losses.lpips import LPIPS

    network = LPIPS(path)

    def enlarged(images: tf.Tensor) -> tf.Tensor:
        if min(side or 0 for side in images.shape[1:3]) >= network.min_side:
            return images
        return tf.image.resize(images, tf.maximum(tf.shape(images)[1:3], network.min_side))

    return lambda a, b: network((enlarged(a), enlarged(b)))


def squared_error(picture: np.ndarray, other: np.ndarray) -> float:
    """Squared errors between two pictures, uint8 [H, W, 3], summed: of any size, row by row."""
    total = 0
    for row, against in zip(picture, other):
        difference = row.astype(np.int32) - against
        total += int(np.sum(difference * difference, dtype=np.int64))
    return float(total)


def _blocks(size: tuple[int, ...], most: int) -> Iterator[tuple[slice, slice]]:
    """Cuts of a picture into parts of about equal sides."""
    cuts = []
    for side in size:
        count = math.ceil(side / most)
        edges = [side * number // count for number in range(count + 1)]
        cuts.append([slice(*pair) for pair in zip(edges, edges[1:])])
    return ((rows, columns) for rows in cuts[0] for columns in cuts[1])
