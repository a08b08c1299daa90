"""The alpha plane of a `.tfh` file in a graph: what `tfhific.pictures.plane` does.

But for one thing: what a plane's data inflate to behind its last row, which no operation refuses
without holding all of it, is ignored (docs/format.md).
"""

from __future__ import annotations

import tensorflow as tf

from tfhific.pictures import plane as plain
from tfhific.pictures.header import PNG_SIGNATURE
from tfhific.serving.graph.octets import first_error, read_number, to_octets
from tfhific.serving.pictures.caught import caught_image

_KINDS = tuple(int.from_bytes(kind, "big") for kind in (plain.HEAD, b"IDAT", b"IEND"))
_SAYING = "The file's alpha plane can't be read: "


def check_plane(
    data: tf.Tensor, present: tf.Tensor, height: tf.Tensor, width: tf.Tensor
) -> tf.Tensor:
    """What is wrong with a section, a string; see `tfhific.pictures.plane.check_plane`.

    Args:
      data: the section, a string.
      present: bool, whether there is one; one that is not there is not wrong.
      height, width: of the picture, int32.
    """
    return tf.cond(present, lambda: _fault(data, height, width), lambda: tf.constant(""))


def _fault(data: tf.Tensor, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    octets = to_octets(data)
    signature = tf.constant(list(PNG_SIGNATURE), tf.int64)
    begins = read_number(octets, tf.range(len(PNG_SIGNATURE)), 1)
    start = tf.constant(len(PNG_SIGNATURE))
    length, *sides = (read_number(octets, start + 4 * place, 4) for place in (0, 2, 3))
    ends = read_number(octets, start + 16 + tf.range(len(plain.HEAD_END)), 1)
    same = tf.reduce_all(tf.equal(tf.stack(sides), tf.cast(tf.stack([width, height]), tf.int64)))
    return first_error(
        [
            (~tf.reduce_all(tf.equal(begins, signature)), _SAYING + "it is no PNG."),
            (
                ~_is_whole(octets) | tf.not_equal(length, 13),
                _SAYING + "it is cut short, or has more in it than an alpha plane.",
            ),
            (
                ~same,
                tf.strings.format(
                    _SAYING + "it has {}x{} pixels, its picture {}x{}.", (*sides, width, height)
                ),
            ),
            (
                ~tf.reduce_all(tf.equal(ends, tf.constant(list(plain.HEAD_END), tf.int64))),
                _SAYING + "it is not grey, of 8 bits and without interlacing.",
            ),
        ]
    )


def _is_whole(octets: tf.Tensor) -> tf.Tensor:
    """Whether a PNG's chunks are its header, one or several of its data, and its end at the end."""
    total = tf.size(octets, tf.int64)
    head, body, end = (tf.constant(kind, tf.int64) for kind in _KINDS)

    def step(at, before, done, sound):
        length = read_number(octets, tf.cast(at, tf.int32), 4)
        kind = read_number(octets, tf.cast(at, tf.int32) + 4, 4)
        in_order = tf.where(
            tf.equal(before, 0),
            tf.equal(kind, head),
            tf.equal(kind, body)
            | (tf.equal(kind, end) & tf.equal(before, body) & tf.equal(length, 0)),
        )
        behind = at + 12 + length
        sound = in_order & (behind <= total)
        done = tf.equal(kind, end) | ~sound
        return tf.minimum(behind, total), kind, done, sound

    at, _, done, sound = tf.while_loop(
        lambda at, before, done, sound: ~done,
        step,
        (
            tf.constant(len(PNG_SIGNATURE), tf.int64),
            tf.constant(0, tf.int64),
            tf.constant(False),
            tf.constant(True),
        ),
        maximum_iterations=plain.MAX_CHUNKS + 2,
        parallel_iterations=1,
    )
    return done & sound & tf.equal(at, total)


def with_plane(pixels: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    """Samples [H, W, 4] of a picture [H, W, 3] and a section; [0, 0, 4] if that is damaged."""
    alpha = caught_image(lambda text: tf.io.decode_png(text, channels=1), data, 1)
    sound = tf.reduce_all(tf.equal(tf.shape(alpha)[:2], tf.shape(pixels)[:2]))
    return tf.cond(
        sound,
        lambda: tf.concat([pixels, alpha], axis=-1),
        lambda: tf.zeros([0, 0, 4], tf.uint8),
    )
