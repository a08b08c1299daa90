"""Training crops of pictures with their semantic label maps, and regions to keep."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np

from tfhific.codec.label_map import label_map_of, read_label_map
from tfhific.data.folders import find_images, list_images, with_left_out
from tfhific.errors import ImageError

KEPT_SHARE = 0.25
"""Of the instances of a crop, so many are kept (Agustsson et al. 2019)."""


def pair_labels(paths: list[str], folder: str | os.PathLike) -> dict[str, str]:
    """The label map of each picture: the PNG of its name in a folder.

    Raises:
      ImageError: when one is missing.
    """
    pairs = {}
    for path in paths:
        pairs[path] = label_map_of(path, os.fspath(folder))
        if not os.path.isfile(pairs[path]):
            raise ImageError(f"{path}: expected its label map {pairs[path]}, which is not there.")
    return pairs


def instances(labels: np.ndarray) -> tuple[np.ndarray, int]:
    """Connected regions of one class (4 neighbours): int32 [H, W] from 0 on, and how many."""
    height, width = labels.shape
    same_row = labels[:, 1:] == labels[:, :-1]
    # Runs along a row first; then runs that touch runs of their class above are joined.
    starts = np.concatenate([np.ones([height, 1], bool), ~same_row], axis=1).ravel()
    run = np.cumsum(starts).reshape(height, width) - 1
    parent = np.arange(int(run[-1, -1]) + 1)

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    touching = labels[1:] == labels[:-1]
    pairs = np.unique(np.stack([run[:-1][touching], run[1:][touching]], 1), axis=0)
    for one, other in pairs.tolist():
        a, b = root(one), root(other)
        if a != b:
            parent[max(a, b)] = min(a, b)
    roots = np.array([root(node) for node in range(len(parent))])
    names, numbered = np.unique(roots, return_inverse=True)
    return numbered.reshape(-1)[run].astype(np.int32), len(names)


def draw_kept(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A region to keep while training: a quarter of the instances, or one box, as likely each.

    Args:
      labels: uint8 [H, W].
      rng: draws.

    Returns:
      uint8 [H, W], 1 where kept; never empty.
    """
    height, width = labels.shape
    if rng.random() < 0.5:
        numbered, count = instances(labels)
        kept = (rng.random(count) < KEPT_SHARE)[numbered]
        if kept.any():
            return kept.astype(np.uint8)
    kept = np.zeros(labels.shape, np.uint8)
    tall, wide = (int(rng.integers(max(side // 4, 1), side + 1)) for side in labels.shape)
    top, left = int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1))
    kept[top : top + tall, left : left + wide] = 1
    return kept


class LabelledCropSource:
    """Random crops with their labels, addressed by number like those of `CropSource`.

    Attributes:
      channels: of a crop: red, green, blue, label, and 1 where it is kept.
    """

    channels = 5

    def __init__(
        self,
        paths: list[str],
        labels: dict[str, str],
        crop: int,
        classes: int,
        *,
        seed: int = 0,
        scale_min: float = 0.6,
    ) -> None:
        """Initializer.

        Args:
          paths: pictures.
          labels: the label map of each.
          crop: side of the square crops, pixels.
          classes: how many there are; a map with others fails.
          seed: chooses order, crops and kept regions.
          scale_min: half of the crops are scaled down by a factor between this and 1.
        """
        self._crop, self._classes, self._labels = crop, classes, labels
        self._seed, self._scale_min = seed, scale_min
        self._paths = list(paths)
        self._cache: dict[int, np.ndarray] = {}

    def _stack(self, position: int) -> np.ndarray:
        """Picture and labels, uint8 [H, W, 4]."""
        from tfhific.codec.images import read_picture

        if position not in self._cache:
            path = self._paths[position]
            pixels = read_picture(path).pixels
            labels = read_label_map(self._labels[path], pixels.shape[:2], self._classes)
            self._cache[position] = np.concatenate([pixels, labels[..., None]], -1)
        return self._cache[position]

    def __call__(self, number: int) -> np.ndarray:
        """The crop of that number, uint8 [crop, crop, 5].

        Raises:
          ImageError: when a picture or its label map can't be read or do not fit.
        """
        from PIL import Image

        number = int(number)
        rng = np.random.default_rng([self._seed, number, 2])
        epoch, place = divmod(number, len(self._paths))
        order = np.random.default_rng([self._seed, epoch]).permutation(len(self._paths))
        stack = self._stack(int(order[place]))
        shrink = rng.uniform(self._scale_min, 1.0) if rng.random() < 0.5 else 1.0
        side = min(round(self._crop / shrink), max(self._crop, min(stack.shape[:2])))
        short = [max(0, side - length) for length in stack.shape[:2]]
        stack = np.pad(stack, ((0, short[0]), (0, short[1]), (0, 0)), "symmetric")
        top = int(rng.integers(stack.shape[0] - side + 1))
        left = int(rng.integers(stack.shape[1] - side + 1))
        patch = stack[top : top + side, left : left + side]
        if rng.random() < 0.5:
            patch = patch[:, ::-1]
        pixels, labels = np.ascontiguousarray(patch[..., :3]), np.ascontiguousarray(patch[..., 3])
        if side != self._crop:
            size = (self._crop, self._crop)
            pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.BICUBIC))
            labels = np.asarray(Image.fromarray(labels).resize(size, Image.NEAREST))
        kept = draw_kept(labels, rng)
        return np.concatenate([pixels, labels[..., None], kept[..., None]], -1)


def kept_pictures(
    folder: str | os.PathLike, classes: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every picture of a folder, uint8 [H, W, 3], with a region to keep, bool [H, W].

    Raises:
      ImageError: when a label map is missing or doesn't fit.
    """
    from tfhific.codec.images import read_picture

    folder = os.path.normpath(os.fspath(folder))
    pairs = pair_labels(list_images(folder), folder + "_labels")
    for number, (path, labels) in enumerate(pairs.items()):
        pixels = read_picture(path).pixels
        found = read_label_map(labels, pixels.shape[:2], classes)
        yield pixels, draw_kept(found, np.random.default_rng(number)).astype(bool)


class LabelledData:
    """A folder of pictures with the folder of their label maps beside it, as data of a run.

    The label maps of `DIR` are in `DIR_labels`, under the pictures' names.
    """

    def __init__(self, folder: str | os.PathLike, options, classes: int) -> None:
        """Initializer.

        Args:
          folder: of the pictures.
          options: `batch_size`, `crop`, `seed` and `downscale_min` of a run.
          classes: how many there are.

        Raises:
          ImageError: when pictures or label maps are missing.
        """
        folder = os.path.normpath(os.fspath(folder))
        found = find_images(folder)
        paths, self._left_out = list(found.paths), found.left_out
        self._options = options
        self._source = LabelledCropSource(
            paths,
            pair_labels(paths, folder + "_labels"),
            options.crop,
            classes,
            seed=options.seed,
            scale_min=options.downscale_min,
        )
        self.count = len(paths)
        self.skipped: dict[str, str] = {}

    def batches(self, first_step: int):
        """Endless batches from a step on, uint8 [batch_size, crop, crop, 5]."""
        import tensorflow as tf

        crop, batch = self._options.crop, self._options.batch_size

        def cut(number):
            patch = tf.numpy_function(self._source, [number], tf.uint8, stateful=False)
            return tf.ensure_shape(patch, [crop, crop, 5])

        numbers = tf.data.Dataset.range(first_step * batch, 2**62)
        crops = numbers.map(cut, num_parallel_calls=2, deterministic=True)
        return crops.batch(batch, drop_remainder=True).prefetch(4)

    def samples(self, count: int) -> np.ndarray:
        """The first crops, uint8 [count, crop, crop, 5]."""
        return np.stack([self._source(number) for number in range(count)])

    def describe(self) -> str:
        """A few words for the log."""
        return with_left_out(f"{self.count} pictures with label maps", self._left_out)
