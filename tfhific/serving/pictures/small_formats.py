"""GIF, BMP and WebP files in a graph, as far as TensorFlow decodes them as viewers do."""

from __future__ import annotations

import tensorflow as tf

from tfhific.serving.graph.octets import first_error, picked, read_number, to_octets
from tfhific.serving.pictures.caught import caught_image

MAX_BLOCKS = 20_000
_EXTENSION, _IMAGE, _GRAPHIC_CONTROL = 0x21, 0x2C, 0xF9
# A frame of one pixel at the top left, without colours; its codes are "clear", 0, "end".
_POINT = b",\0\0\0\0\1\0\1\0\0" + b"\2\2\x44\1\0"


class GifHeader:
    """What stands before a GIF's first image.

    Attributes:
      error: string, empty if it can be read.
      height, width: int32.
    """

    def __init__(self, data: tf.Tensor) -> None:
        """Reads the header of a GIF file, a string."""
        self._data = data
        octets = to_octets(data)

        def number(at, size):
            return tf.cast(read_number(octets, at, size, little=True), tf.int32)

        self.width, self.height = number(tf.constant(6), 2), number(tf.constant(8), 2)
        at, clear, found = _first_image(octets)
        frame = [number(at + 1 + 2 * field, 2) for field in range(4)]
        colours = number(at + 9, 1)
        table = tf.where(colours >= 128, 3 * tf.bitwise.left_shift(2, colours & 7), 0)
        # Behind the descriptor and its colours: the size of codes, and blocks of them.
        self._end, ended = _end_of_blocks(octets, at + 11 + table)
        whole = tf.reduce_all(tf.equal(tf.stack(frame), tf.stack([0, 0, self.width, self.height])))
        self.error = first_error(
            [
                (~found, "it is cut short or damaged"),
                (~ended, "it is cut short or damaged, or in blocks of an unusual size"),
                (tf.equal(self.width, 0) | tf.equal(self.height, 0), "it has no pixels"),
                (clear, "a GIF with transparency is not read here; convert it"),
                (~whole, "a GIF whose first frame does not fill it is not read here; convert it"),
            ]
        )

    def pixels(self) -> tf.Tensor:
        """uint8 [H, W, 3] of the first frame; [0, 0, 3] where the file is damaged."""
        # TensorFlow would decode all frames, of whatever size they are. Of one whose codes end too
        # early it gives what it has, and whatever was in memory behind that; and no frame after it.
        first = tf.strings.join([tf.strings.substr(self._data, 0, self._end), _POINT, b";"])

        def decode(text):
            frames = tf.raw_ops.DecodeGif(contents=text)
            return tf.ensure_shape(frames, [2, None, None, 3])[0]

        return caught_image(decode, first, 3)


def _first_image(octets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Where the first image's descriptor is, whether it has a clear colour, and whether it is."""
    flags = tf.cast(read_number(octets, tf.constant(10), 1), tf.int32)
    colours = tf.where(flags >= 128, 3 * tf.bitwise.left_shift(2, flags & 7), 0)

    def step(at, inside, clear, done, found):
        byte = tf.cast(read_number(octets, at, 1), tf.int32)
        label = tf.cast(read_number(octets, at + 1, 1), tf.int32)
        control = tf.cast(read_number(octets, at + 3, 1), tf.int32)
        here = at < tf.size(octets)
        # Inside an extension blocks follow each other, each behind its length, up to an empty one.
        image = ~inside & tf.equal(byte, _IMAGE)
        extension = ~inside & tf.equal(byte, _EXTENSION)
        clear |= extension & tf.equal(label, _GRAPHIC_CONTROL) & tf.equal(control & 1, 1)
        lost = ~here | (~inside & ~image & ~extension)
        onward = tf.where(inside, at + 1 + byte, at + 2)
        inside = tf.where(inside, byte > 0, extension)
        return tf.where(image | lost, at, onward), inside, clear, image | lost, image & here

    state = (13 + colours, *map(tf.constant, (False, False, False, False)))
    at, _, clear, _, found = tf.while_loop(
        lambda at, inside, clear, done, found: ~done,
        step,
        state,
        maximum_iterations=MAX_BLOCKS,
        parallel_iterations=1,
    )
    return at, clear, found


def _end_of_blocks(octets: tf.Tensor, at: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Where a row of blocks ends, each behind its length, and whether the last one is empty."""
    total = tf.size(octets)

    def step(at, length):
        length = tf.cast(read_number(octets, at, 1), tf.int32)
        return tf.minimum(at + 1 + length, total), length

    at, length = tf.while_loop(
        lambda at, length: (at < total) & (length > 0),
        step,
        (tf.minimum(at, total), tf.constant(1)),
        # Encoders fill blocks of 255 bytes.
        maximum_iterations=MAX_BLOCKS + total // 128,
        parallel_iterations=1,
    )
    return at, tf.equal(length, 0)


class BmpHeader:
    """A BMP's header; `error`, `height` and `width` as in `GifHeader`."""

    def __init__(self, data: tf.Tensor) -> None:
        """Reads the header of a BMP file, a string."""
        self._data = data
        octets = to_octets(data)

        def number(at, size):
            return read_number(octets, tf.constant(at), size, little=True)

        pixels_at, header, planes = number(10, 4), number(14, 4), number(26, 2)
        bits, compression = number(28, 2), number(30, 4)
        width, height = number(18, 4), number(22, 4)
        height = tf.where(height >= 1 << 31, (1 << 32) - height, height)
        self._bits = bits
        row = (width * bits // 8 + 3) // 4 * 4
        known = tf.reduce_any(tf.equal(header, tf.constant([40, 108, 124], tf.int64)))
        known &= tf.equal(compression, 0) & tf.equal(planes, 1)
        known &= tf.equal(bits, 24) | (tf.equal(bits, 32) & tf.equal(header, 40))
        sides = (width >= 1) & (height >= 1) & (width < 1 << 31) & (height < 1 << 31)
        total = tf.cast(tf.size(octets), tf.int64)
        missing = row > (total - pixels_at) // tf.maximum(height, 1)
        self.error = first_error(
            [
                (
                    ~known,
                    "a BMP other than of 24 or 32 bits, uncompressed is not read here; convert it",
                ),
                (~sides, "it has no pixels"),
                (missing, "it is cut short or damaged"),
            ]
        )
        self.width, self.height = (
            tf.cast(tf.minimum(side, tf.int32.max), tf.int32) for side in (width, height)
        )

    def pixels(self) -> tf.Tensor:
        """uint8 [H, W, 3]; [0, 0, 3] where the file is damaged."""

        def decode(channels):
            image = caught_image(
                lambda text: tf.io.decode_bmp(text, channels=channels), self._data, channels
            )
            return image[..., :3]

        return tf.cond(tf.equal(self._bits, 24), lambda: decode(3), lambda: decode(4))


class WebPHeader:
    """A WebP's header; needs a TensorFlow that has `DecodeWebP`.

    Attributes:
      error, height, width: as in `GifHeader`.
    """

    def __init__(self, data: tf.Tensor) -> None:
        """Reads the chunks of a WebP file, a string."""
        self._data = data
        self._octets = octets = to_octets(data)
        self._kinds, self._starts, self._lengths, sound = _riff_chunks(octets)

        def find(kind: bytes):
            which = self._are(kind)
            return _first(self._starts, which), tf.reduce_any(which)

        def number(at, size):
            return tf.cast(read_number(octets, at, size, little=True), tf.int32)

        extended, has_extended = find(b"VP8X")
        lossy, has_lossy = find(b"VP8 ")
        lossless, has_lossless = find(b"VP8L")
        # 14 bits of width less 1, then of height.
        low, high = number(lossless + 1, 2), number(lossless + 3, 2)
        width = tf.where(has_lossy, number(lossy + 6, 2) & 0x3FFF, (low & 0x3FFF) + 1)
        height = tf.where(
            has_lossy, number(lossy + 8, 2) & 0x3FFF, low // 16384 + (high & 0xFFF) * 4 + 1
        )
        self.width = tf.where(has_extended, number(extended + 4, 3) + 1, width)
        self.height = tf.where(has_extended, number(extended + 7, 3) + 1, height)
        flags = tf.where(has_extended, number(extended, 1), 0)
        self.error = first_error(
            [
                (~sound, "it is cut short or damaged"),
                (tf.equal(flags & 2, 2), "an animated WebP is not read here; convert it"),
                (~(has_lossy | has_lossless), "it has no pixels"),
                (tf.equal(self.width, 0) | tf.equal(self.height, 0), "it has no pixels"),
            ]
        )

    @property
    def exif(self) -> tf.Tensor:
        """A string, empty where there is none."""
        return self._text(b"EXIF")

    @property
    def xmp(self) -> tf.Tensor:
        """A string, empty where there is none."""
        return self._text(b"XMP ")

    @property
    def icc(self) -> tf.Tensor:
        """A profile, a string, empty where there is none."""
        return self._text(b"ICCP")

    def _are(self, kind: bytes) -> tf.Tensor:
        """bool [chunks]: which are of a kind."""
        return tf.equal(self._kinds, int.from_bytes(kind, "little"))

    def _text(self, kind: bytes) -> tf.Tensor:
        """The first chunk of a kind."""
        which = self._are(kind)
        start = tf.minimum(_first(self._starts, which), tf.size(self._octets))
        return tf.strings.substr(self._data, start, _first(self._lengths, which))

    def samples(self) -> tf.Tensor:
        """uint8 [H, W, 4], with alpha; [0, 0, 4] where the file is damaged."""

        def decode(channels):
            # The first of its frames, of which there is one.
            return caught_image(
                lambda text: tf.raw_ops.DecodeWebP(
                    contents=text, channels=channels, dtype=tf.uint8
                )[0],
                self._data,
                channels,
            )

        def opaque():
            colours = decode(3)
            full = tf.fill(tf.shape(colours[..., :1]), tf.constant(255, tf.uint8))
            return tf.concat([colours, full], axis=-1)

        # TensorFlow gives alpha of those files alone that have some.
        samples = decode(4)
        return tf.cond(tf.size(samples) > 0, lambda: samples, opaque)


def _first(numbers: tf.Tensor, which: tf.Tensor) -> tf.Tensor:
    """The first of the chosen numbers; 0 if there is none."""
    return tf.concat([picked(numbers, which), [0]], axis=0)[0]


def _riff_chunks(octets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    total = tf.cast(tf.size(octets), tf.int64)

    def step(at, sound, kinds, starts, lengths):
        kind = read_number(octets, at, 4, little=True)
        length = read_number(octets, at + 4, 4, little=True)
        behind = tf.cast(at, tf.int64) + 8 + length
        fits = behind <= total
        index = kinds.size()
        return (
            tf.cast(tf.minimum(behind + length % 2, total), tf.int32),
            sound & fits,
            kinds.write(index, kind),
            starts.write(index, at + 8),
            lengths.write(index, tf.cast(tf.where(fits, length, 0), tf.int32)),
        )

    def array(dtype):
        return tf.TensorArray(dtype, 0, dynamic_size=True, element_shape=[])

    _, sound, kinds, starts, lengths = tf.while_loop(
        lambda at, sound, *_: sound & (at + 8 <= tf.size(octets)),
        step,
        (tf.constant(12), tf.constant(True), array(tf.int64), array(tf.int32), array(tf.int32)),
        maximum_iterations=MAX_BLOCKS,
        parallel_iterations=1,
    )
    return kinds.stack(), starts.stack(), lengths.stack(), sound & (total >= 20)
