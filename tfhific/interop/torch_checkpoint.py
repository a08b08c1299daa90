"""Checkpoints of PyTorch, with or without torch, never executing what is in them."""

from __future__ import annotations

import contextlib
import io
import os
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfhific.errors import ModelError
from tfhific.interop.pickle_reader import Storage, TensorRecord, read_pickle

_MAX_PICKLE = 64 << 20
_MAX_ENTRIES = 100_000
_MAX_VALUES = 200_000
_MAX_DEPTH = 64
_LEGACY_MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")


def read_checkpoint(path: str | os.PathLike, use_torch: bool | None = None) -> Any:
    """What a file of `torch.save` holds, its tensors as arrays.

    With torch it is read by `torch.load(weights_only=True)`; without, or where that refuses the
    file, by this package's own reader, of the zip format that torch writes since 1.6 and of the
    one before it. Either maps the file into memory: an array is read when it is used.

    Args:
      path: of the file.
      use_torch: True for torch's reader alone, False for our own; None for both, where torch is.

    Returns:
      Dicts, lists, tuples, numbers and strings, with `np.ndarray` for tensors.

    Raises:
      ModelError: when it is no such file, damaged, or asks for more than tensors.
    """
    path = os.fspath(path)
    try:
        with open(path, "rb") as file:
            head = file.read(len(_LEGACY_MAGIC))
    except OSError as error:
        raise ModelError(f"{path!r} can't be read: {error.strerror}.") from None
    try:
        if use_torch:
            return _read_with_torch(path)
        if use_torch is None and _has_torch():
            # What torch refuses, such as NumPy's numbers among the settings, ours may know.
            with contextlib.suppress(ModelError):
                return _read_with_torch(path)
        if head == _LEGACY_MAGIC:
            return _read_legacy(path)
        return _read_zip(path)
    except ModelError as error:
        raise ModelError(f"{path!r}: {error}") from None


def _has_torch() -> bool:
    import importlib.util

    return importlib.util.find_spec("torch") is not None


def _read_with_torch(path: str) -> Any:
    import torch

    options = {"map_location": "cpu", "weights_only": True}
    try:
        try:
            loaded = torch.load(path, mmap=True, **options)
        except RuntimeError:
            # Only the zip format can be mapped.
            loaded = torch.load(path, **options)
    except Exception as error:
        said = re.search(r"WeightsUnpickler error: (.*)", str(error))
        said = said or re.search(r"(.+)", f"{error}\n{type(error).__name__}")
        raise ModelError(
            "torch's loader of weights alone refuses it, as a damaged file or one that asks for "
            f"more than tensors: {said[1]:.200}"
        ) from None

    def array(tensor) -> np.ndarray:
        tensor = tensor.detach()
        return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()

    return _replaced(loaded, torch.Tensor, array)


def _replaced(value, kind: type, make: Callable):
    """Contents with `make` of each instance of `kind` in its place."""
    left = _MAX_VALUES

    def replaced(value, depth: int):
        nonlocal left
        left -= 1
        # Few bytes can say a container of containers of the same container, and so on.
        if left < 0 or depth > _MAX_DEPTH:
            raise ModelError("The checkpoint's contents are too many, or nested too deeply.")
        if isinstance(value, kind):
            return make(value)
        if isinstance(value, Mapping):
            return {key: replaced(v, depth + 1) for key, v in value.items()}
        if isinstance(value, (list, tuple)):
            items = [replaced(v, depth + 1) for v in value]
            return items if isinstance(value, list) else tuple(items)
        return value

    return replaced(value, 0)


def _read_zip(path: str) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            if len(entries) > _MAX_ENTRIES:
                raise ModelError(f"It has {len(entries)} entries; expected a checkpoint's.")
            pickles = [e for e in entries if e.filename.endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ModelError(
                    "It is a zip file, but not a checkpoint of torch: expected one entry "
                    f"'.../data.pkl', found {len(pickles)}."
                )
            entry = pickles[0]
            if entry.file_size > _MAX_PICKLE or entry.compress_type != zipfile.ZIP_STORED:
                raise ModelError(
                    "Expected a pickle stored without compression, of at most "
                    f"{_MAX_PICKLE:,} bytes. Received: {entry.file_size:,}."
                )
            prefix = entry.filename[: -len("data.pkl")]
            order = next((e for e in entries if e.filename == prefix + "byteorder"), None)
            if order and (order.file_size > 16 or archive.read(order).strip() != b"little"):
                raise ModelError("It was written on a big-endian machine, which is not supported.")
            described = read_pickle(io.BytesIO(archive.read(entry)))
    except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelError(
            f"Expected a checkpoint that torch.save wrote, a zip file. Received: {error}."
        ) from None
    data = np.memmap(path, np.uint8, "r")
    places = {e.filename: e for e in entries}

    def storage_bytes(storage: Storage, itemsize: int) -> np.ndarray:
        name = f"{prefix}data/{storage.key}"
        if name not in places:
            raise ModelError(f"Its entry {name!r:.80} is missing.")
        entry = places[name]
        if entry.compress_type != zipfile.ZIP_STORED:
            raise ModelError("Its tensors are compressed, as torch does not write them.")
        start = entry.header_offset
        head = data[start : start + 30].tobytes()
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise ModelError(f"Its entry {name!r:.80} is damaged.")
        start += 30 + sum(struct.unpack("<HH", head[26:30]))
        size = storage.count * itemsize
        if size > entry.file_size or start + size > data.size:
            raise ModelError(
                f"Its entry {name!r:.80} has {entry.file_size} bytes; expected {size}."
            )
        return data[start : start + size]

    return _replaced(described, TensorRecord, lambda record: _array(record, storage_bytes))


def _array(record: TensorRecord, storage_bytes: Callable) -> np.ndarray:
    half = record.storage.dtype == "bfloat16"
    dtype = np.dtype("<u2" if half else record.storage.dtype)
    raw = np.asarray(storage_bytes(record.storage, dtype.itemsize))
    # A view where the bytes lie as they should, a copy elsewhere.
    flat = raw.view(dtype) if raw.size else np.empty([0], dtype)
    strides = tuple(stride * dtype.itemsize for stride in record.strides)
    value = np.lib.stride_tricks.as_strided(
        flat[record.offset :], record.shape, strides, writeable=False
    )
    if half:
        value = (np.ascontiguousarray(value).astype(np.uint32) << 16).view(np.float32)
    return value


def _read_legacy(path: str) -> Any:
    """The format before torch 1.6: pickles one after the other, then the storages' elements."""
    with open(path, "rb") as file:
        read_pickle(file)
        version, system = read_pickle(file), read_pickle(file)
        if version != 1001 or not isinstance(system, dict) or system.get("little_endian") is False:
            raise ModelError("It has an unknown version of torch's format before 1.6.")
        described = read_pickle(file)
        keys = read_pickle(file)
        place = file.tell()
    data = np.memmap(path, np.uint8, "r")
    sizes: dict[str, int] = {}

    def note(record: TensorRecord) -> TensorRecord:
        dtype = record.storage.dtype
        sizes[record.storage.key] = 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
        return record

    _replaced(described, TensorRecord, note)
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ModelError("Its list of storages is damaged.")
    starts: dict[str, tuple[int, int]] = {}
    for key in keys:
        head = data[place : place + 8].tobytes()
        if len(head) < 8 or key not in sizes:
            raise ModelError("It is cut short, or its list of storages is damaged.")
        count = struct.unpack("<q", head)[0]
        end = place + 8 + count * sizes[key]
        if count < 0 or end > data.size:
            raise ModelError("It is cut short: expected more elements than it has bytes for.")
        starts[key] = place + 8, count
        place = end

    def storage_bytes(storage: Storage, itemsize: int) -> np.ndarray:
        start, count = starts.get(storage.key, (0, -1))
        if storage.count > count:
            raise ModelError(f"Its storage {storage.key!r:.80} is missing, or too short.")
        return data[start : start + storage.count * itemsize]

    return _replaced(described, TensorRecord, lambda record: _array(record, storage_bytes))
