"""The rows of a manifest: what became of each picture, checked when they are read again."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tfhific.errors import TfhificError

DONE, FAILED = "done", "failed"


class Row(NamedTuple):
    """What became of a picture.

    Attributes:
      source: path of the input, relative to the sources.
      destination: path of the output, relative to the destination.
      status: `done` or `failed`.
      source_bytes: of the input, when it was listed.
      source_modified: when the input was, nanoseconds since 1970.
      width: of the picture, pixels.
      height: of the picture, pixels.
      bytes: of the output.
      bits_per_pixel: of the compressed file.
      quality: of the compressed file, 1 to 8.
      seconds: that coding took, without reading and writing.
      checksum: SHA-256 of the output, in hexadecimal.
      model: fingerprint of the model, in hexadecimal.
      error: why it failed, in one line.
    """

    source: str
    destination: str
    status: str
    source_bytes: int | None = None
    source_modified: int | None = None
    width: int | None = None
    height: int | None = None
    bytes: int | None = None
    bits_per_pixel: float | None = None
    quality: float | None = None
    seconds: float | None = None
    checksum: str | None = None
    model: str | None = None
    error: str | None = None


KINDS: dict[str, type] = {
    **dict.fromkeys(("source", "destination", "status", "checksum", "model", "error"), str),
    **dict.fromkeys(("source_bytes", "source_modified", "width", "height", "bytes"), int),
    **dict.fromkeys(("bits_per_pixel", "quality", "seconds"), float),
}
"""The type of each column."""

_WHOLE = 1 << 63
_HEXADECIMAL = re.compile("[0-9a-f]*")


def row_of(values: Mapping[str, Any], where: str) -> Row:
    """A row out of a file, which anyone may have written.

    Nothing is read or written by the paths of a row: they are looked up among those of a listing.

    Args:
      values: by column; columns of other names are passed over.
      where: it stands, for messages.

    Raises:
      TfhificError: a column is missing or holds what it can't.
    """
    found: dict[str, Any] = {}
    for name, kind in KINDS.items():
        value = values.get(name)
        if kind is float and type(value) is int:
            value = float(value)
        if value is not None and not _is_a(value, kind):
            raise _damaged(where, name, f"expected {_SAID[kind]}, received {_short(value)}")
        if kind is int and value is not None and not -_WHOLE <= value < _WHOLE:
            raise _damaged(where, name, f"expected 64 bits, received {_short(value)}")
        if kind is float and value is not None and not math.isfinite(value):
            raise _damaged(where, name, f"expected a finite number, received {value}")
        found[name] = value
    row = Row(**found)
    for name in ("source", "destination"):
        if not found[name]:
            raise _damaged(where, name, "expected the name of a file, received none")
    if row.status not in (DONE, FAILED):
        raise _damaged(where, "status", f"expected done or failed, received {_short(row.status)}")
    if row.status == FAILED and not row.error:
        raise _damaged(where, "error", "expected why it failed, received nothing")
    for name in ("checksum", "model"):
        if found[name] is not None and not _HEXADECIMAL.fullmatch(found[name]):
            raise _damaged(where, name, f"expected hexadecimal, received {_short(found[name])}")
    return row


def _is_a(value: object, kind: type) -> bool:
    # Not isinstance: True is no whole number here.
    return type(value) is kind


_SAID = {str: "a text", int: "a whole number", float: "a number"}


def _damaged(where: str, column: str, what: str) -> TfhificError:
    return TfhificError(
        f"{where}: is no manifest of this command: column {column}: {what}. "
        "Move it away, or name another destination."
    )


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:60]}..."
