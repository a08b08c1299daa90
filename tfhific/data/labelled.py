"""Training crops of pictures with their semantic label maps, and regions to keep."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from tfhific.bitstream.label_map import label_map_of, read_label_map
from tfhific.data.crops import Augmentation, CropSource
from tfhific.data.folders import find_images, list_images, readable, with_left_out
from tfhific.data.images import ImageData
from tfhific.errors import ImageError
from tfhific.files.listing import LeftOut

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


class LabelledFiles:
    """A list of image files with the label map of each: `Pictures` of four channels.

    Attributes:
      left_out: what there is in their folder beside them.
    """

    def __init__(
        self, labels: Mapping[str, str], classes: int, left_out: LeftOut | None = None
    ) -> None:
        """Initializer.

        Args:
          labels: the label map of each picture, in order.
          classes: how many there are; a map with others can't be read.
          left_out: what else is in their folder, where somebody looked.
        """
        self.left_out = left_out or LeftOut()
        self._pairs, self._classes = list(labels.items()), classes

    def __len__(self) -> int:
        return len(self._pairs)

    def name(self, position: int) -> str:
        """What a message calls the picture of that position."""
        return self._pairs[position][0]

    def read(self, position: int) -> np.ndarray:
        """The picture of that position and its labels, uint8 [height, width, 4].

        Raises:
          ImageError: when either can't be read, or the two do not fit.
        """
        from tfhific.pictures.images import read_picture

        path, labels = self._pairs[position]
        pixels = read_picture(path).pixels
        found = read_label_map(labels, pixels.shape[:2], self._classes)
        return np.concatenate([pixels, found[..., None]], -1)


class LabelledCropSource(CropSource):
    """Random crops of `LabelledFiles`: red, green, blue, label, and 1 where it is kept."""

    stream = 2

    def _cut(self, pixels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        patch = super()._cut(pixels, rng)
        return np.concatenate([patch, draw_kept(patch[..., 3], rng)[..., None]], -1)

    def _scaled(self, patch: np.ndarray) -> np.ndarray:
        """A patch at the crop's size: colours mixed, labels taken from the nearest pixel."""
        from PIL import Image

        pixels, labels = np.ascontiguousarray(patch[..., :3]), np.ascontiguousarray(patch[..., 3])
        size = (self._crop, self._crop)
        labels = np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))
        return np.concatenate([super()._scaled(pixels), labels[..., None]], -1)


def kept_pictures(
    folder: str | os.PathLike,
    classes: int,
    complain: Callable[[str], None] = lambda line: None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Every picture of a folder, uint8 [H, W, 3], with a region to keep, bool [H, W].

    Args:
      folder: of the pictures; their label maps are in the one beside it.
      classes: how many there are.
      complain: takes a line for each pair that can't be read, which is left out.

    Raises:
      ImageError: when a label map is missing, or no pair can be read.
    """
    folder = os.path.normpath(os.fspath(folder))
    files = LabelledFiles(pair_labels(list_images(folder), folder + "_labels"), classes)
    for position, stack in readable(files, complain):
        kept = draw_kept(stack[..., 3], np.random.default_rng(position))
        yield np.ascontiguousarray(stack[..., :3]), kept.astype(bool)


class LabelledData(ImageData):
    """A folder of pictures with the folder of their label maps beside it, as data of a run.

    The label maps of `DIR` are in `DIR_labels`, under the pictures' names. Pairs that can't be read
    are skipped, as other pictures are.
    """

    channels = 5
    source_type = LabelledCropSource

    def __init__(self, folder: str | os.PathLike, options, classes: int) -> None:
        """Initializer.

        Args:
          folder: of the pictures.
          options: `batch_size`, `crop`, `seed`, `flip` and `downscale_...` of a run.
          classes: how many there are.

        Raises:
          ImageError: when there are no pictures, or a label map is missing.
        """
        folder = os.path.normpath(os.fspath(folder))
        found = find_images(folder)
        labels = pair_labels(list(found.paths), folder + "_labels")
        augmentation = Augmentation(
            options.downscale_min, options.downscale_max, options.downscale_share, options.flip
        )
        super().__init__(
            LabelledFiles(labels, classes, found.left_out),
            options.crop,
            options.batch_size,
            options.seed,
            augmentation,
        )

    def samples(self, count: int = 3) -> np.ndarray:
        """The first crops, uint8 [count, crop, crop, 5]."""
        return super().samples(count).astype(np.uint8)

    def describe(self) -> str:
        """A few words for the log."""
        return with_left_out(f"{self.count} pictures with label maps", self._left_out)
