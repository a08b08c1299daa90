"""PNG files in a graph, as `picture_colour` shows them."""

from __future__ import annotations

import tensorflow as tf

from tfhific.pictures.header import PNG_SIGNATURE
from tfhific.serving.graph.octets import first_case, first_error, picked, read_number, to_octets
from tfhific.serving.pictures.caught import caught, caught_image

MAX_CHUNKS = 20_000
MAX_PROFILE_BYTES = 1 << 16
"""A compressed profile may be so long: zlib can make a thousand times as much of it."""

_GREY, _RGB, _PALETTE, _GREY_ALPHA, _RGB_ALPHA = 0, 2, 3, 4, 6
_XMP = b"XML:com.adobe.xmp\x00"
_RAW_EXIF = b"Raw profile type exif\x00"
# Transfer functions of high dynamic range, see `picture_header`.
_HDR = (16, 18)


def _code(kind: bytes) -> int:
    return int.from_bytes(kind, "big")


class PngHeader:
    """A PNG's chunks.

    Attributes:
      error: string, empty if it can be read.
      height, width: int32.
      exif: string, empty where there is none.
    """

    def __init__(self, data: tf.Tensor) -> None:
        """Reads the chunks of a PNG file, a string."""
        self._data = data
        self._octets = to_octets(data)
        self._kinds, self._starts, self._lengths, sound = _chunks(self._octets)
        # IHDR is the first.
        at = tf.constant(len(PNG_SIGNATURE) + 8)

        def field(offset, size):
            return read_number(self._octets, at + offset, size)

        self.width, self.height = (_int32(field(offset, 4)) for offset in (0, 4))
        self._depth, self._type = _int32(field(8, 1)), _int32(field(9, 1))
        self._key_bytes = self._length(b"tRNS")
        coloured_key = (self._key_bytes >= 6) & tf.equal(self._type, _RGB)
        transfer = _int32(read_number(self._octets, self._start(b"cICP") + 1, 1))
        hdr = tf.equal(self._length(b"cICP"), 4) & tf.reduce_any(tf.equal(transfer, _HDR))
        self._profile_bytes = self._length(b"iCCP")
        self.exif = self._text(self._start(b"eXIf"), self._length(b"eXIf"))
        self._packet_start, self._packet_bytes, packet_compressed = self._international(_XMP)
        raw_exif = tf.reduce_any(
            tf.stack([self._keyword(kind, _RAW_EXIF) for kind in (b"tEXt", b"zTXt", b"iTXt")])
        )
        first = tf.concat([self._kinds, [0]], axis=0)[0]
        self.error = first_error(
            [
                (
                    ~sound | tf.not_equal(first, _code(b"IHDR")),
                    "it is cut short or damaged",
                ),
                (
                    tf.equal(self.width, 0) | tf.equal(self.height, 0),
                    "it has no pixels",
                ),
                (hdr, "a PNG of high dynamic range is not read here; convert it"),
                (
                    coloured_key & tf.equal(self._depth, 16),
                    "a PNG of 16 bits with a transparent colour is not read here; convert it",
                ),
                (
                    raw_exif & tf.equal(tf.strings.length(self.exif), 0),
                    "a PNG with its EXIF in a text chunk is not read here; convert it",
                ),
                (packet_compressed, "a PNG with compressed XMP is not read here; convert it"),
                (
                    self._profile_bytes > MAX_PROFILE_BYTES,
                    "a PNG with a colour profile of unusual length is not read here; convert it",
                ),
            ]
        )

    @property
    def grey(self) -> tf.Tensor:
        """Bool."""
        return tf.equal(self._type, _GREY) | tf.equal(self._type, _GREY_ALPHA)

    def _start(self, kind: bytes) -> tf.Tensor:
        """Where the last chunk of a kind begins; 0 if there is none."""
        return self._last(self._starts, kind)

    def _length(self, kind: bytes) -> tf.Tensor:
        """Of the last chunk of a kind; 0 if there is none."""
        return self._last(self._lengths, kind)

    def _last(self, numbers: tf.Tensor, kind: bytes) -> tf.Tensor:
        found = picked(numbers, tf.equal(self._kinds, _code(kind)))
        return tf.concat([[0], found], axis=0)[-1]

    def _text(self, start: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        start = tf.minimum(start, tf.size(self._octets))
        return tf.strings.substr(self._data, start, length)

    def _keyword(self, kind: bytes, keyword: bytes) -> tf.Tensor:
        """bool [chunks]: which are of a kind and begin with a keyword."""
        here = read_number(self._octets, self._starts[:, None] + tf.range(len(keyword)), 1)
        same = tf.reduce_all(tf.equal(here, tf.constant(list(keyword), tf.int64)), axis=1)
        return same & tf.equal(self._kinds, _code(kind)) & (self._lengths >= len(keyword))

    def _international(self, keyword: bytes) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Where an iTXt chunk goes on behind its keyword, how far, and whether compressed."""
        which = self._keyword(b"iTXt", keyword)
        start = tf.concat([[0], picked(self._starts, which)], axis=0)[-1] + len(keyword)
        length = tf.concat([[0], picked(self._lengths, which)], axis=0)[-1] - len(keyword)
        compressed = (length > 0) & tf.equal(read_number(self._octets, start, 1), 1)
        return start, tf.maximum(length, 0), compressed

    @property
    def xmp(self) -> tf.Tensor:
        """A string, empty where there is none."""
        return self._text(self._packet_start, self._packet_bytes)

    @property
    def icc(self) -> tf.Tensor:
        """A profile, a string, empty where there is none."""
        at = self._start(b"iCCP")
        chunk = to_octets(self._text(at, self._profile_bytes))
        ends = picked(tf.range(tf.size(chunk)), tf.equal(chunk, 0))
        # A name, a zero, the method's byte, and the compressed profile.
        begin = tf.concat([ends, [-2]], axis=0)[0] + 2
        size = tf.size(chunk) - begin
        held = (size > 0) & (begin > 0)
        packed = self._text(at + begin, tf.where(held, size, 0))
        return tf.cond(
            held,
            # A profile that can't be read is none, as for viewers.
            lambda: caught(
                lambda text: tf.io.decode_compressed(text, "ZLIB"), packed, tf.constant(b"")
            ),
            lambda: tf.constant(b""),
        )

    def samples(self) -> tf.Tensor:
        """uint8 [H, W, 4], with alpha; [0, 0, 4] where the file is damaged."""
        wide = tf.equal(self._depth, 16)
        return first_case(
            [
                (tf.equal(self._type, _GREY) & wide, self._wide_grey),
                (tf.equal(self._type, _GREY), self._narrow_grey),
                (wide, self._wide),
                (tf.equal(self._type, _RGB), self._narrow_rgb),
                (tf.equal(self._type, _PALETTE) & tf.equal(self._key_bytes, 0), self._opaque),
            ],
            lambda: self._decode(4),
        )

    def _decode(self, channels: int, dtype: tf.DType = tf.uint8) -> tf.Tensor:
        return caught_image(
            lambda text: tf.io.decode_png(text, channels=channels, dtype=dtype),
            self._data,
            channels,
            dtype,
        )

    def _key(self) -> tf.Tensor:
        """The transparent colour, int32 [3]."""
        return _int32(read_number(self._octets, self._start(b"tRNS") + 2 * tf.range(3), 2))

    def _keyed(self, samples: tf.Tensor, key: tf.Tensor, key_bytes: int) -> tf.Tensor:
        """uint8 alpha [H, W, 1]: 0 where the samples, int32, are the key."""
        same = tf.reduce_all(tf.equal(samples, key), axis=-1, keepdims=True)
        return tf.cast(tf.where(same & (self._key_bytes >= key_bytes), 0, 255), tf.uint8)

    def _wide_grey(self) -> tf.Tensor:
        wide = tf.cast(self._decode(1, tf.uint16), tf.int32)
        # See `picture_colour._narrow`.
        grey = tf.cast((wide * 255 + 32767) // 65535, tf.uint8)
        return tf.concat([grey, grey, grey, self._keyed(wide, self._key()[:1], 2)], axis=-1)

    def _narrow_grey(self) -> tf.Tensor:
        grey = self._decode(1)
        largest = tf.bitwise.left_shift(1, tf.minimum(self._depth, 16)) - 1
        key = self._key()[:1] * 255 // tf.maximum(largest, 1)
        alpha = self._keyed(tf.cast(grey, tf.int32), key, 2)
        return tf.concat([grey, grey, grey, alpha], axis=-1)

    def _narrow_rgb(self) -> tf.Tensor:
        rgb = self._decode(3)
        return tf.concat([rgb, self._keyed(tf.cast(rgb, tf.int32), self._key(), 6)], axis=-1)

    def _opaque(self) -> tf.Tensor:
        # Asked for alpha, TensorFlow gives a palette of fewer than 8 bits less than 255 of it.
        rgb = self._decode(3)
        return tf.concat(
            [rgb, tf.fill(tf.shape(rgb[..., :1]), tf.constant(255, tf.uint8))], axis=-1
        )

    def _wide(self) -> tf.Tensor:
        # Of 16 bits with colours or alpha Pillow takes the high bytes.
        wide = self._decode(4, tf.uint16)
        return tf.cast(tf.cast(wide, tf.int32) // 256, tf.uint8)


def _int32(number: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.minimum(number, tf.int32.max), tf.int32)


def _chunks(octets: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Kinds, beginnings and lengths of a PNG's chunks, and whether they go on to its end."""
    total = tf.cast(tf.size(octets), tf.int64)

    def step(at, done, sound, kinds, starts, lengths):
        length = read_number(octets, at, 4)
        kind = read_number(octets, at + 4, 4)
        behind = tf.cast(at, tf.int64) + 12 + length
        fits = behind <= total
        ended = tf.equal(kind, _code(b"IEND"))
        index = kinds.size()
        return (
            tf.cast(tf.where(fits, behind, total), tf.int32),
            done | ended | ~fits,
            fits,
            kinds.write(index, kind),
            starts.write(index, at + 8),
            lengths.write(index, _int32(tf.where(fits, length, 0))),
        )

    def array(dtype):
        return tf.TensorArray(dtype, 0, dynamic_size=True, element_shape=[])

    _, done, sound, kinds, starts, lengths = tf.while_loop(
        lambda at, done, *_: ~done,
        step,
        (
            tf.constant(len(PNG_SIGNATURE)),
            tf.constant(False),
            tf.constant(True),
            array(tf.int64),
            array(tf.int32),
            array(tf.int32),
        ),
        maximum_iterations=MAX_CHUNKS,
        parallel_iterations=1,
    )
    return kinds.stack(), starts.stack(), lengths.stack(), sound & done
