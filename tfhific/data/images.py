"""Images for training, from wherever `--data` says."""

from __future__ import annotations

import os

import numpy as np

from tfhific.data.crops import Augmentation, CropSource, crop_dataset
from tfhific.data.datasets import PREFIX, open_tfds
from tfhific.data.folders import Files, find_images, with_left_out
from tfhific.data.shards import Shards, list_shards
from tfhific.data.source import Pictures


def open_pictures(spec: str | os.PathLike) -> Pictures:
    """The pictures that `--data` names.

    Args:
      spec: a folder of images (searched recursively), a glob of them, a folder or glob of TFRecord
        shards, or "tfds:NAME[:SPLIT]".

    Raises:
      ImageError: when there is none.
    """
    spec = os.fspath(spec)
    if spec.startswith(PREFIX):
        return open_tfds(spec)
    shards = list_shards(spec)
    if shards:
        return Shards(shards)
    found = find_images(spec)
    return Files(found.paths, found.left_out)


class ImageData:
    """Crops of pictures in batches; what a system without data of its own is trained on.

    Attributes:
      count: of pictures.
      skipped: names of the pictures that could not be read, with the reason.
    """

    channels = 3
    source_type = CropSource

    def __init__(
        self,
        pictures: Pictures,
        crop: int,
        batch_size: int,
        seed: int = 0,
        augmentation: Augmentation | None = None,
    ) -> None:
        self._source = self.source_type(pictures, crop, seed=seed, augmentation=augmentation)
        self.count, self._crop, self._batch_size = len(pictures), crop, batch_size
        self._left_out = pictures.left_out

    @property
    def skipped(self) -> dict[str, str]:
        return self._source.skipped

    def batches(self, first_step: int):
        """Endless batches from a step on: uint8 [batch_size, crop, crop, channels]."""
        return crop_dataset(self._source, self._crop, self._batch_size, first_step, self.channels)

    def samples(self, count: int = 3) -> np.ndarray:
        """The first crops: float32 [count, crop, crop, 3] in 0..255."""
        return np.stack([self._source(number) for number in range(count)]).astype(np.float32)

    def describe(self) -> str:
        """A few words for the log."""
        return with_left_out(f"{self.count} images", self._left_out)
