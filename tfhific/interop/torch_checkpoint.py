"""Checkpoints of PyTorch, with or without torch, never executing what is in them."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfhific.errors import ModelError
from tfhific.interop.pickle_reader import Storage, TensorRecord, read_pickle

_MAX_PICKLE = 64 << 20
_MAX_ENTRIES = 100_000
_MAX_VALUES = 200_000
_MAX_DEPTH = 64
_MAX_GROWTH = 64
"""How many times a compressed file may grow. Weights hardly shrink; an optimiser's zeros do."""

_ROOM = 256 << 20
"""What it may grow to in any case, in bytes."""

_DAMAGE = (
    OSError,
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    EOFError,
)
"""What Python's reader of zip files says of a damaged one."""

_LEGACY_MAGIC = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")


def read_checkpoint(path: str | os.PathLike, use_torch: bool | None = None) -> Any:
    """What a file of `torch.save` holds, its tensors as arrays.

    With torch it is read by `torch.load(weights_only=True)`; without, or where that refuses the
    file, by this package's own reader, of the zip format that torch writes since 1.6 and of the
    one before it. Either maps the file into memory: an array is read when it is used. Of a file
    that was zipped again, with compression, our reader unpacks the arrays, within bounds.

    Args:
      path: of the file.
      use_torch: True for torch's reader alone, False for our own; None for both, where torch is.

    Returns:
      Dicts, lists, tuples, numbers and strings, with `np.ndarray` for tensors and a dict for an
      `argparse.Namespace`.

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
        compressed = _is_compressed(path)
        if use_torch and compressed:
            raise ModelError(
                "It was zipped again, with compression, as torch does not read it: leave it to "
                "our own reader."
            )
        if use_torch:
            return _read_with_torch(path)
        if use_torch is None and not compressed:
            # Where torch is missing or broken ours reads all of it; what torch refuses, such as
            # NumPy's numbers among the settings, ours may know.
            with contextlib.suppress(ModelError):
                return _read_with_torch(path)
        if head == _LEGACY_MAGIC:
            return _read_legacy(path)
        return _read_zip(path)
    except ModelError as error:
        raise ModelError(f"{path!r}: {error}") from None


def _is_compressed(path: str) -> bool:
    """Whether a file is a zip file with a compressed entry, whose bytes torch takes as stored."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(e.compress_type != zipfile.ZIP_STORED for e in archive.infolist())
    except (OSError, zipfile.BadZipFile, ValueError, NotImplementedError):
        return False


def _read_with_torch(path: str) -> Any:
    try:
        import torch
    except (ImportError, OSError) as error:
        # Installed, but a library that it needs is not there: that is no ModuleNotFoundError.
        raise ModelError(
            "torch can't be imported here, and its reader was asked for: install PyTorch, or "
            f"leave the file to our own reader. Python says: {error}"
        ) from None
    options = {"map_location": "cpu", "weights_only": True}
    # Settings as `argparse` leaves them are plain values in a class without code of its own.
    allow = getattr(torch.serialization, "safe_globals", lambda _: contextlib.nullcontext())
    try:
        with allow([argparse.Namespace]):
            try:
                loaded = torch.load(path, mmap=True, **options)
            except RuntimeError:
                # Only the zip format can be mapped.
                loaded = torch.load(path, **options)
    except Exception as error:
        said = re.search(r"WeightsUnpickler error: (.*)", str(error))
        said = said or re.search(r"(.+)", f"{error}\n{type(error).__name__}")
        reason = said[1] if said else type(error).__name__
        raise ModelError(
            "torch's loader of weights alone refuses it, as a damaged file or one that asks for "
            f"more than tensors: {reason:.200}"
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
        if isinstance(value, argparse.Namespace):
            value = vars(value)
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
            pickles = [e for e in entries if f"/{e.filename}".endswith("/data.pkl")]
            if len(pickles) != 1:
                raise ModelError(
                    "It is a zip file, but not a checkpoint of torch: expected one entry "
                    f"'.../data.pkl', found {len(pickles)}."
                )
            entry = pickles[0]
            kinds = {e.compress_type for e in entries}
            if kinds - {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise ModelError(
                    "It is compressed in a way that is not read: expected entries stored, as torch "
                    "writes them, or deflated. Unpack it and zip it again."
                )
            if entry.file_size > _MAX_PICKLE:
                raise ModelError(
                    f"Expected a pickle of at most {_MAX_PICKLE:,} bytes. Received: "
                    f"{entry.file_size:,}."
                )
            prefix = entry.filename[: -len("data.pkl")]
            order = next((e for e in entries if e.filename == prefix + "byteorder"), None)
            if order and (order.file_size > 16 or archive.read(order).strip() != b"little"):
                raise ModelError("It was written on a big-endian machine, which is not supported.")
            described = read_pickle(io.BytesIO(archive.read(entry)))
    except _DAMAGE as error:
        raise ModelError(
            f"Expected a checkpoint that torch.save wrote, a zip file. Received: {error}."
        ) from None
    data = np.memmap(path, np.uint8, "r")
    places = {e.filename: e for e in entries}
    room = max(_MAX_GROWTH * data.size, _ROOM)
    unpacked: dict[str, np.ndarray] = {}

    def expanded(entry: zipfile.ZipInfo, size: int) -> np.ndarray:
        """The first bytes of a compressed entry, each entry unpacked once."""
        nonlocal room
        known = unpacked.get(entry.filename)
        if known is None or known.size < size:
            room -= size
            if room < 0:
                raise ModelError(
                    "Its compressed tensors grow beyond what weights do, as those of a file that "
                    "is made to fill the memory: refused."
                )
            known = unpacked[entry.filename] = _inflated(path, entry, size)
        return known[:size]

    def storage_bytes(storage: Storage, itemsize: int) -> np.ndarray:
        name = f"{prefix}data/{storage.key}"
        if name not in places:
            raise ModelError(f"Its entry {name!r:.80} is missing.")
        entry = places[name]
        size = storage.count * itemsize
        if size > entry.file_size:
            raise ModelError(
                f"Its entry {name!r:.80} has {entry.file_size} bytes; expected {size}."
            )
        if entry.compress_type != zipfile.ZIP_STORED:
            return expanded(entry, size)
        start = entry.header_offset
        head = data[start : start + 30].tobytes()
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise ModelError(f"Its entry {name!r:.80} is damaged.")
        start += 30 + sum(struct.unpack("<HH", head[26:30]))
        if start + size > data.size:
            raise ModelError(f"Its entry {name!r:.80} is cut short; expected {size} bytes.")
        return data[start : start + size]

    return _replaced(described, TensorRecord, lambda record: _array(record, storage_bytes))


def _inflated(path: str, entry: zipfile.ZipInfo, size: int) -> np.ndarray:
    """The first `size` bytes of a compressed entry, read-only uint8.

    Raises:
      ModelError: when it has fewer, or is damaged.
    """
    # Memory is taken as bytes come, whatever the entry says it has.
    held = bytearray()
    try:
        with zipfile.ZipFile(path) as archive, archive.open(entry) as stream:
            while len(held) < size and (part := stream.read(min(size - len(held), 1 << 24))):
                held += part
            if entry.file_size == size:
                stream.read(1)  # the checksum is looked at when the end is met
    except _DAMAGE as error:
        raise ModelError(f"Its entry {entry.filename!r:.80} is damaged: {error}.") from None
    if len(held) < size:
        raise ModelError(f"Its entry {entry.filename!r:.80} is cut short; expected {size} bytes.")
    array = np.frombuffer(held, np.uint8)
    array.setflags(write=False)
    return array


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
