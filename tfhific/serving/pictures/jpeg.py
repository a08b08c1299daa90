"""JPEG files in a graph: header, metadata, and pixels as Pillow and `picture_colour` give them.

TensorFlow decodes CMYK to RGB by itself, with products that are cut where Pillow rounds them. The
four inks are got back from two such conversions, which differ in whether they take the inks for
inverted, of the file with and without its black: c * k // 255 and (255 - c) * (255 - k) // 255
differ by c + k - 255 exactly, and without black, which is then 128, that gives c.
"""

from __future__ import annotations

import tensorflow as tf

from tfhific.serving.graph.octets import first_error, picked, read_number, to_octets, to_string
from tfhific.serving.pictures.caught import caught_image

MAX_SEGMENTS = 2000
_START_OF_SCAN = 0xDA
_QUANTISATION = 0xDB
_APP1, _APP2, _APP14 = 0xE1, 0xE2, 0xEE
_EXIF = b"Exif\x00\x00"
_XMP = b"http://ns.adobe.com/xap/1.0/\x00"
_ICC = b"ICC_PROFILE\x00"
_ADOBE = b"Adobe"
# An Adobe segment that says: inks as they are stored, no conversion.
_PLAIN_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00"


class JpegHeader:
    """What stands before a JPEG's first scan.

    Attributes:
      error: string, empty if it can be read.
      height, width, components: int32.
    """

    def __init__(self, data: tf.Tensor) -> None:
        """Reads the header of a JPEG file, a string."""
        self._data = data
        self._octets = to_octets(data)
        kinds, starts, lengths, scan, sound = _segments(self._octets)
        self._kinds, self._starts, self._lengths, self._scan = kinds, starts, lengths, scan
        # Every marker from C0 to CF but those of Huffman tables, of arithmetic coding, and JPG.
        frame = (kinds >= 0xC0) & (kinds <= 0xCF)
        for other in (0xC4, 0xC8, 0xCC):
            frame &= tf.not_equal(kinds, other)
        index = tf.argmax(tf.cast(frame, tf.int32), output_type=tf.int32)
        found = tf.reduce_any(frame) & sound
        index = tf.where(found, index, 0)
        at = tf.where(found, tf.concat([starts, [0]], axis=0)[index], 0)
        self._frame, self._frame_at = index, at

        def field(offset, size):
            return tf.cast(read_number(self._octets, at + offset, size), tf.int32)

        bits, self.height, self.width = field(0, 1), field(1, 2), field(3, 2)
        self.components = field(5, 1)
        self.error = first_error(
            [
                (~found, "it is cut short or damaged"),
                (
                    tf.equal(self.height, 0) | tf.equal(self.width, 0),
                    "it has no pixels",
                ),
                (tf.not_equal(bits, 8), "a JPEG of more than 8 bits is not read here; convert it"),
                (
                    ~tf.reduce_any(tf.equal(self.components, [1, 3, 4])),
                    "a JPEG of an unknown kind of colours is not read here; convert it",
                ),
            ]
        )

    @property
    def exif(self) -> tf.Tensor:
        """A string, empty where there is none."""
        which = self._starting_with(_APP1, _EXIF)
        order = tf.range(tf.reduce_sum(tf.cast(which, tf.int32)))
        return tf.strings.reduce_join(
            self._texts(which, tf.where(tf.equal(order, 0), 0, len(_EXIF)))
        )

    @property
    def xmp(self) -> tf.Tensor:
        """A string, empty where there is none."""
        texts = self._texts(self._starting_with(_APP1, _XMP), len(_XMP))
        return tf.concat([[""], texts], axis=0)[-1]

    @property
    def icc(self) -> tf.Tensor:
        """The profile put together, if all its pieces stand before the frame's header; or empty."""
        head = len(_ICC) + 2
        which = self._starting_with(_APP2, _ICC) & (self._lengths >= head)
        which &= tf.range(tf.size(self._kinds)) < self._frame
        texts = self._texts(which, head)
        starts = picked(self._starts, which) + len(_ICC)
        number = tf.cast(read_number(self._octets, starts, 1), tf.int32)
        order = tf.argsort(number, stable=True)
        count = tf.gather(read_number(self._octets, starts + 1, 1), order)
        first = tf.cast(tf.concat([count, [0]], axis=0)[0], tf.int32)
        whole = tf.equal(first, tf.size(texts))
        return tf.where(whole, tf.strings.reduce_join(tf.gather(texts, order)), "")

    def _starting_with(self, kind: int, start: bytes) -> tf.Tensor:
        size = len(start)
        here = read_number(self._octets, self._starts[:, None] + tf.range(size), 1)
        same = tf.reduce_all(tf.equal(here, tf.constant(list(start), tf.int64)), axis=1)
        return same & tf.equal(self._kinds, kind) & (self._lengths >= size)

    def _texts(self, which: tf.Tensor, skip: tf.Tensor | int) -> tf.Tensor:
        """The contents of segments without their first bytes, strings."""
        starts = picked(self._starts, which) + skip
        lengths = tf.maximum(picked(self._lengths, which) - skip, 0)
        texts = tf.fill([tf.size(starts)], self._data)
        starts = tf.minimum(starts, tf.size(self._octets))
        return tf.strings.substr(texts, starts, lengths)

    def pixels(self) -> tf.Tensor:
        """uint8 [H, W, 3]; [0, 0, 3] where the file is damaged."""
        return tf.cond(
            tf.equal(self.components, 4),
            self._from_inks,
            # Grey becomes r = g = b.
            lambda: _decode(self._data),
        )

    def _from_inks(self) -> tf.Tensor:
        adobe = self._starting_with(_APP14, _ADOBE) & (self._lengths >= 12)
        adobe_at = picked(self._starts, adobe)
        whole, without = self._inks(adobe_at, False), self._inks(adobe_at, True)
        # Either may be damaged where the other is not.
        size = tf.minimum(tf.shape(whole), tf.shape(without))
        whole, without = whole[: size[0], : size[1]], without[: size[0], : size[1]]
        inks = without - 128
        black = whole[..., :1] - inks[..., :1]
        # Whether they are YCCK and not CMYK.
        transform = read_number(self._octets, adobe_at + 11, 1)
        converted = tf.not_equal(tf.concat([[0], transform], axis=0)[-1], 0)
        inks = tf.cond(converted, lambda: _from_ycc(inks), lambda: inks)
        # As Pillow has it: inverted inks, and a product divided by 255 and rounded.
        product = (255 - inks) * black + 128
        return tf.cast(black - (product // 256 + product) // 256, tf.uint8)

    def _inks(self, adobe_at: tf.Tensor, without_black: bool) -> tf.Tensor:
        """Sums of each ink's samples and black's, int32 [H, W, 3]."""
        # The file's own Adobe segments must not be found.
        octets = tf.tensor_scatter_nd_update(
            self._octets, adobe_at[:, None], tf.zeros_like(adobe_at)
        )
        tables = tf.constant(b"")
        if without_black:
            # Black's coefficients are multiplied by a table of zeros, in a place that no other
            # component uses.
            used = read_number(self._octets, self._frame_at + 8 + 3 * tf.range(3), 1)
            free = tf.reduce_any(tf.equal(used[:, None], tf.range(4, dtype=tf.int64)), axis=0)
            place = tf.argmin(tf.cast(free, tf.int32), output_type=tf.int32)
            octets = tf.tensor_scatter_nd_update(
                octets, (self._frame_at + 8 + 3 * 3)[None, None], place[None]
            )
            head = tf.constant([0xFF, _QUANTISATION, 0, 67])
            tables = to_string(
                tf.cast(tf.concat([head, place[None], tf.zeros([64], tf.int32)], 0), tf.uint8)
            )
        data = to_string(tf.cast(octets, tf.uint8))
        before = tf.strings.substr(data, 2, tf.maximum(self._scan - 2, 0))
        rest = tf.strings.substr(data, self._scan, tf.size(octets) - self._scan)

        def decode(adobe):
            edited = tf.strings.join([b"\xff\xd8", adobe, before, tables, rest])
            return tf.cast(_decode(edited), tf.int32)

        inverted, plain = decode(_PLAIN_ADOBE), decode(b"")
        size = tf.minimum(tf.shape(inverted), tf.shape(plain))
        return inverted[: size[0], : size[1]] - plain[: size[0], : size[1]] + 255


def _decode(data: tf.Tensor) -> tf.Tensor:
    return caught_image(
        lambda text: tf.io.decode_jpeg(text, channels=3, dct_method="INTEGER_ACCURATE"), data, 3
    )


def _from_ycc(samples: tf.Tensor) -> tf.Tensor:
    """Inks of luma and chroma samples, int32 [H, W, 3], in libjpeg's fixed-point arithmetic."""

    def fixed(value):
        return int(value * 65536 + 0.5)

    luma, blue, red = samples[..., 0], samples[..., 1] - 128, samples[..., 2] - 128
    half = 32768
    r = luma + (fixed(1.40200) * red + half) // 65536
    g = luma + (-fixed(0.34414) * blue - fixed(0.71414) * red + half) // 65536
    b = luma + (fixed(1.77200) * blue + half) // 65536
    return 255 - tf.clip_by_value(tf.stack([r, g, b], axis=-1), 0, 255)


def _segments(
    octets: tf.Tensor,
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """The segments before the first scan.

    Returns:
      int32 [n] each: the markers' second bytes, where the contents begin, their lengths; int32,
      where the scan's marker stands; bool, whether it was found.
    """
    total = tf.size(octets)

    def step(at, done, sound, kinds, starts, lengths):
        kind = tf.cast(read_number(octets, at + 1, 1), tf.int32)
        marked = tf.equal(read_number(octets, at, 1), 0xFF)
        filler = tf.equal(kind, 0xFF)
        # TEM and the restart markers stand alone.
        alone = tf.equal(kind, 0x01) | ((kind >= 0xD0) & (kind <= 0xD7))
        scan = tf.equal(kind, _START_OF_SCAN)
        length = tf.cast(read_number(octets, at + 2, 2), tf.int32)
        ordinary = ~(filler | alone | scan)
        fine = marked & (at + 2 <= total)
        fine &= ~ordinary | ((length >= 2) & (at + 2 + length <= total) & (kind >= 0xC0))
        index = kinds.size()
        kinds = kinds.write(index, tf.where(ordinary, kind, 0))
        starts = starts.write(index, at + 4)
        lengths = lengths.write(index, tf.where(ordinary, tf.maximum(length - 2, 0), 0))
        onward = tf.where(filler, 1, tf.where(alone, 2, 2 + length))
        return (
            tf.where(scan | ~fine, at, at + onward),
            done | scan | ~fine,
            sound & fine,
            kinds,
            starts,
            lengths,
        )

    def array():
        return tf.TensorArray(tf.int32, 0, dynamic_size=True, element_shape=[])

    at, done, sound, kinds, starts, lengths = tf.while_loop(
        lambda at, done, *_: ~done,
        step,
        (tf.constant(2), tf.constant(False), tf.constant(True), array(), array(), array()),
        maximum_iterations=MAX_SEGMENTS,
        parallel_iterations=1,
    )
    return kinds.stack(), starts.stack(), lengths.stack(), at, sound & done
