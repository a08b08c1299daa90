"""Images in folders, as training takes them."""

from __future__ import annotations

import glob as globbing
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from tfhific.data.source import Pictures
from tfhific.errors import ImageError
from tfhific.files.file_kinds import IMAGE_EXTENSIONS
from tfhific.files.listing import LeftOut, Listing, list_folder


def list_images(pattern: str | os.PathLike) -> list[str]:
    """Image files under a folder (recursively) or matching a glob, sorted.

    Regular files alone: reading a pipe may never end.

    Raises:
      ImageError: when there is none.
    """
    return list(find_images(pattern).paths)


def find_images(pattern: str | os.PathLike) -> Listing:
    """Image files as `list_images` has them, and what of a folder is no such file.

    Raises:
      ImageError: when there is no image.
    """
    pattern = os.fspath(pattern)
    if os.path.isfile(pattern) and not pattern.lower().endswith(IMAGE_EXTENSIONS):
        raise ImageError(f"{pattern!r} is a file: expected a folder of images, or a glob of them.")
    if os.path.isdir(pattern):
        found = list_folder(pattern, IMAGE_EXTENSIONS, recursive=True)
    else:
        matches = globbing.glob(pattern, recursive=True)
        found = Listing(tuple(sorted(filter(os.path.isfile, matches))), LeftOut())
    if not found.paths:
        what = found.left_out.line()
        raise ImageError(
            f"No images in {pattern!r}: expected a folder or a glob with files that end in "
            f"{', '.join(IMAGE_EXTENSIONS)}." + (f" It has {what}." if what else "")
        )
    return found


def with_left_out(description: str, left_out: LeftOut) -> str:
    """A few words about data for the log, with what of the folder is not taken."""
    line = left_out.line()
    return f"{description} (left out: {line})" if line else description


def readable(
    pictures: Pictures, complain: Callable[[str], None], positions: Iterable[int] | None = None
) -> Iterator[tuple[int, np.ndarray]]:
    """Pictures with their positions, one after the other, but for those that can't be read.

    Args:
      pictures: any list of them.
      complain: takes a line for each that is left out.
      positions: of those that are wanted; None for all.

    Raises:
      ImageError: at the end, when none could be read.
    """
    found, first = 0, ""
    for position in range(len(pictures)) if positions is None else positions:
        try:
            pixels = pictures.read(position)
        except ImageError as error:
            first = first or str(error)
            complain(f"skipped: {error}")
            continue
        found += 1
        yield position, pixels
    if not found:
        raise ImageError(f"None of the images can be read. The first reason: {first}")


class Files:
    """A list of image files.

    Attributes:
      left_out: what there is in their folder beside them.
    """

    def __init__(self, paths: Sequence[str], left_out: LeftOut | None = None) -> None:
        self._paths = list(paths)
        self.left_out = left_out or LeftOut()

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
        from tfhific.pictures.images import read_picture

        return read_picture(self._paths[position]).pixels
