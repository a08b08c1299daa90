"""Where a picture's bytes come from: a path, standard input, bytes or an open file."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO, Union

from tfhific.errors import ImageError

Source = Union[str, "os.PathLike[str]", bytes, BinaryIO]

_CHUNK = 1 << 20


@contextlib.contextmanager
def open_source(source: Source, max_bytes: int) -> Iterator[tuple[BinaryIO, str]]:
    """Opens a source for reading from its beginning, anywhere in it.

    Args:
      source: path, "-" for standard input, the bytes themselves, or a binary file, which is read
        from where it stands and left open.
      max_bytes: how much is taken from a source whose length is not known beforehand.

    Yields:
      A seekable binary file and the name under which messages should mention it.

    Raises:
      ImageError: nothing there, a directory, no permission, no bytes at all, or too many.
    """
    name = source_name(source)
    if isinstance(source, (bytes, bytearray, memoryview)):
        stream: BinaryIO = io.BytesIO(source)
    elif hasattr(source, "read"):
        stream = _drain(source, name, max_bytes)
    elif not isinstance(source, (str, os.PathLike)):
        raise ImageError(
            f"cannot read a picture from a {type(source).__name__}: expected a path, '-', bytes "
            "or an open binary file"
        )
    elif os.fspath(source) == "-":
        stream = _drain(getattr(sys.stdin, "buffer", sys.stdin), name, max_bytes)
    else:
        stream = _open_path(os.fspath(source), name, max_bytes)
    with stream:
        empty = not stream.read(1)
        stream.seek(0)
        if empty:
            raise ImageError(f"cannot read {name}: expected an image, received nothing (0 bytes)")
        yield stream, name


def source_name(source: object) -> str:
    """What messages call a source; a path is quoted, so that it stays on one line."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "the given bytes"
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        return "standard input" if path == "-" else repr(path)
    name = getattr(source, "name", None)
    return repr(name) if isinstance(name, str) else "the given file"


def _open_path(path: str, name: str, max_bytes: int) -> BinaryIO:
    try:
        # Asked before opening: a directory cannot be opened on every system, and says so in
        # other words on each.
        if stat.S_ISDIR(os.stat(path).st_mode):
            raise ImageError(
                f"cannot read {name}: expected an image file, received a directory; "
                "name a file inside it"
            )
        stream = open(path, "rb")  # noqa: SIM115 - the caller closes it
        if stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            return stream
        with stream:
            return _drain(stream, name, max_bytes)
    except FileNotFoundError as error:
        raise ImageError(
            f"cannot read {name}: expected an image file, found nothing there; check the path"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(
            f"cannot read {name}: expected an image file, received '{reason}'; check the path "
            "and its permissions"
        ) from error


def _drain(stream: Any, name: str, max_bytes: int) -> BinaryIO:
    if stream is None:
        raise ImageError(f"cannot read {name}: it is closed; name a file instead")
    held = io.BytesIO()
    try:
        while chunk := stream.read(_CHUNK):
            held.write(chunk)
            if held.tell() > max_bytes:
                raise ImageError(
                    f"cannot read {name}: expected at most {max_bytes} bytes, received more; "
                    "shrink the picture or raise the pixel limit"
                )
    except (OSError, ValueError, TypeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ImageError(
            f"cannot read {name}: expected a readable binary file, received '{reason}'"
        ) from error
    held.seek(0)
    return held
