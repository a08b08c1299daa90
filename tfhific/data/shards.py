"""Images in TFRecord shards, read by their position.

A shard is a file of records; a record is a `tf.train.Example` with an encoded image (JPEG, PNG and
so on) under "image/encoded", or "image" as TensorFlow Datasets has it. A TFRecord file has no
index: the lengths before the records are read once, which takes a seek a record, and then any
record can be read by itself. Few large files are what network file systems like, and a resumed run
continues with the crops that it would have seen, as with folders.

Framing (TensorFlow's `record_writer.h`): length uint64, masked CRC-32C of it, data, masked CRC of
it, all little-endian. Checksums are left to TensorFlow when it writes; damage shows as a picture
that can't be read, and is skipped like any other.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from tfhific.errors import ImageError, OutputError
from tfhific.files.listing import LeftOut

KEYS = ("image/encoded", "image")
MAX_RECORD_BYTES = 1 << 30


class Shards:
    """The pictures of a list of TFRecord files.

    Attributes:
      left_out: empty: shards are named, not looked for among other files.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        """Finds where the records are.

        Args:
          paths: TFRecord files, uncompressed.

        Raises:
          ImageError: when a file is missing, is something else, or ends within a record, or when
            there is no record at all.
        """
        self._paths = list(paths)
        self.left_out = LeftOut()
        starts, owners = [], []
        for number, path in enumerate(self._paths):
            begin = record_offsets(path)
            starts.append(begin)
            owners.append(np.full(len(begin), number, np.int32))
        self._starts = np.concatenate(starts) if starts else np.zeros(0, np.int64)
        self._owners = np.concatenate(owners) if owners else np.zeros(0, np.int32)
        if not len(self._starts):
            raise ImageError(f"No records in {len(self._paths)} shards: expected TFRecord files.")

    def __len__(self) -> int:
        return len(self._starts)

    def name(self, position: int) -> str:
        """What a message calls the picture of that position."""
        return f"{self._paths[self._owners[position]]} at byte {self._starts[position]}"

    def read(self, position: int) -> np.ndarray:
        """The picture of that position, uint8 [height, width, 3].

        Raises:
          ImageError: when the record holds no image that can be read.
        """
        from tfhific.pictures.images import read_picture

        name = self.name(position)
        record = _read_record(self._paths[self._owners[position]], int(self._starts[position]))
        encoded = encoded_image(record)
        if encoded is None:
            raise ImageError(
                f"{name}: expected a tf.train.Example with an encoded image under "
                f"{' or '.join(map(repr, KEYS))}."
            )
        try:
            return read_picture(encoded).pixels
        except ImageError as error:
            raise ImageError(f"{name}: {error}") from None


def record_offsets(path: str) -> np.ndarray:
    """Where the records of a TFRecord file begin: int64 [records], in bytes.

    Raises:
      ImageError: when the file can't be read, is something else, or ends within a record.
    """
    offsets = []
    try:
        size = os.path.getsize(path)
        with open(path, "rb", buffering=64) as file:
            place = 0
            while place < size:
                head = file.read(12)
                length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else size
                if length > min(MAX_RECORD_BYTES, size - place - 16):
                    raise ImageError(
                        f"{path}: expected an uncompressed TFRecord file. At byte {place} of "
                        f"{size} there is no whole record."
                    )
                offsets.append(place)
                place += 16 + length
                file.seek(place)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error}).") from None
    return np.array(offsets, np.int64)


def _read_record(path: str, offset: int) -> bytes:
    try:
        with open(path, "rb") as file:
            file.seek(offset)
            head = file.read(12)
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else 0
            if length > MAX_RECORD_BYTES:
                raise ImageError(f"{path}: the record at byte {offset} has changed.")
            return file.read(length)
    except OSError as error:
        raise ImageError(f"{path}: cannot be read ({error.strerror or error}).") from None


def encoded_image(record: bytes) -> bytes | None:
    """The encoded image in a serialised `tf.train.Example`, or None."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    try:
        features = tf.train.Example.FromString(record).features.feature
    except DecodeError:
        return None
    for key in KEYS:
        if key in features and len(features[key].bytes_list.value) == 1:
            return features[key].bytes_list.value[0]
    return None


def write_shards(
    paths: Sequence[str], folder: str, count: int, name: str = "images"
) -> Iterator[tuple[str, str | None]]:
    """Writes image files into TFRecord shards, as they are, without encoding them again.

    A file that is no readable image is left out. Each shard appears whole or not at all.

    Args:
      paths: image files; the i-th goes to shard i modulo `count`.
      folder: where shards go, made if it is missing.
      count: of shards.
      name: shards are called NAME-00000-of-00008.tfrecord and so on.

    Yields:
      Each path, with the reason when it was left out.

    Raises:
      OutputError: when shards of that name are there already, or can't be written.
    """
    import tensorflow as tf

    targets = [os.path.join(folder, f"{name}-{i:05}-of-{count:05}.tfrecord") for i in range(count)]
    existing = [target for target in targets if os.path.exists(target)]
    if existing:
        raise OutputError(f"{existing[0]!r} is there already: choose another folder or `name`.")
    try:
        os.makedirs(folder, exist_ok=True)
        for shard, target in enumerate(targets):
            temporary = f"{target}.{os.getpid()}.new"
            try:
                with tf.io.TFRecordWriter(temporary) as writer:
                    for path in paths[shard::count]:
                        reason = _write_image(writer, path)
                        yield path, reason
                os.replace(temporary, target)
            finally:
                if os.path.exists(temporary):
                    os.unlink(temporary)
    except (OSError, tf.errors.OpError) as error:
        reason = str(error).splitlines()[0]
        raise OutputError(f"cannot write shards to {folder!r}: {reason}") from None


def _write_image(writer, path: str) -> str | None:
    import tensorflow as tf

    from tfhific.pictures.images import read_picture

    try:
        picture = read_picture(path)
        with open(path, "rb") as file:
            encoded = file.read()
    except ImageError as error:
        return str(error)
    except OSError as error:
        return f"{path}: cannot be read ({error.strerror or error})."
    height, width = picture.pixels.shape[:2]

    def integers(value: int) -> tf.train.Feature:
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

    def strings(value: bytes) -> tf.train.Feature:
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))

    feature = {
        "image/encoded": strings(encoded),
        "image/filename": strings(os.path.basename(path).encode("utf-8", "surrogateescape")),
        "image/height": integers(height),
        "image/width": integers(width),
    }
    example = tf.train.Example(features=tf.train.Features(feature=feature))
    writer.write(example.SerializeToString())
    return None


def list_shards(pattern: str) -> list[str]:
    """TFRecord files in a folder, or matching a glob, sorted; empty where there is none."""
    import glob as globbing

    if os.path.isdir(pattern):
        names: Iterable[str] = globbing.glob(os.path.join(globbing.escape(pattern), "*.tfrecord*"))
    else:
        names = [path for path in globbing.glob(pattern) if ".tfrecord" in os.path.basename(path)]
    return sorted(path for path in names if os.path.isfile(path) and not path.endswith(".new"))
