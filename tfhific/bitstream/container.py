"""The `.tfh` file, format versions 0 and 1: see docs/format.md. Version 1 is written.

Little-endian. `varint` is a LEB128 unsigned integer in its shortest form.

| field | bytes | |
| --- | --- | --- |
| magic | 3 | `TFH` |
| version | 1 | 1; 0 differs where it is said |
| fingerprint | 8 | of what gives the latents back, see `tfhific.published.hyperprior` |
| height, width | varint each | of the picture, in pixels, at least 1 |
| quality, metadata flag | 2 | low 15 bits: (quality - 1) * 4096; top bit: metadata follows |
| streams | 1 | low 4 bits: log2 of the streams of z; high 4 bits: of y |
| band | varint | latent rows a band, 0: all in one; not in version 0, where all are |
| length of z | varint | |
| length of metadata | varint | only with the metadata flag |
| z, metadata, y | | y takes what is left before the checksum; see `join_bands` |
| checksum | 8 | farmhash64 of every byte before it |
"""

from __future__ import annotations

import dataclasses
from typing import Any

from tfhific.bitstream.checksum import checksum
from tfhific.errors import ArgumentError, BitstreamError

MAGIC = b"TFH"
VERSION = 1
READABLE_VERSIONS = (0, 1)
QUALITY_STEPS = 4096
MAX_QUALITY_CODE = 7 * QUALITY_STEPS
MAX_LOG2_STREAMS = 10
DEFAULT_MAX_PIXELS = 178_956_970
_METADATA_FLAG = 0x8000
_FINGERPRINT_BYTES = 8
_CHECKSUM_BYTES = 8
_TAGS = {
    "alpha": b"ALPH",
    "icc": b"ICCP",
    "exif": b"EXIF",
    "labels": b"LABL",
    "kept": b"KEEP",
    "code": b"CODE",
}


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a file says and holds.

    Attributes:
      fingerprint: 8 bytes; names the model.
      height: of the picture, pixels.
      width: of the picture, pixels.
      quality_code: (quality - 1) * 4096, an integer from 0 to 28672.
      z: payload of the hyperlatents.
      y: payloads of the latents' bands, see `join_bands`; with one band, its payload.
      z_streams: streams that z was dealt to, a power of two.
      y_streams: the same for each band of y.
      band_rows: latent rows a band, the last may have fewer; 0: all in one.
      alpha: the alpha plane as a grey PNG, or None.
      icc: ICC profile, or None.
      exif: EXIF block, or None.
      labels: semantic label map, see `tfhific.bitstream.label_map`, or None.
      kept: which region is coded, see `tfhific.bitstream.kept`, or None.
      code: how the code of an inverted generator is written, see `tfhific.codec.inversion`, or
        None.
      version: of the format.
    """

    fingerprint: bytes
    height: int
    width: int
    quality_code: int
    z: bytes
    y: bytes
    z_streams: int = 1
    y_streams: int = 1
    band_rows: int = 0
    alpha: bytes | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    labels: bytes | None = None
    kept: bytes | None = None
    code: bytes | None = None
    version: int = VERSION

    @property
    def size(self) -> tuple[int, int]:
        """The picture's height and width in pixels."""
        return self.height, self.width

    @property
    def quality(self) -> float:
        """From 1 to 8."""
        return 1.0 + self.quality_code / QUALITY_STEPS


def quality_code(quality: float) -> int:
    """The integer that a quality of 1..8 is stored as.

    Raises:
      ArgumentError: for a quality outside 1..8, or that is no number.
    """
    try:
        value = float(quality)
    except (TypeError, ValueError):
        value = float("nan")
    if not 1.0 <= value <= 8.0:
        raise ArgumentError(f"Expected a quality, a number from 1 to 8. Received: {quality!r}.")
    return round((value - 1.0) * QUALITY_STEPS)


def write_varint(value: int) -> bytes:
    """LEB128 of a non-negative integer."""
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


class Reader:
    """Takes bytes and numbers from a section, never more than it has."""

    def __init__(self, data: bytes, end: int) -> None:
        self._data, self._at, self._end = data, 0, end

    @property
    def left(self) -> int:
        return self._end - self._at

    def take(self, count: int, what: str) -> bytes:
        if count > self.left:
            raise BitstreamError(
                f"The file ends inside its {what}: {count} bytes expected, {self.left} left. "
                "It is damaged or cut short."
            )
        self._at += count
        return self._data[self._at - count : self._at]

    def varint(self, what: str) -> int:
        value = 0
        for place in range(0, 35, 7):
            byte = self.take(1, what)[0]
            value |= (byte & 0x7F) << place
            if byte < 0x80:
                if byte == 0 and place:
                    break
                return value
        raise BitstreamError(f"The file's {what} is not a valid number. It is damaged.")


def _log2_streams(streams: int) -> int:
    if streams < 1 or streams & (streams - 1) or streams > 1 << MAX_LOG2_STREAMS:
        raise ArgumentError(
            f"Expected a power of two up to {1 << MAX_LOG2_STREAMS}. Received: {streams} streams."
        )
    return streams.bit_length() - 1


def pack(contents: Contents) -> bytes:
    """The file's bytes."""
    metadata = b"".join(
        tag + write_varint(len(value)) + value
        for name, tag in _TAGS.items()
        for value in [getattr(contents, name)]
        if value is not None
    )
    flag = _METADATA_FLAG if metadata else 0
    streams = _log2_streams(contents.z_streams) | _log2_streams(contents.y_streams) << 4
    body = b"".join(
        [
            MAGIC,
            bytes([contents.version]),
            contents.fingerprint,
            write_varint(contents.height),
            write_varint(contents.width),
            (contents.quality_code | flag).to_bytes(2, "little"),
            bytes([streams]),
            write_varint(contents.band_rows) if contents.version else b"",
            write_varint(len(contents.z)),
            write_varint(len(metadata)) if metadata else b"",
            contents.z,
            metadata,
            contents.y,
        ]
    )
    return body + checksum(body)


def unpack(data: bytes, max_pixels: int = DEFAULT_MAX_PIXELS) -> Contents:
    """Reads a file's bytes, its checksum included; decodes nothing.

    Args:
      data: the whole file.
      max_pixels: a larger picture is refused.

    Raises:
      BitstreamError: when it is no such file, damaged, cut short, of another format version or
        larger than allowed.
    """
    data = bytes(data)
    check_version(data)
    reader = Reader(data, len(data) - _CHECKSUM_BYTES)
    if reader.left < 0:
        raise BitstreamError(f"The file is cut short: it has {len(data)} bytes.")
    if checksum(data[:-_CHECKSUM_BYTES]) != data[-_CHECKSUM_BYTES:]:
        raise BitstreamError("The file is damaged or cut short: its checksum does not fit.")
    fields = read_fields(reader, max_pixels)
    z = reader.take(fields.z_length, "hyperlatents")
    metadata = _unpack_metadata(reader.take(fields.metadata_length, "metadata"))
    y = reader.take(reader.left, "latents")
    return Contents(
        fields.fingerprint,
        *fields.size,
        fields.quality_code,
        z,
        y,
        *fields.streams,
        fields.band_rows,
        version=fields.version,
        **metadata,
    )


def check_version(data: bytes) -> None:
    """Checks the magic and the version, as far as there are bytes.

    Raises:
      BitstreamError: when it is no such file, or of a version that is not read.
    """
    if not data:
        raise BitstreamError("Expected a .tfh file. Received: no bytes at all.")
    if data[: len(MAGIC)] != MAGIC[: len(data)]:
        raise BitstreamError("Not a .tfh file: it does not begin with the letters TFH.")
    version = data[len(MAGIC)] if len(data) > len(MAGIC) else VERSION
    if version not in READABLE_VERSIONS:
        raise BitstreamError(
            f"The file has format version {version}; this tfhific reads versions "
            f"{', '.join(map(str, READABLE_VERSIONS))}. It was made by another version, or is "
            "damaged."
        )


@dataclasses.dataclass(frozen=True)
class Fields:
    """The fields before a file's sections; see `Contents` and docs/format.md."""

    version: int
    fingerprint: bytes
    size: tuple[int, int]
    quality_code: int
    streams: tuple[int, int]
    band_rows: int
    z_length: int
    metadata_length: int


def read_fields(reader: Reader, max_pixels: int | None = None) -> Fields:
    """Reads what stands before a file's sections.

    Args:
      reader: at the file's beginning, whose version has been checked.
      max_pixels: a larger picture is refused; None for no limit.

    Raises:
      BitstreamError: when a field is impossible, or cut short.
    """
    version = reader.take(len(MAGIC) + 1, "magic")[-1]
    fingerprint = reader.take(_FINGERPRINT_BYTES, "fingerprint")
    height, width = reader.varint("height"), reader.varint("width")
    if not height or not width:
        raise BitstreamError(f"The file claims an impossible picture of {width}x{height} pixels.")
    if max_pixels is not None and height * width > max_pixels:
        raise BitstreamError(
            f"The file claims a picture of {width}x{height} pixels, more than the limit of "
            f"{max_pixels:,}."
        )
    quality = int.from_bytes(reader.take(2, "quality"), "little")
    has_metadata, quality = bool(quality & _METADATA_FLAG), quality & ~_METADATA_FLAG
    if quality > MAX_QUALITY_CODE:
        raise BitstreamError(f"The file claims an impossible quality ({quality}).")
    streams = reader.take(1, "number of streams")[0]
    z_log2, y_log2 = streams & 15, streams >> 4
    if max(z_log2, y_log2) > MAX_LOG2_STREAMS:
        raise BitstreamError(f"The file claims an impossible number of streams ({streams:#04x}).")
    band_rows = reader.varint("rows of a band") if version else 0
    z_length = reader.varint("length of z")
    metadata_length = reader.varint("length of metadata") if has_metadata else 0
    return Fields(
        version,
        fingerprint,
        (height, width),
        quality,
        (1 << z_log2, 1 << y_log2),
        band_rows,
        z_length,
        metadata_length,
    )


def join_bands(payloads: list[bytes]) -> bytes:
    """The y section: payloads of the bands, all but the last behind their lengths."""
    heads = [write_varint(len(payload)) + payload for payload in payloads[:-1]]
    return b"".join([*heads, payloads[-1]])


def split_bands(section: bytes, count: int) -> list[bytes]:
    """The payloads of `count` bands.

    Raises:
      BitstreamError: when the section is too short for their lengths.
    """
    reader = Reader(section, len(section))
    payloads = []
    for _ in range(count - 1):
        payloads.append(reader.take(reader.varint("length of a band"), "latents"))
    return [*payloads, reader.take(reader.left, "latents")]


def metadata_name(tag: bytes) -> str:
    """The field of `Contents` that a tag of the metadata stands for.

    Raises:
      BitstreamError: for a tag that is none.
    """
    for name, known in _TAGS.items():
        if tag == known:
            return name
    raise BitstreamError(f"The file's metadata has an unexpected entry {tag!r}.")


def _unpack_metadata(data: bytes) -> dict[str, Any]:
    """Bytes by the names of fields of `Contents`."""
    reader = Reader(data, len(data))
    found: dict[str, Any] = {}
    while reader.left:
        tag = reader.take(4, "metadata")
        value = reader.take(reader.varint("metadata"), "metadata")
        name = metadata_name(tag)
        if name in found:
            raise BitstreamError(f"The file's metadata has an unexpected entry {tag!r}.")
        found[name] = value
    return found
