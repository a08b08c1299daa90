"""MNIST's files: arrays of bytes in the IDX format, gzipped or not."""

from __future__ import annotations

import dataclasses
import gzip
import math
import os
import zlib

import numpy as np

from tfhific.errors import TfhificError

_MAX_BYTES = 1 << 30
_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


@dataclasses.dataclass(frozen=True)
class Digits:
    """A set of small grey pictures with a class each.

    Attributes:
      images: uint8 [count, height, width].
      labels: uint8 [count].
    """

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Reads an IDX file of unsigned bytes; `.gz` is unpacked.

    Returns:
      uint8, of the shape that the file says.

    Raises:
      TfhificError: when the file can't be read, is no such file, or its length does not fit.
    """
    path = os.fspath(path)
    opener = gzip.open if path.endswith(".gz") else open
    try:
        with opener(path, "rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:3] != b"\0\0\x08" or not 1 <= head[3] <= 4:
                raise TfhificError(f"{path}: expected an IDX file of unsigned bytes.")
            sizes = np.frombuffer(file.read(4 * head[3]), ">u4").astype(int).tolist()
            count = math.prod(sizes)
            if len(sizes) != head[3] or count > _MAX_BYTES:
                raise TfhificError(f"{path}: cut short, or larger than {_MAX_BYTES:,} bytes.")
            data = file.read(count + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise TfhificError(f"{path}: can't be read ({error}).") from None
    if len(data) != count:
        raise TfhificError(f"{path}: expected {count:,} bytes of data, found {len(data):,}.")
    return np.frombuffer(data, np.uint8).reshape(sizes)


def read_digits(folder: str | os.PathLike, split: str = "train") -> Digits:
    """Reads MNIST's `train` or `test` pictures and labels from a folder with its four files.

    Raises:
      TfhificError: when they are missing, damaged or do not fit each other.
    """
    arrays = []
    for name in _FILES[split]:
        paths = [os.path.join(os.fspath(folder), name + end) for end in ("", ".gz")]
        found = [path for path in paths if os.path.isfile(path)]
        if not found:
            raise TfhificError(f"{os.fspath(folder)}: expected MNIST's file {name}.gz there.")
        arrays.append(read_idx(found[0]))
    images, labels = arrays
    if images.ndim != 3 or labels.shape != images.shape[:1]:
        raise TfhificError(
            f"{os.fspath(folder)}: expected as many labels as pictures. Received: shapes "
            f"{labels.shape} and {images.shape}."
        )
    return Digits(images, labels)
