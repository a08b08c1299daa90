"""The `.tfh` file (docs/format.md) in core TensorFlow ops: what `tfhific.bitstream.container` does.

It writes the same bytes, and reads and refuses the same ones, with an error beside the result
instead of an exception.
"""

from __future__ import annotations

import dataclasses

import tensorflow as tf

from tfhific.bitstream import container
from tfhific.serving.graph.octets import first_error, read_varint, to_octets, varint_string

FINGERPRINT_BYTES = 8
CHECKSUM_BYTES = 8
METADATA_FLAG = 0x8000
TAGS = tuple(tag.decode() for tag in container._TAGS.values())
"""Of all metadata entries; the first three, `ALPH`, `ICCP` and `EXIF`, are any model's."""

_FIXED_BYTES = len(container.MAGIC) + 1 + FINGERPRINT_BYTES


@dataclasses.dataclass(frozen=True)
class GraphContents:
    """What a file says and holds; where `error` is not empty the rest means nothing.

    Attributes:
      error: string, empty if the file is sound.
      version, z_streams, y_streams, band_rows, quality_code: int32.
      height, width: int32.
      fingerprint, z, y, alpha, icc, exif: strings; metadata that is not there is empty.
      has_alpha: bool; and so on: whether an entry is there at all.
    """

    error: tf.Tensor
    version: tf.Tensor
    fingerprint: tf.Tensor
    height: tf.Tensor
    width: tf.Tensor
    quality_code: tf.Tensor
    z_streams: tf.Tensor
    y_streams: tf.Tensor
    band_rows: tf.Tensor
    z: tf.Tensor
    y: tf.Tensor
    alpha: tf.Tensor
    icc: tf.Tensor
    exif: tf.Tensor
    has_alpha: tf.Tensor


def checksum(data: tf.Tensor) -> tf.Tensor:
    """The 8 bytes that end a file whose other bytes are the string `data`, as a string."""
    row = tf.io.decode_raw(data, tf.uint8)[None]
    with tf.device("/CPU:0"):
        digest = tf.raw_ops.Fingerprint(data=row, method="farmhash64")
    return _octet_string(tf.cast(digest[0], tf.int32))


def _octet_string(octets: tf.Tensor) -> tf.Tensor:
    table = tf.constant([bytes([value]) for value in range(256)])
    return tf.strings.reduce_join(tf.gather(table, octets))


def _little(number: tf.Tensor, size: int) -> tf.Tensor:
    number = tf.cast(number, tf.int32)
    return _octet_string(tf.stack([number // 256**place & 255 for place in range(size)]))


def _entry(tag: str, present: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
    entry = tf.strings.join([tag, varint_string(tf.strings.length(value)), value])
    return tf.where(present, entry, "")


def pack(
    *,
    fingerprint: bytes,
    height: tf.Tensor,
    width: tf.Tensor,
    quality_code: tf.Tensor,
    z: tf.Tensor,
    y: tf.Tensor,
    log2_z_streams: tf.Tensor,
    log2_y_streams: tf.Tensor,
    band_rows: tf.Tensor,
    alpha: tf.Tensor,
    icc: tf.Tensor,
    exif: tf.Tensor,
) -> tf.Tensor:
    """The file's bytes, a string scalar.

    Args:
      fingerprint: the model's 8 bytes.
      height, width, quality_code, band_rows, log2_z_streams, log2_y_streams: int32 scalars.
      z, y: strings; y is the section as `container.join_bands` makes it.
      alpha, icc, exif: strings; an empty one is left out.
    """
    entries = [
        _entry(tag, tf.strings.length(value) > 0, value)
        for tag, value in zip(TAGS, (alpha, icc, exif))
    ]
    metadata = tf.strings.join(entries)
    some = tf.strings.length(metadata) > 0
    body = tf.strings.join(
        [
            tf.constant(container.MAGIC + bytes([container.VERSION]) + fingerprint),
            varint_string(height),
            varint_string(width),
            _little(quality_code + METADATA_FLAG * tf.cast(some, tf.int32), 2),
            _octet_string((log2_z_streams + 16 * log2_y_streams)[None]),
            varint_string(band_rows),
            varint_string(tf.strings.length(z)),
            tf.where(some, varint_string(tf.strings.length(metadata)), ""),
            z,
            metadata,
            y,
        ]
    )
    return tf.strings.join([body, checksum(body)])


def unpack(data: tf.Tensor, max_pixels: int) -> GraphContents:
    """Reads a file's bytes, its checksum included; decodes nothing. See `container.unpack`."""
    total = tf.strings.length(data)
    octets = to_octets(data)
    end = tf.maximum(total - CHECKSUM_BYTES, 0)
    checks: list[tuple[tf.Tensor, tf.Tensor | str]] = [
        (tf.equal(total, 0), "Expected a .tfh file. Received: no bytes at all.")
    ]

    def say(*parts) -> tf.Tensor:
        return tf.strings.join(
            [part if isinstance(part, str) else tf.strings.as_string(part) for part in parts]
        )

    def text(at, length) -> tf.Tensor:
        """The bytes from `at` on, as many as there are of `length`."""
        at = tf.clip_by_value(at, 0, total)
        return tf.strings.substr(data, at, tf.maximum(tf.minimum(length, total - at), 0))

    magic = tf.constant([container.MAGIC[:size] for size in range(len(container.MAGIC) + 1)])
    head = text(0, len(container.MAGIC))
    checks.append(
        (
            tf.not_equal(head, tf.gather(magic, tf.strings.length(head))),
            "Not a .tfh file: it does not begin with the letters TFH.",
        )
    )
    padded = tf.concat([octets, tf.zeros([_FIXED_BYTES], tf.int32)], axis=0)
    version = tf.where(
        total > len(container.MAGIC), padded[len(container.MAGIC)], container.VERSION
    )
    known = tf.reduce_any(tf.equal(version, tf.constant(container.READABLE_VERSIONS)))
    names = ", ".join(map(str, container.READABLE_VERSIONS))
    checks += [
        (
            ~known,
            say(
                "The file has format version ",
                version,
                f"; this tfhific reads versions {names}. It was made by another version, or is "
                "damaged.",
            ),
        ),
        (
            total < CHECKSUM_BYTES + len(container.MAGIC) + 1,
            say("The file is cut short: it has ", total, " bytes."),
        ),
        (
            tf.not_equal(checksum(text(0, end)), text(end, CHECKSUM_BYTES)),
            "The file is damaged or cut short: its checksum does not fit.",
        ),
    ]

    at = tf.constant(_FIXED_BYTES)

    def take(length, what: str) -> tf.Tensor:
        """Moves on by `length`, int64, or to the end."""
        nonlocal at
        begin = at
        length = tf.cast(length, tf.int64)
        left = tf.cast(end - begin, tf.int64)
        checks.append(
            (
                length > left,
                say(
                    f"The file ends inside its {what}: ",
                    length,
                    " bytes expected, ",
                    tf.maximum(left, 0),
                    " left. It is damaged or cut short.",
                ),
            )
        )
        at = begin + tf.cast(tf.maximum(tf.minimum(length, left), 0), tf.int32)
        return begin

    def varint(what: str) -> tf.Tensor:
        nonlocal at
        number, at, cut, wrong = read_varint(octets, at, end)
        checks.extend(
            [
                (cut, f"The file ends inside its {what}. It is damaged or cut short."),
                (wrong, f"The file's {what} is not a valid number. It is damaged."),
            ]
        )
        return number

    checks.append((end < _FIXED_BYTES, "The file ends inside its fingerprint. It is cut short."))
    fingerprint = text(len(container.MAGIC) + 1, FINGERPRINT_BYTES)
    height, width = varint("height"), varint("width")
    size = say(width, "x", height)
    checks += [
        (
            tf.equal(height, 0) | tf.equal(width, 0),
            say("The file claims an impossible picture of ", width, "x", height, " pixels."),
        ),
        (
            # A product of two such numbers may not fit 64 bits; a quotient does.
            (width > max_pixels) | (height > max_pixels // tf.maximum(width, 1)),
            tf.strings.join(
                [
                    "The file claims a picture of ",
                    size,
                    f" pixels, more than the limit of {max_pixels:,}.",
                ]
            ),
        ),
    ]

    def octet(offset) -> tf.Tensor:
        return padded[tf.minimum(offset, total)]

    where = take(2, "quality")
    quality = octet(where) + 256 * octet(where + 1)
    has_metadata = quality >= METADATA_FLAG
    quality &= METADATA_FLAG - 1
    where = take(1, "number of streams")
    z_log2, y_log2 = octet(where) & 15, octet(where) // 16
    checks += [
        (
            quality > container.MAX_QUALITY_CODE,
            say("The file claims an impossible quality (", quality, ")."),
        ),
        (
            tf.maximum(z_log2, y_log2) > container.MAX_LOG2_STREAMS,
            say("The file claims an impossible number of streams (", octet(where), ")."),
        ),
    ]

    def optional(present, what: str) -> tf.Tensor:
        """A varint that is there only where `present`."""
        nonlocal at
        before, mark = at, len(checks)
        number = varint(what)
        at = tf.where(present, at, before)
        checks[mark:] = [(present & wrong, message) for wrong, message in checks[mark:]]
        return tf.where(present, number, 0)

    band_rows = optional(version > 0, "rows of a band")
    z_length = varint("length of z")
    metadata_length = optional(has_metadata, "length of metadata")
    z_begin = take(z_length, "hyperlatents")
    z = text(z_begin, at - z_begin)
    metadata_begin = take(metadata_length, "metadata")
    metadata_end = at
    y = text(at, end - at)
    entries, present, metadata_error = _metadata(octets, data, metadata_begin, metadata_end)
    checks.append((tf.strings.length(metadata_error) > 0, metadata_error))
    return GraphContents(
        error=first_error(checks),
        version=version,
        fingerprint=fingerprint,
        height=_int32(height),
        width=_int32(width),
        quality_code=quality,
        z_streams=_power(z_log2),
        y_streams=_power(y_log2),
        band_rows=_int32(band_rows),
        z=z,
        y=y,
        alpha=entries[0],
        icc=entries[1],
        exif=entries[2],
        has_alpha=present[0],
    )


def _power(exponent: tf.Tensor) -> tf.Tensor:
    return tf.bitwise.left_shift(1, tf.minimum(exponent, container.MAX_LOG2_STREAMS))


def _int32(number: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.minimum(number, tf.int32.max), tf.int32)


def _metadata(
    octets: tf.Tensor, data: tf.Tensor, begin: tf.Tensor, end: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The entries, by `TAGS`: strings, whether each is there, and what is wrong."""
    tags = tf.constant(TAGS)

    def step(at, values, present, error):
        tag = tf.strings.substr(data, at, tf.minimum(4, end - at))
        length, behind, cut, wrong = read_varint(octets, tf.minimum(at + 4, end), end)
        behind = tf.minimum(behind, end)
        left = tf.cast(end - behind, tf.int64)
        fits = tf.cast(tf.minimum(length, left), tf.int32)
        value = tf.strings.substr(data, behind, fits)
        same = tf.equal(tag, tags)
        error = first_error(
            [
                (
                    cut | (length > left) | (end - at < 4),
                    "The file ends inside its metadata. It is damaged or cut short.",
                ),
                (wrong, "The file's metadata is not a valid number. It is damaged."),
                (
                    ~tf.reduce_any(same) | tf.reduce_any(same & present),
                    "The file's metadata has an unexpected entry.",
                ),
            ]
        )
        return behind + fits, tf.where(same, value, values), present | same, error

    state = (
        begin,
        tf.constant([""] * len(TAGS)),
        tf.constant([False] * len(TAGS)),
        tf.constant(""),
    )
    _, values, present, error = tf.while_loop(
        lambda at, values, present, error: (at < end) & tf.equal(error, ""),
        step,
        state,
        # Every entry is there once at most.
        maximum_iterations=len(TAGS) + 1,
        parallel_iterations=1,
    )
    return values, present, error
