"""EXIF blocks in a graph: what `tfhific.pictures.exif` does, and the orientation they tell."""

from __future__ import annotations

import functools

import tensorflow as tf

from tfhific.pictures.exif import EXIF_PREFIX, ORIENTATION
from tfhific.serving.graph.octets import picked, read_number, to_octets, to_string

_SHORT, _LONG = 3, 4
# Offset and length of a thumbnail: as JPEG, or as strips of samples.
_THUMBNAIL_TAGS = ((0x0201, 0x0202), (0x0111, 0x0117))
_XMP_ORIENTATION = 'tiff:Orientation(?:="|>)([0-9])'


def upright(block: tf.Tensor, xmp: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The block to keep of a picture whose orientation is applied, and that orientation.

    Args:
      block: a TIFF structure, with or without `Exif\\0\\0` in front, or an empty string.
      xmp: an XMP packet, which tells the orientation where the block does not, or empty.

    Returns:
      A string, always with the six bytes in front, or empty: no block, or one too damaged to keep.
      int32, 1 to 8.
    """
    prefix = len(EXIF_PREFIX)
    has_prefix = tf.equal(tf.strings.substr(block, 0, _fit(block, prefix)), EXIF_PREFIX)
    cut = tf.where(has_prefix, prefix, 0)
    length = tf.strings.length(block)
    octets = to_octets(tf.strings.substr(block, tf.minimum(cut, length), length - cut))
    cleaned, orientation = _upright(octets)
    kept = tf.where(
        tf.size(cleaned) > 0,
        tf.strings.join([EXIF_PREFIX, to_string(tf.cast(cleaned, tf.uint8))]),
        "",
    )
    pattern = f"(?s)^.*?{_XMP_ORIENTATION}.*$"
    told = tf.strings.regex_full_match(xmp, pattern)
    digit = to_octets(tf.strings.regex_replace(xmp, pattern, r"\1"))
    from_xmp = tf.concat([digit, [48]], axis=0)[0] - 48
    by_xmp = told & tf.equal(orientation, 0)
    orientation = tf.where(by_xmp, from_xmp, orientation)
    # Pillow makes a block of what XMP told where there is none.
    kept = tf.where(by_xmp & tf.equal(length, 0), tf.constant(_block_of_xmp()), kept)
    possible = (orientation >= 1) & (orientation <= 8)
    return kept, tf.where(possible, orientation, 1)


@functools.lru_cache(maxsize=1)
def _block_of_xmp() -> bytes:
    from PIL import Image

    from tfhific.pictures.exif import upright_exif

    exif = Image.Exif()
    exif[ORIENTATION] = 1
    return upright_exif(exif.tobytes()) or b""


def _fit(text: tf.Tensor, length: int) -> tf.Tensor:
    return tf.minimum(tf.strings.length(text), length)


def _upright(octets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The block, upright, without thumbnail, empty where damaged; its orientation, 0 for none."""
    little = tf.equal(read_number(octets, tf.constant(0), 2), 0x4949)
    big = tf.equal(read_number(octets, tf.constant(0), 2), 0x4D4D)

    def number(source, at, size):
        return read_number(source, at, size, little)

    known = (little | big) & tf.equal(number(octets, tf.constant(2), 2), 42)
    first = number(octets, tf.constant(4), 4)
    entries, end, sound = _folder(octets, first, number)
    sound &= known
    entries = picked(entries, tf.fill([tf.size(entries)], sound))
    tags = number(octets, entries, 2)
    places = picked(entries, tf.equal(tags, ORIENTATION))
    orientation = _last_value(octets, places, number)

    # The folder behind this one is the thumbnail's; it is cut off, and its samples erased.
    total = tf.size(octets)
    linked = sound & (end + 4 <= total)
    second = tf.where(linked, number(octets, end, 4), 0)
    position = tf.range(total)
    octets = tf.where(linked & (position >= end) & (position < end + 4), 0, octets)
    folder, _, there = _folder(octets, second, number)
    there &= second > 0
    tags = number(octets, folder, 2)
    length = total
    for pair in _THUMBNAIL_TAGS:
        values = []
        for tag in pair:
            mine = picked(folder, tf.equal(tags, tag))
            values.append(tf.where(there, tf.cast(_last_value(octets, mine, number), tf.int64), 0))
        begin, stop = values[0], values[0] + values[1]
        fits = (begin >= tf.cast(end, tf.int64) + 4) & (begin < stop)
        fits &= stop <= tf.cast(length, tf.int64)
        at = tf.cast(position, tf.int64)
        octets = tf.where(fits & (at >= begin) & (at < stop), 0, octets)
        at_end = fits & tf.equal(stop, tf.cast(length, tf.int64))
        length = tf.where(
            at_end, tf.cast(tf.minimum(begin, tf.cast(length, tf.int64)), tf.int32), length
        )
    octets = octets[:length]

    upright_entry = tf.where(
        little,
        tf.constant([_SHORT, 0, 1, 0, 0, 0, 1, 0, 0, 0]),
        tf.constant([0, _SHORT, 0, 0, 0, 1, 0, 1, 0, 0]),
    )
    where = tf.reshape(places[:, None] + 2 + tf.range(10), [-1, 1])
    octets = tf.tensor_scatter_nd_update(octets, where, tf.tile(upright_entry, [tf.size(places)]))
    return octets[: tf.where(sound, tf.size(octets), 0)], orientation


def _folder(octets: tf.Tensor, start: tf.Tensor, number) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Offsets of a folder's entries, int32; where it ends; whether it lies inside the block."""
    total = tf.size(octets)
    inside = (start >= 8) & (start + 2 <= tf.cast(total, tf.int64))
    begin = tf.cast(tf.where(inside, start, 0), tf.int32)
    count = tf.cast(tf.where(inside, number(octets, begin, 2), 0), tf.int32)
    end = begin + 2 + 12 * count
    inside &= end <= total
    count = tf.where(inside, count, 0)
    return begin + 2 + 12 * tf.range(count), tf.where(inside, end, 0), inside


def _last_value(octets: tf.Tensor, entries: tf.Tensor, number) -> tf.Tensor:
    """The value of the last of these entries that holds one number, int32; 0 if none does."""
    kind = number(octets, entries + 2, 2)
    single = tf.equal(number(octets, entries + 4, 4), 1)
    single &= tf.equal(kind, _SHORT) | tf.equal(kind, _LONG)
    long = tf.equal(kind, _LONG)
    value = tf.where(long, number(octets, entries + 8, 4), number(octets, entries + 8, 2))
    value = tf.cast(tf.minimum(picked(value, single), tf.int32.max), tf.int32)
    return tf.concat([[0], value], axis=0)[-1]


def apply_orientation(samples: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turns stored samples [H, W, channels] upright (EXIF 2.32, table 6)."""

    def turn():
        turned = tf.cond(
            orientation >= 5, lambda: tf.transpose(samples, [1, 0, 2]), lambda: samples
        )
        rows = tf.reduce_any(tf.equal(orientation, [3, 4, 7, 8]))
        columns = tf.reduce_any(tf.equal(orientation, [2, 3, 6, 7]))
        turned = tf.cond(rows, lambda: tf.reverse(turned, [0]), lambda: turned)
        return tf.cond(columns, lambda: tf.reverse(turned, [1]), lambda: turned)

    return tf.cond(orientation > 1, turn, lambda: samples)
