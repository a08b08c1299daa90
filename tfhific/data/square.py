"""Whole pictures as squares of one size: the domain that a generator learns."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np

from tfhific.data.folders import Files, find_images, list_images, readable, with_left_out
from tfhific.data.idx import read_digits
from tfhific.errors import ImageError, TfhificError
from tfhific.files.listing import LeftOut
from tfhific.pictures.images import read_picture
from tfhific.pictures.resampling import resampled


def squared(image: np.ndarray, side: int, channels: int) -> np.ndarray:
    """The middle square of a picture, resampled.

    Args:
      image: uint8 [H, W, 3].
      side: of the result.
      channels: 3, or 1 for the luma.

    Returns:
      uint8 [side, side, channels].
    """
    height, width = image.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    return resampled(image[top : top + edge, left : left + edge], side, side, channels)


def holds_digits(folder: str | os.PathLike) -> bool:
    """Whether a folder has MNIST's training pictures."""
    digits = os.path.join(os.fspath(folder), "train-images-idx3-ubyte")
    return any(os.path.isfile(digits + end) for end in ("", ".gz"))


def domain_pictures(
    pattern: str | os.PathLike,
    count: int,
    complain: Callable[[str], None] = lambda line: None,
) -> list[np.ndarray]:
    """`count` pictures of a folder, a glob or MNIST, evenly spread: uint8 [H, W, 3] each.

    Args:
      pattern: see `SquareData`.
      count: how many, those included that can't be read and are left out.
      complain: takes a line for each of these.

    Raises:
      TfhificError: when there are none, or none can be read.
    """
    if holds_digits(pattern):
        images = read_digits(pattern).images[..., None].repeat(3, -1)
        return list(images[:: max(len(images) // count, 1)][:count])
    paths = list_images(pattern)
    chosen = Files(paths[:: max(len(paths) // count, 1)][:count])
    return [pixels for _, pixels in readable(chosen, complain)]


class SquareData:
    """Pictures of a folder, or MNIST's files, as squares; data of a run."""

    def __init__(self, pattern: str | os.PathLike, options, side: int, channels: int) -> None:
        """Initializer.

        Args:
          pattern: folder of pictures (searched recursively), a glob, or a folder with MNIST's
            files, whose digits get a black border up to `side`.
          options: `batch_size`, `seed` and `flip` of a run.
          side: of the squares, pixels.
          channels: 1 or 3.

        Raises:
          ImageError: when there are no pictures, or none that can be read.
          TfhificError: when MNIST's files are damaged, or their digits larger than `side`.
        """
        self._options = options
        self.skipped: dict[str, str] = {}
        self._left_out = LeftOut()
        self._is_mnist = holds_digits(pattern)
        if self._is_mnist:
            self._images = _bordered(pattern, side, channels)
        else:
            self._images = self._read(pattern, side, channels)
        self.count = len(self._images)

    def _read(self, pattern, side: int, channels: int) -> np.ndarray:
        found = []
        listing = find_images(pattern)
        self._left_out = listing.left_out
        for path in listing.paths:
            try:
                found.append(squared(read_picture(path).pixels, side, channels))
            except ImageError as error:
                self.skipped[path] = str(error)
        if not found:
            reason = next(iter(self.skipped.values()))
            raise ImageError(f"None of the images can be read. The first reason: {reason}")
        return np.stack(found)

    def batch(self, step: int) -> np.ndarray:
        """The batch of a step, uint8 [batch_size, side, side, channels]."""
        options = self._options
        rng = np.random.default_rng([options.seed, int(step)])
        images = self._images[rng.integers(len(self._images), size=options.batch_size)]
        if options.flip and not self._is_mnist:
            images = np.where(
                (rng.random(len(images)) < 0.5)[:, None, None, None], images[:, :, ::-1], images
            )
        return np.ascontiguousarray(images)

    def batches(self, first_step: int):
        """An endless `tf.data.Dataset` of batches from a step on."""
        import tensorflow as tf

        shape = [self._options.batch_size, *self._images.shape[1:]]

        def cut(step):
            batch = tf.numpy_function(self.batch, [step], tf.uint8, stateful=False)
            return tf.ensure_shape(batch, shape)

        return tf.data.Dataset.range(first_step, 2**62).map(cut).prefetch(4)

    def samples(self, count: int) -> np.ndarray:
        """The first squares, uint8 [count, side, side, channels]."""
        return self._images[:count]

    def describe(self) -> str:
        """A few words for the log."""
        return with_left_out(f"{self.count} pictures", self._left_out)


def _bordered(folder, side: int, channels: int) -> np.ndarray:
    images = read_digits(folder).images[..., None]
    border = [side - size for size in images.shape[1:3]]
    if min(border) < 0:
        raise TfhificError(
            f"Expected digits of at most {side} pixels a side. Received: {images.shape[1:3]}."
        )
    pads = [(0, 0), *((size // 2, size - size // 2) for size in border), (0, 0)]
    return np.repeat(np.pad(images, pads), channels, -1)
