"""Images in folders, as training takes them."""

from __future__ import annotations

import glob as globbing
import os

import numpy as np

from tfhific.codec.jobs import IMAGE_EXTENSIONS
from tfhific.data.crops import CropSource, crop_dataset
from tfhific.errors import ImageError

__all__ = ["CropSource", "Files", "crop_dataset", "list_images"]


def list_images(pattern: str | os.PathLike) -> list[str]:
    """Image files under a folder (recursively) or matching a glob, sorted.

    Raises:
      ImageError: when there is none.
    """
    pattern = os.fspath(pattern)
    if os.path.isfile(pattern) and not pattern.lower().endswith(IMAGE_EXTENSIONS):
        raise ImageError(f"{pattern!r} is a file: expected a folder of images, or a glob of them.")
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


class Files:
    """A list of image files."""

    def __init__(self, paths: list[str]) -> None:
        self._paths = list(paths)

    def __len__(self) -> int:
        return len(self._paths)

    def name(self, position: int) -> str:
        """What a message calls the picture of that position."""
        return self._paths[position]

    def read(self, position: int) -> np.ndarray:
        """The picture of that position, uint8 [height, width, 3].

        Raises:
          ImageError: when it can't be read.
        """
        from tfhific.codec.images import read_picture

        return read_picture(self._paths[position]).pixels
