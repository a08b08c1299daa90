"""MNIST's files: arrays of bytes in the IDX format, gzipped or not."""

from __future__ import annotations

import dataclasses
import functools
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
            numbers = file.read(4 * head[3])
            if len(numbers) != 4 * head[3]:
                raise TfhificError(f"{path}: cut short.")
            sizes = np.frombuffer(numbers, ">u4").astype(int).tolist()
            # A side of 0 makes no room for others that no array has.
            if math.prod(max(size, 1) for size in sizes) > _MAX_BYTES:
                raise TfhificError(f"{path}: larger than {_MAX_BYTES:,} bytes.")
            count = math.prod(sizes)
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
    if not images.size:
        raise TfhificError(f"{os.fspath(folder)}: expected pictures. Received: none ({split}).")
    return Digits(images, labels)


class DigitData:
    """MNIST's training pictures but the last 10,000, which are for validation, as data of a run."""

    VALIDATION = 10_000

    def __init__(self, folder: str | os.PathLike, options) -> None:
        """Initializer.

        Args:
          folder: with MNIST's files.
          options: `batch_size` and `seed` of a run.

        Raises:
          TfhificError: as `read_digits`.
        """
        digits = read_digits(folder)
        # A smaller set, as for a try-out, gives a sixth of itself.
        self.count = len(digits) - min(self.VALIDATION, len(digits) // 6)
        self._images = digits.images[: self.count]
        self._labels = digits.labels[: self.count].astype(np.int32)
        self._options = options
        self.skipped: dict[str, str] = {}

    def batch(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        """The batch of a step: uint8 [batch_size, 28, 28] and int32 [batch_size]."""
        first = int(step) * self._options.batch_size
        places = []
        for number in range(first, first + self._options.batch_size):
            epoch, place = divmod(number, self.count)
            places.append(self._order(epoch)[place])
        return self._images[places], self._labels[places]

    @functools.lru_cache(maxsize=2)  # noqa: B019 (a run has one of these)
    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self._options.seed, epoch]).permutation(self.count)

    def batches(self, first_step: int):
        """An endless `tf.data.Dataset` of pairs of pictures and labels, from a step on."""
        import tensorflow as tf

        size, shape = self._options.batch_size, self._images.shape[1:]

        def cut(step):
            pictures, labels = tf.numpy_function(
                self.batch, [step], (tf.uint8, tf.int32), stateful=False
            )
            return tf.ensure_shape(pictures, [size, *shape]), tf.ensure_shape(labels, [size])

        return tf.data.Dataset.range(first_step, 2**62).map(cut).prefetch(4)

    def samples(self, count: int) -> np.ndarray:
        """The first pictures, uint8 [count, 28, 28]."""
        return self._images[:count]

    def describe(self) -> str:
        """A few words for the log."""
        return f"{self.count} digits"
