"""Checkpoints in PyTorch's zip format, written without torch."""

from __future__ import annotations

import collections
import os
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfhific.errors import ModelError
from tfhific.interop.pickle_reader import STORAGE_DTYPES

_STORAGES = {np.dtype(dtype): name for name, dtype in STORAGE_DTYPES.items() if dtype != "bfloat16"}
_ALIGNMENT = 64


def write_checkpoint(path: str | os.PathLike, contents: Mapping, overwrite: bool = False) -> None:
    """Writes what `torch.load` reads, whole or not at all.

    Args:
      path: of the file.
      contents: dicts, lists, tuples, numbers, strings, None, and arrays, which become tensors.
      overwrite: whether a file that is there is replaced.

    Raises:
      OutputError: where it can't be written.
      ModelError: for a value of another kind.
    """
    from tfhific.files.atomic import write_atomically

    pickler = _Pickler()
    data = pickler.dump(contents)
    parts = _Zip("archive")
    parts.add("data.pkl", data)
    parts.add("byteorder", b"little")
    for number, array in enumerate(pickler.arrays):
        parts.add(f"data/{number}", array.reshape(-1).data.cast("B") if array.size else b"")
    parts.add("version", b"3\n")
    write_atomically(path, parts.finish(), overwrite)


class _Zip:
    """A zip file of stored entries, their data on boundaries of 64 bytes, as a list of buffers."""

    def __init__(self, folder: str) -> None:
        self._folder, self._size = folder, 0
        self._buffers: list[Any] = []
        self._directory: list[bytes] = []

    def add(self, name: str, data) -> None:
        title, size, crc = f"{self._folder}/{name}".encode(), len(data), zlib.crc32(data)
        # An extra field of a number that nobody has taken fills up to the boundary.
        room = -(self._size + 30 + len(title) + 4) % _ALIGNMENT
        extra = struct.pack("<HH", 0x4246, room) + bytes(room)
        # Version, flags, method (stored), time, date (the first that the format has).
        common = (20, 0, 0, 0, 0x21, crc, size, size, len(title))
        header = struct.pack("<4s5H3I2H", b"PK\x03\x04", *common, len(extra)) + title + extra
        entry = struct.pack("<4s6H3I5H2I", b"PK\x01\x02", 20, *common, 0, 0, 0, 0, 0, self._size)
        self._directory.append(entry + title)
        self._buffers += [header, data]
        self._size += len(header) + size
        if self._size >= 1 << 32:
            raise ModelError("A checkpoint of 4 GiB and more can't be written.")

    def finish(self) -> list:
        """The whole file."""
        directory, count = b"".join(self._directory), len(self._directory)
        end = struct.pack(
            "<4s4H2IH", b"PK\x05\x06", 0, 0, count, count, len(directory), self._size, 0
        )
        return [*self._buffers, directory + end]


class _Pickler:
    """Writes the pickle that torch writes: protocol 2, tensors as calls of its own functions.

    Attributes:
      arrays: contiguous, little-endian, in the order of their storages' numbers.
    """

    def __init__(self) -> None:
        self.arrays: list[np.ndarray] = []
        self._out = bytearray()

    def dump(self, value) -> bytes:
        self._out = bytearray(b"\x80\x02")
        self._save(value)
        return bytes(self._out + b".")

    def _save(self, value) -> None:
        out = self._out
        if value is None or isinstance(value, bool):
            out += {None: b"N", True: b"\x88", False: b"\x89"}[value]
        elif isinstance(value, int):
            data = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
            out += b"\x8a" + bytes([len(data)]) + data
        elif isinstance(value, float):
            out += b"G" + struct.pack(">d", value)
        elif isinstance(value, str):
            data = value.encode("utf-8", "surrogatepass")
            out += b"X" + struct.pack("<I", len(data)) + data
        elif isinstance(value, np.ndarray):
            self._save_tensor(value)
        elif isinstance(value, Mapping):
            out += b"}" if not isinstance(value, collections.OrderedDict) else _ORDERED + b")R"
            self._save_all(item for pair in value.items() for item in pair)
            out += b"u"
        elif isinstance(value, list):
            out += b"]"
            self._save_all(value)
            out += b"e"
        elif isinstance(value, tuple):
            self._save_all(value)
            out += b"t"
        else:
            raise ModelError(f"A {type(value).__name__} has no place in a checkpoint.")

    def _save_all(self, values) -> None:
        self._out += b"("
        for value in values:
            self._save(value)

    def _save_tensor(self, value: np.ndarray) -> None:
        array = np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
        if array.dtype not in _STORAGES:
            raise ModelError(f"An array of {array.dtype} has no place in a checkpoint.")
        strides = tuple(stride // array.itemsize for stride in array.strides)
        out = self._out
        out += _REBUILD + b"("
        self._save_all(["storage"])
        out += b"ctorch\n" + _STORAGES[array.dtype].encode() + b"\n"
        for name_or_size in (str(len(self.arrays)), "cpu", array.size):
            self._save(name_or_size)
        out += b"tQ"
        for part in (0, tuple(value.shape), strides if value.ndim else (), False):
            self._save(part)
        out += _ORDERED + b")RtR"
        self.arrays.append(array)


_ORDERED = b"ccollections\nOrderedDict\n"
_REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
