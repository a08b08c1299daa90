"""Uncompressed video files, frame by frame."""

from __future__ import annotations

import tensorflow as tf

from tfc_port._decorators import do_not_convert
from tfc_port._types import TensorLike

_MARKER = "YUV4MPEG2"
_FRAME = b"FRAME\n"
# The formats, and by how much chroma is smaller in either direction.
_CHROMA = {"C420jpeg": 2, "C420": 2, "C444": 1}
_MOST_PIXELS = 1 << 28
_LONGEST_HEADER = 4096


def Y4MDataset(filenames: TensorLike) -> tf.data.Dataset:
    """Makes a data set of the frames of '.y4m' files, one file after the other.

    Files are read as they are needed, by TensorFlow's own data sets.

    Args:
      filenames: String scalar or vector.

    Returns:
      A `tf.data.Dataset` of pairs of uint8 tensors: Y' [H, W, 1], and Cb and Cr [Hc, Wc, 2]. In
      format 4:2:0 with chroma between pixels (`C420jpeg` or `C420` in the file), Hc = H / 2 and
      Wc = W / 2; in format 4:4:4 (`C444`) they are H and W. Other parameters of a file, such as the
      frame rate, are not looked at.

    Raises:
      tf.errors.InvalidArgumentError: if `filenames` has more dimensions. Reading raises it for
        files of other formats, interlaced ones, ones whose frames have parameters of their own, and
        ones cut off (before the first frame); and `NotFoundError` for ones that are not there.
    """
    filenames = tf.convert_to_tensor(filenames, tf.string, name="filenames")
    if filenames.shape.rank is None or filenames.shape.rank > 1:
        raise tf.errors.InvalidArgumentError(
            None, None, "`filenames` must be a scalar or a vector. "
            f"Received shape: {filenames.shape}."
        )  # fmt: skip
    files = tf.data.Dataset.from_tensor_slices(tf.reshape(filenames, [-1]))
    return files.flat_map(_frames)


@do_not_convert
def _frames(filename: tf.Tensor) -> tf.data.Dataset:
    # The header is a line, and the frames come in records of one length.
    lines = tf.data.TextLineDataset(filename).take(1)
    header = lines.concatenate(tf.data.Dataset.from_tensors("")).take(1)
    return header.flat_map(lambda line: _frames_behind(filename, line))


@do_not_convert
def _frames_behind(filename: tf.Tensor, header: tf.Tensor) -> tf.data.Dataset:
    height, width, factor = _parse(filename, header)
    luma = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    chroma = luma // tf.cast(factor * factor, tf.int64)
    records = tf.data.FixedLengthRecordDataset(
        filename,
        record_bytes=len(_FRAME) + luma + 2 * chroma,
        header_bytes=tf.cast(tf.strings.length(header) + 1, tf.int64),
    )

    @do_not_convert
    def to_planes(record: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        check = tf.debugging.assert_equal(
            tf.strings.substr(record, 0, len(_FRAME)),
            _FRAME,
            message="A FRAME marker is either invalid or has frame parameters, which are not "
            "supported.",
        )
        with tf.control_dependencies([check] if check is not None else []):
            octets = tf.io.decode_raw(record, tf.uint8)[len(_FRAME) :]
        planes = tf.reshape(octets[luma:], tf.stack([2, height // factor, width // factor]))
        return (
            tf.reshape(octets[:luma], tf.stack([height, width, 1])),
            tf.transpose(planes, [1, 2, 0]),
        )

    return records.map(to_planes)


def _parse(filename: tf.Tensor, header: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Height, width and the factor of chroma, int32, from a file's first line."""
    short = tf.strings.length(header) <= _LONGEST_HEADER
    tokens = tf.strings.split(tf.where(short, header, ""), " ")
    shown = tf.strings.substr(header, 0, 80)

    def check(condition: tf.Tensor, message: str) -> tf.Operation | None:
        return tf.debugging.Assert(condition, [f"Input file {message}", filename, shown])

    # A file of nothing is of no format either.
    tokens = tf.concat([tokens, [""]], 0)
    checks = [check(tf.equal(tokens[0], _MARKER), f"does not have a {_MARKER} marker.")]
    names = tf.strings.substr(tokens[1:-1], 0, 1)

    def last_of(name: str, what: str) -> tf.Tensor:
        found = tf.boolean_mask(tokens[1:-1], tf.equal(names, name))
        checks.append(check(tf.size(found) > 0, f"has no {what} specifier."))
        return tf.concat([[""], found], 0)[-1]

    def length(name: str, what: str) -> tf.Tensor:
        token = last_of(name, what)
        sound = tf.strings.regex_full_match(token, name + "0*[1-9][0-9]{0,8}")
        checks.append(check(sound, f"has an invalid {what} specifier."))
        digits = tf.strings.regex_replace(tf.where(sound, token, "1"), f"^{name}", "")
        return tf.strings.to_number(digits, tf.int64)

    width, height = length("W", "width"), length("H", "height")
    chroma = last_of("C", "chroma format")
    known = tf.equal(chroma, list(_CHROMA))
    checks.append(
        check(tf.reduce_any(known), f"has an unsupported chroma format: not one of {[*_CHROMA]}.")
    )
    factor = tf.reduce_max(tf.where(known, list(_CHROMA.values()), 1))
    interlacing = tf.concat([["Ip"], tf.boolean_mask(tokens[1:-1], tf.equal(names, "I"))], 0)
    progressive = tf.reduce_all(tf.equal(interlacing, "Ip"))
    checks.append(check(progressive, "is not in progressive format."))
    whole = tf.equal(tf.math.floormod(width | height, tf.cast(factor, tf.int64)), 0)
    checks.append(check(whole, "has 4:2:0 chroma format, but odd width or height."))
    checks.append(
        check(width * height <= _MOST_PIXELS, f"has more than {_MOST_PIXELS} pixels a frame.")
    )
    with tf.control_dependencies([check for check in checks if check is not None]):
        return tf.cast(height, tf.int32), tf.cast(width, tf.int32), tf.identity(factor)
