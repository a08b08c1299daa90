"""Training crops from folders of images, in an order that a step number alone determines.

The n-th crop of a run depends on the seed and n only, so a resumed run continues with exactly the
crops that it would have seen, whatever was killed in between.
"""

from __future__ import annotations

import collections
import glob as globbing
import os
import threading

import numpy as np

from tfhific.codec.jobs import IMAGE_EXTENSIONS
from tfhific.errors import ImageError


def list_images(pattern: str | os.PathLike) -> list[str]:
    """Image files under a folder (recursively) or matching a glob, sorted.

    Raises:
      ImageError: when there is none.
    """
    pattern = os.fspath(pattern)
    if os.path.isdir(pattern):
        candidates = [
            os.path.join(folder, name)
            for folder, _, names in os.walk(pattern)
            for name in names
            if name.lower().endswith(IMAGE_EXTENSIONS)
        ]
    else:
        candidates = globbing.glob(pattern, recursive=True)
        candidates = [path for path in candidates if os.path.isfile(path)]
    if not candidates:
        raise ImageError(
            f"No images in {pattern!r}: expected a folder or a glob with files that end in "
            f"{', '.join(IMAGE_EXTENSIONS)}."
        )
    return sorted(candidates)


class CropSource:
    """Random crops of a list of image files, addressed by their number.

    Unreadable files are skipped and counted (`skipped`); another image takes their place.

    Attributes:
      skipped: paths that could not be read, with the reason.
    """

    def __init__(
        self,
        paths: list[str],
        crop: int,
        *,
        seed: int = 0,
        downscale_min: float = 0.6,
        cache_bytes: int = 2 << 30,
    ) -> None:
        """Initializer.

        Args:
          paths: image files.
          crop: side of the square crops, in pixels.
          seed: chooses the order and the crops.
          downscale_min: half of the crops are scaled down by a factor drawn between this and 1.
          cache_bytes: decoded pictures are kept up to this many bytes.

        Raises:
          ImageError: when `paths` is empty.
        """
        if not paths:
            raise ImageError("Expected at least one image to train on. Received: none.")
        self._paths = list(paths)
        self._crop = crop
        self._seed = seed
        self._downscale_min = downscale_min
        self._cache_bytes = cache_bytes
        self._cache: collections.OrderedDict[int, np.ndarray] = collections.OrderedDict()
        self._cached = 0
        self._lock = threading.Lock()
        self._orders: dict[int, np.ndarray] = {}
        self.skipped: dict[str, str] = {}

    def _picture(self, position: int) -> np.ndarray | None:
        from tfhific.codec.images import read_picture

        with self._lock:
            if position in self._cache:
                return self._cache[position]
        path = self._paths[position]
        if path in self.skipped:
            return None
        try:
            pixels = read_picture(path).pixels
        except ImageError as error:
            self.skipped[path] = str(error)
            return None
        with self._lock:
            if position not in self._cache and self._cached + pixels.nbytes <= self._cache_bytes:
                self._cache[position] = pixels
                self._cached += pixels.nbytes
        return pixels

    def _position(self, number: int) -> int:
        epoch, place = divmod(number, len(self._paths))
        with self._lock:
            order = self._orders.get(epoch)
            if order is None:
                order = np.random.default_rng([self._seed, epoch]).permutation(len(self._paths))
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
        for attempt in range(len(self._paths)):
            pixels = self._picture((position + attempt) % len(self._paths))
            if pixels is not None:
                return self._cut(pixels, np.random.default_rng([self._seed, number, 1]))
        raise ImageError(
            f"None of the {len(self._paths)} images can be read. The first reason: "
            f"{next(iter(self.skipped.values()))}"
        )

    def _cut(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        from PIL import Image

        crop = self._crop
        shrink = rng.uniform(self._downscale_min, 1.0) if rng.random() < 0.5 else 1.0
        side = min(round(crop / shrink), max(crop, min(pixels.shape[:2])))
        short = [max(0, side - length) for length in pixels.shape[:2]]
        if any(short):
            pixels = np.pad(pixels, ((0, short[0]), (0, short[1]), (0, 0)), "symmetric")
        top = int(rng.integers(pixels.shape[0] - side + 1))
        left = int(rng.integers(pixels.shape[1] - side + 1))
        patch = pixels[top : top + side, left : left + side]
        if side != crop:
            patch = np.asarray(Image.fromarray(patch).resize((crop, crop), Image.BICUBIC))
        if rng.random() < 0.5:
            patch = patch[:, ::-1]
        return np.ascontiguousarray(patch)


def crop_dataset(source: CropSource, crop: int, batch_size: int, first_step: int = 0):
    """An endless `tf.data.Dataset` of uint8 [batch_size, crop, crop, 3] from a step on."""
    import tensorflow as tf

    def cut(number):
        patch = tf.numpy_function(source, [number], tf.uint8, stateful=False)
        return tf.ensure_shape(patch, [crop, crop, 3])

    numbers = tf.data.Dataset.range(first_step * batch_size, 2**62)
    crops = numbers.map(cut, num_parallel_calls=2, deterministic=True)
    return crops.batch(batch_size, drop_remainder=True).prefetch(4)
