"""Training crops, in an order that a step number alone determines.

The n-th crop of a run depends on the seed and n only, so a resumed run continues with exactly the
crops that it would have seen, whatever was killed in between. For that, pictures are read by their
position: `tfhific.data.folders.Files` and `tfhific.data.shards.Shards` can.
"""

from __future__ import annotations

import collections
import dataclasses
import threading

import numpy as np

from tfhific.data.source import Pictures
from tfhific.errors import ImageError


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """What is done to a picture before it is trained on.

    Attributes:
      downscale_min: crops are scaled down by a factor drawn between this
      downscale_max: and this, but never below the crop's side.
      downscale_share: share of the crops that are scaled down.
      flip: whether half of the crops are mirrored.
    """

    downscale_min: float = 0.6
    downscale_max: float = 1.0
    downscale_share: float = 0.5
    flip: bool = True

    def __post_init__(self) -> None:
        if not 0.0 < self.downscale_min <= self.downscale_max <= 1.0:
            raise ImageError(
                "Expected 0 < downscale_min <= downscale_max <= 1. Received: "
                f"{self.downscale_min} and {self.downscale_max}."
            )


class CropSource:
    """Random crops of a list of pictures, addressed by their number.

    Unreadable pictures are skipped and counted (`skipped`); another takes their place.

    Attributes:
      skipped: names of the pictures that could not be read, with the reason.
    """

    stream = 1
    """Of the random numbers of a crop: another one for each kind of source."""

    def __init__(
        self,
        pictures: Pictures,
        crop: int,
        *,
        seed: int = 0,
        downscale_min: float | None = None,
        augmentation: Augmentation | None = None,
        cache_bytes: int = 2 << 30,
    ) -> None:
        """Initializer.

        Args:
          pictures: what to cut from, such as `tfhific.data.folders.Files`.
          crop: side of the square crops, in pixels.
          seed: chooses the order and the crops.
          downscale_min: of `augmentation`, for short.
          augmentation: what else is done to the pictures.
          cache_bytes: decoded pictures are kept up to this many bytes.

        Raises:
          ImageError: when there is no picture.
        """
        if not len(pictures):
            raise ImageError("Expected at least one image to train on. Received: none.")
        self._pictures = pictures
        self._crop = crop
        self._seed = seed
        augmentation = augmentation or Augmentation()
        if downscale_min is not None:
            augmentation = dataclasses.replace(augmentation, downscale_min=downscale_min)
        self._augmentation = augmentation
        self._cache_bytes = cache_bytes
        self._cache: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()
        self._cached = 0
        self._lock = threading.Lock()
        self._orders: dict[int, np.ndarray] = {}
        self.skipped: dict[str, str] = {}

    def _picture(self, position: int) -> np.ndarray | None:
        with self._lock:
            if position in self._cache:
                return self._cache[position]
        name = self._pictures.name(position)
        if name in self.skipped:
            return None
        try:
            pixels = self._pictures.read(position)
        except ImageError as error:
            self.skipped[name] = str(error)
            return None
        with self._lock:
            if position not in self._cache and self._cached + pixels.nbytes <= self._cache_bytes:
                self._cache[position] = pixels
                self._cached += pixels.nbytes
        return pixels

    def _position(self, number: int) -> int:
        epoch, place = divmod(number, len(self._pictures))
        with self._lock:
            order = self._orders.get(epoch)
            if order is None:
                order = np.random.default_rng([self._seed, epoch]).permutation(len(self._pictures))
                self._orders[epoch] = order
                for old in [key for key in self._orders if key < epoch - 2]:
                    del self._orders[old]
        return int(order[place])

    def __call__(self, number: int) -> np.ndarray:
        """The crop of that number, uint8 [crop, crop, 3].

        Raises:
          ImageError: when none of the files can be read.
        """
        number = int(number)
        position = self._position(number)
        for attempt in range(len(self._pictures)):
            pixels = self._picture((position + attempt) % len(self._pictures))
            if pixels is not None:
                return self._cut(pixels, np.random.default_rng([self._seed, number, self.stream]))
        raise ImageError(
            f"None of the {len(self._pictures)} images can be read. The first reason: "
            f"{next(iter(self.skipped.values()))}"
        )

    def _cut(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        crop = self._crop
        how = self._augmentation
        shrink = 1.0
        if rng.random() < how.downscale_share:
            shrink = rng.uniform(how.downscale_min, how.downscale_max)
        side = min(round(crop / shrink), max(crop, min(pixels.shape[:2])))
        short = [max(0, side - length) for length in pixels.shape[:2]]
        if any(short):
            pixels = np.pad(pixels, ((0, short[0]), (0, short[1]), (0, 0)), "symmetric")
        top = int(rng.integers(pixels.shape[0] - side + 1))
        left = int(rng.integers(pixels.shape[1] - side + 1))
        patch = pixels[top : top + side, left : left + side]
        if side != crop:
            patch = self._scaled(patch)
        if how.flip and rng.random() < 0.5:
            patch = patch[:, ::-1]
        return np.ascontiguousarray(patch)

    def _scaled(self, patch: np.ndarray) -> np.ndarray:
        """A patch at the crop's size."""
        from PIL import Image

        size = (self._crop, self._crop)
        return np.asarray(Image.fromarray(patch).resize(size, Image.Resampling.BICUBIC))


def crop_dataset(
    source: CropSource, crop: int, batch_size: int, first_step: int = 0, channels: int = 3
):
    """An endless `tf.data.Dataset` of uint8 [batch_size, crop, crop, channels] from a step on."""
    import tensorflow as tf

    def cut(number):
        patch = tf.numpy_function(source, [number], tf.uint8, stateful=False)
        return tf.ensure_shape(patch, [crop, crop, channels])

    numbers = tf.data.Dataset.range(first_step * batch_size, 2**62)
    crops = numbers.map(cut, num_parallel_calls=2, deterministic=True)
    return crops.batch(batch_size, drop_remainder=True).prefetch(4)
