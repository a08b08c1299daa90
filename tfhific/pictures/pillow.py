"""Pillow without its warnings, and without a limit of its own on pictures that we have let pass."""

from __future__ import annotations

import contextlib
import threading
import types
import warnings
from typing import BinaryIO, cast

from PIL import Image, ImageFile

from tfhific.pictures.pieces import Pieces


def open_image(stream: BinaryIO | Pieces, kind: str) -> ImageFile.ImageFile:
    """Opens a file by one of Pillow's readers, whatever its size and brand.

    `Image.open` asks a reader first whether it takes the file's first bytes, and refuses pictures
    above `Image.MAX_IMAGE_PIXELS`; callers have decided on both by themselves.

    Args:
      stream: the file, which stays open.
      kind: Pillow's name of the format, in `Image.OPEN`.

    Raises:
      Exception: whatever the reader raises on damage.
    """
    stream.seek(0)
    return Image.OPEN[kind][0](cast(BinaryIO, stream), "")


class _QuietPillow(contextlib.AbstractContextManager):
    """Ignores Pillow's warnings while any thread is inside.

    Python's warning filters belong to the whole process: `warnings.catch_warnings` in two threads
    at once can leave the filters of one behind for good. Here the first thread in sets the filter
    and the last one out restores what was there.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved: warnings.catch_warnings | None = None

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._saved = warnings.catch_warnings()
                self._saved.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")
            self._inside += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: types.TracebackType | None,
    ) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0 and self._saved is not None:
                self._saved.__exit__(kind, error, traceback)
                self._saved = None


quiet_pillow = _QuietPillow()


class _Unlimited:
    """Lifts Pillow's limit on pixels while any thread is inside with a picture above it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._saved: int | None = None

    @contextlib.contextmanager
    def __call__(self, size: tuple[int, int]):
        """Lets a picture of (width, height) through.

        Below the limit nothing is touched: it belongs to the whole process.
        """
        with self._lock:
            limit = self._saved if self._inside else Image.MAX_IMAGE_PIXELS
            lift = limit is not None and size[0] * size[1] > limit
            if lift:
                self._saved, Image.MAX_IMAGE_PIXELS = limit, None
                self._inside += 1
        try:
            yield
        finally:
            if lift:
                with self._lock:
                    self._inside -= 1
                    if self._inside == 0:
                        Image.MAX_IMAGE_PIXELS = self._saved


unlimited = _Unlimited()
