"""Arrays in a safetensors file, of any size without a second copy in memory.

A large file is mapped into memory rather than read, and is written with its large arrays on
boundaries of 64 bytes, where TensorFlow computes with the mapped memory itself (`shared`). The
bytes are those of the safetensors format, and any of its readers can read them.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator, Mapping

import numpy as np

_ALIGNMENT = 64
_MAP_FROM = 64 << 20
_CHUNK = 8 << 20
_DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "|i1",
    "U8": "|u1",
}
_NAMES = {np.dtype(dtype): name for name, dtype in _DTYPES.items()}


class TensorFile:
    """The arrays of a file.

    Attributes:
      metadata: strings by strings.
      arrays: read-only views into the file or into its bytes, by name.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        """Opens a file; one of 64 MiB and more is mapped, and must not be written to meanwhile.

        Raises:
          OSError: where the system doesn't let it be read.
          SafetensorError: when it is no such file, or damaged.
          ValueError: when it holds arrays of a kind that is not known here.
        """
        from safetensors import safe_open

        # Whoever wrote the format checks the header: lengths, overlaps, gaps.
        with safe_open(path, "numpy") as file:
            self.metadata = dict(file.metadata() or {})
        self._path = path
        if os.path.getsize(path) >= _MAP_FROM:
            data = np.asarray(np.memmap(path, np.uint8, "r"))
        else:
            data = np.fromfile(path, np.uint8)
            data.setflags(write=False)
        length = struct.unpack("<Q", data[:8].tobytes())[0]
        entries = json.loads(data[8 : 8 + length].tobytes())
        entries.pop("__metadata__", None)
        self._places: dict[str, tuple[int, int]] = {}
        self.arrays: dict[str, np.ndarray] = {}
        for name, entry in entries.items():
            if entry["dtype"] not in _DTYPES:
                raise ValueError(f"the array {name!r} is of the kind {entry['dtype']}")
            start, stop = (8 + length + offset for offset in entry["data_offsets"])
            dtype = np.dtype(_DTYPES[entry["dtype"]])
            part = data[start:stop]
            if start % dtype.itemsize:
                part = np.frombuffer(part.tobytes(), np.uint8)
            self.arrays[name] = part.view(dtype).reshape(entry["shape"])
            self._places[name] = start, stop

    def chunks(self, name: str) -> Iterator[bytes]:
        """An array's bytes piece by piece, from the file, which leaves the mapping untouched."""
        place, stop = self._places[name]
        with open(self._path, "rb") as file:
            file.seek(place)
            while place < stop:
                part = file.read(min(_CHUNK, stop - place))
                if not part:
                    raise OSError(f"{os.fspath(self._path)!r} became shorter while it was read")
                place += len(part)
                yield part


def parts(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> list:
    """A file's bytes as a list of buffers: its header, then the arrays' own memory.

    Args:
      arrays: contiguous where large; of the dtypes of safetensors that NumPy has too.
      metadata: strings.
    """
    header: dict = {"__metadata__": dict(metadata)}
    contiguous = {name: np.ascontiguousarray(value) for name, value in arrays.items()}

    def order(name: str) -> tuple:
        value = contiguous[name]
        # Whole multiples of the alignment first: each then starts on a boundary.
        return value.nbytes % _ALIGNMENT != 0, -value.itemsize, name

    place, names = 0, sorted(contiguous, key=order)
    for name in names:
        value = contiguous[name]
        header[name] = {
            "dtype": _NAMES[value.dtype.newbyteorder("<")],
            "shape": list(value.shape),
            "data_offsets": [place, place + value.nbytes],
        }
        place += value.nbytes
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    little = (
        contiguous[n].astype(contiguous[n].dtype.newbyteorder("<"), copy=False) for n in names
    )
    return [
        struct.pack("<Q", len(text)) + text,
        *(value.reshape(-1).data.cast("B") for value in little if value.size),
    ]


class _Shared:
    """An array that TensorFlow takes as it is: what is not an ndarray, it does not copy first."""

    def __init__(self, array: np.ndarray) -> None:
        self._array = array

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        return self._array


def shared(array: np.ndarray):
    """A tensor of an array that nobody will change.

    In eager execution it is the array's own memory where that lies on a boundary of 64 bytes,
    otherwise a copy; in a graph it is a constant.
    """
    import tensorflow as tf

    if tf.executing_eagerly() and not array.flags.writeable:
        return tf.constant(_Shared(array))
    return tf.constant(array)
