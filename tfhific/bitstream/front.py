"""What a `.tfh` file says of itself before anything is decoded, read from an open file.

Neither streams nor alpha plane are read, and the checksum is not looked at: what is here may be
damaged, and only `container.unpack` says whether it is.
"""

from __future__ import annotations

import dataclasses
from typing import BinaryIO

from tfhific.bitstream import container
from tfhific.errors import BitstreamError

MAX_FRONT_BYTES = 64
"""More than the fields before the streams ever take: 16 bytes and six varints of five."""

MAX_KEPT_BYTES = 1 << 26
"""A longer profile or EXIF block is left for the whole file's reader to judge."""


@dataclasses.dataclass(frozen=True)
class Front:
    """What can be told of a picture from its file's front.

    Attributes:
      size: height and width in pixels.
      has_alpha: whether there is an alpha plane.
      icc: ICC profile, or None.
      exif: EXIF block, or None.
    """

    size: tuple[int, int]
    has_alpha: bool
    icc: bytes | None
    exif: bytes | None


def read_front(stream: BinaryIO) -> Front:
    """Reads a file's fields and metadata.

    Args:
      stream: a seekable binary file that begins at its beginning.

    Raises:
      BitstreamError: when it is no `.tfh` file, of another version, or ends within what is read.
    """
    stream.seek(0)
    head = stream.read(MAX_FRONT_BYTES)
    container.check_version(head)
    reader = container.Reader(head, len(head))
    fields = container.read_fields(reader)
    found: dict[str, bytes] = {}
    at = len(head) - reader.left + fields.z_length
    end = at + fields.metadata_length
    names = []
    while at < end:
        stream.seek(at)
        # A tag of four letters and a varint.
        entry = stream.read(min(9, end - at))
        reader = container.Reader(entry, len(entry))
        name = container.metadata_name(reader.take(4, "metadata"))
        length = reader.varint("metadata")
        at += len(entry) - reader.left
        if name in names or at + length > end:
            raise BitstreamError("The file's metadata does not fit its length. It is damaged.")
        names.append(name)
        if name in ("icc", "exif") and length <= MAX_KEPT_BYTES:
            stream.seek(at)
            found[name] = stream.read(length)
            if len(found[name]) < length:
                raise BitstreamError("The file ends inside its metadata. It is cut short.")
        at += length
    return Front(fields.size, "alpha" in names, found.get("icc"), found.get("exif"))
