"""Models' files with another description, as strangers may write them."""

from __future__ import annotations

import json
import pathlib
import struct
from collections.abc import Callable

from safetensors.numpy import load

from tfhific.published.store import FILE_NAME, digest


def rewrite(folder: pathlib.Path, change: Callable[[dict], object]) -> None:
    """Changes the description of a folder's model by a function; its checksum fits again."""
    data = (folder / FILE_NAME).read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8 : 8 + length])
    description = json.loads(header["__metadata__"]["tfhific"])
    change(description)
    description["sha256"] = digest(description, load(data))
    header["__metadata__"]["tfhific"] = json.dumps(description)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    (folder / FILE_NAME).write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
