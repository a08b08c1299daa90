"""The signatures of a served model: batches of images and files, an error beside every element."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from tfhific import systems
from tfhific.bitstream import container
from tfhific.codec.rates import rates_of
from tfhific.errors import TfhificError
from tfhific.published.model import PublishedModel
from tfhific.serving.budget import PARALLEL, beyond_array, beyond_sum, of_several
from tfhific.serving.graph import info
from tfhific.serving.graph.coders import CoreCoder
from tfhific.serving.graph.octets import first_error
from tfhific.serving.limits import DEFAULT_MAX_PIXELS, request_limit
from tfhific.serving.pictures import images as graph_images
from tfhific.serving.pictures.plane import with_plane
from tfhific.serving.pictures.png_metadata import with_metadata

CODERS = ("graph", "native")

_TEXT = tf.TensorSpec([None], tf.string)
_QUALITY = tf.TensorSpec([None], tf.float32)


def _coder(name: str):
    if name == "graph":
        return CoreCoder
    if name == "native":
        from tfhific.serving.graph.native import NativeCoder

        return NativeCoder
    raise TfhificError(f"Expected a coder among {', '.join(CODERS)}. Received: {name!r}.")


class Served(tf.Module):
    """A model's signatures, ready for `tf.saved_model.save`.

    Every signature takes and gives tensors whose first dimension is the batch, and gives `error`,
    string [batch]: empty where nothing is wrong. Elements do not affect each other.
    """

    def __init__(
        self,
        model: PublishedModel,
        quality: float | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        coder: str = "graph",
        max_request_pixels: int | None = None,
    ) -> None:
        """Initializer.

        Args:
          model: the published model.
          quality: of `compress`, 1 to 8; None for 5, and always None for a model of one rate.
          max_pixels: larger pictures are refused, in both directions.
          coder: `graph`, or `native` for servers that TFC's kernels are linked into.
          max_request_pixels: of all pictures of a request together, and of the array that
            `decompress_raw` gives; what is beyond is refused element by element. None for four
            times `max_pixels`.

        Raises:
          TfhificError: for an unknown coder, or a model that no graph is made of.
          ArgumentError: for a quality outside 1..8 or of a model of one rate, or for
            `max_request_pixels` below `max_pixels`.
        """
        super().__init__(name="served")
        rates = rates_of(model)
        self._single_rate = rates.single
        self._quality_code = rates.code(quality, model.name)
        self._max_pixels = max_pixels
        self._max_request_pixels = request_limit(max_pixels, max_request_pixels)
        self._codec = systems.graph_class(model)(model, _coder(coder), max_pixels)

        self._one = one = _Functions()
        text, number = tf.TensorSpec([], tf.string), tf.TensorSpec([], tf.int32)
        image = tf.TensorSpec([None, None, 3], tf.uint8)
        # In this order: some call those before them.
        one.encode = _traced(self._codec.encode, image, number, text, text, text)
        one.compress = _traced(self._compress_one, text, number, text)
        one.decode = _traced(self._decode_one, text)
        one.decompress = _traced(self._decompress_one, text)
        one.measure = _traced(lambda data: graph_images.measure(data, max_pixels), text)
        one.size = _traced(self._size_one, text)
        one.info = _traced(info.info, text)
        self._signatures = _Signatures(self)

    @property
    def functions(self) -> dict:
        """The signatures by name, as `tf.saved_model.save` takes them."""
        return self._signatures.by_name

    def compress(self, image_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compresses at the default quality.

        Args:
          image_bytes: string [batch], encoded images of any sizes.

        Returns:
          `compressed_bytes`, string [batch], `.tfh` files; `error`.
        """
        codes = tf.fill(tf.shape(image_bytes), self._quality_code)
        return self._compress(image_bytes, codes, tf.zeros_like(image_bytes))

    def compress_at(self, image_bytes: tf.Tensor, quality: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compresses at given qualities.

        A model of one rate takes any of them, as a request can't leave them out, and stores none.

        Args:
          image_bytes: string [batch].
          quality: float32 [batch], 1 to 8 each; of another length the call fails.

        Returns:
          As `compress`.
        """
        with _one_quality_each("compress_at", image_bytes, quality):
            codes, errors = self._quality_codes(quality)
        return self._compress(image_bytes, codes, errors)

    def _quality_codes(self, quality: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        codes, errors = _quality_codes(quality)
        return tf.zeros_like(codes) if self._single_rate else codes, errors

    def _compress(self, image_bytes, codes, errors) -> dict[str, tf.Tensor]:
        sizes = of_several(self._one.measure, image_bytes, tf.int64)
        beyond = beyond_sum(tf.where(tf.equal(errors, ""), sizes, 0), self._max_request_pixels)
        errors = _first(errors, beyond)
        data, errors = tf.map_fn(
            lambda element: self._one.compress(*element),
            (image_bytes, codes, errors),
            fn_output_signature=(tf.string, tf.string),
            parallel_iterations=PARALLEL,
        )
        return {"compressed_bytes": data, "error": errors}

    def _compress_one(self, data, code, error) -> tuple[tf.Tensor, tf.Tensor]:
        picture = graph_images.read(_unless(error, data), self._max_pixels)
        error = _first(error, picture.error)
        encoded = tf.cond(
            tf.equal(error, ""),
            lambda: self._one.encode(
                picture.pixels, code, picture.alpha, picture.icc, picture.exif
            ),
            lambda: tf.constant(""),
        )
        return encoded, error

    def decompress(self, compressed_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decompresses.

        Args:
          compressed_bytes: string [batch], `.tfh` files.

        Returns:
          `image_bytes`, string [batch], PNG files with the alpha plane, ICC profile and EXIF block
          that the files hold; `error`.
        """

        def decompress(element):
            data, beyond = element
            png, error = self._one.decompress(_unless(beyond, data))
            return png, _first(beyond, error)

        heights, widths = self._sizes(compressed_bytes)
        pixels = tf.cast(heights, tf.int64) * tf.cast(widths, tf.int64)
        images, errors = tf.map_fn(
            decompress,
            (compressed_bytes, beyond_sum(pixels, self._max_request_pixels)),
            fn_output_signature=(tf.string, tf.string),
            parallel_iterations=PARALLEL,
        )
        return {"image_bytes": images, "error": errors}

    def _sizes(self, compressed_bytes) -> tuple[tf.Tensor, tf.Tensor]:
        """Heights and widths, int32 [batch], 0 for what has no picture; 0 too in a batch of one."""
        sizes = of_several(self._one.size, compressed_bytes, tf.TensorSpec([2], tf.int32))
        return sizes[:, 0], sizes[:, 1]

    def _size_one(self, data) -> tf.Tensor:
        """Height and width of a file's picture, int32 [2]; 0 if it is refused without decoding."""
        error, contents = self._codec.examine(data)
        fine = tf.cast(tf.equal(error, ""), tf.int32)
        return tf.stack([contents.height, contents.width]) * fine

    def _decode_one(self, data) -> tuple[tf.Tensor, ...]:
        """Error, pixels, and the three entries of metadata; only an alpha plane is never empty."""
        decoded = self._codec.decode(data)
        contents = decoded.contents
        return decoded.error, decoded.pixels, contents.alpha, contents.icc, contents.exif

    def _decompress_one(self, data) -> tuple[tf.Tensor, tf.Tensor]:
        error, pixels, alpha, icc, exif = self._one.decode(data)
        samples = tf.cond(
            tf.equal(error, "") & (tf.strings.length(alpha) > 0),
            lambda: with_plane(pixels, alpha),
            lambda: pixels,
        )
        damaged = tf.equal(tf.size(samples), 0)
        error = first_error(
            [
                (tf.not_equal(error, ""), error),
                (damaged, "The file's alpha plane can't be read: it is damaged."),
            ]
        )
        # For a file without alpha there are three samples a pixel, and a PNG so.
        png = tf.cond(
            tf.equal(error, ""),
            lambda: with_metadata(_encode_png(samples), icc, exif),
            lambda: tf.constant(""),
        )
        return png, error

    def compress_raw(self, image: tf.Tensor, quality: tf.Tensor) -> dict[str, tf.Tensor]:
        """Compresses pictures of one size.

        Args:
          image: uint8 [batch, height, width, 3], RGB.
          quality: float32 [batch], 1 to 8 each; of another length the call fails.

        Returns:
          As `compress`.
        """
        with _one_quality_each("compress_raw", image, quality):
            codes, errors = self._quality_codes(quality)
        size = tf.shape(image, tf.int64)
        pixels = size[1] * size[2]
        wrong = first_error(
            [
                (tf.equal(pixels, 0), "expected at least one pixel"),
                (
                    pixels > self._max_pixels,
                    tf.strings.format(
                        "this picture has {}x{} pixels, more than the limit of "
                        f"{self._max_pixels:,}: scale it down, or use the command line",
                        (size[2], size[1]),
                    ),
                ),
            ]
        )
        errors = _first(wrong, errors)
        counts = tf.where(tf.equal(errors, ""), pixels, 0)
        beyond = beyond_sum(counts, self._max_request_pixels)
        errors = _first(errors, beyond)
        empty = tf.constant("")

        def one(element):
            pixels, code, error = element
            return tf.cond(
                tf.equal(error, ""),
                lambda: self._one.encode(pixels, code, empty, empty, empty),
                lambda: empty,
            )

        data = tf.map_fn(
            one,
            (image, codes, errors),
            fn_output_signature=tf.string,
            parallel_iterations=PARALLEL,
        )
        return {"compressed_bytes": data, "error": errors}

    def decompress_raw(self, compressed_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """Decompresses to pixels; alpha planes and metadata are left out.

        Args:
          compressed_bytes: string [batch], `.tfh` files.

        Returns:
          `image`, uint8 [batch, height, width, 3], each picture at the top left of the size that
          holds all of them, 0 beside it; `height` and `width`, int32 [batch], 0 with an error;
          `error`.
        """

        def decode(element):
            data, beyond = element
            error, pixels, *_ = self._one.decode(_unless(beyond, data))
            size = tf.shape(pixels) * tf.cast(tf.equal(error, ""), tf.int32)
            return tf.io.serialize_tensor(pixels), size[0], size[1], _first(beyond, error)

        beyond = beyond_array(*self._sizes(compressed_bytes), self._max_request_pixels)
        packed, heights, widths, errors = tf.map_fn(
            decode,
            (compressed_bytes, beyond),
            fn_output_signature=(tf.string, tf.int32, tf.int32, tf.string),
            parallel_iterations=PARALLEL,
        )
        height = tf.reduce_max(tf.concat([heights, [0]], axis=0))
        width = tf.reduce_max(tf.concat([widths, [0]], axis=0))

        def pad(element):
            data, rows, columns = element
            pixels = tf.io.parse_tensor(data, tf.uint8)
            pixels = tf.ensure_shape(pixels, [None, None, 3])[:rows, :columns]
            return tf.pad(pixels, [[0, height - rows], [0, width - columns], [0, 0]])

        image = tf.cond(
            tf.size(packed) > 0,
            lambda: tf.map_fn(
                pad,
                (packed, heights, widths),
                fn_output_signature=tf.TensorSpec([None, None, 3], tf.uint8),
                parallel_iterations=PARALLEL,
            ),
            # A list without elements does not know their size.
            lambda: tf.zeros([0, 0, 0, 3], tf.uint8),
        )
        return {"image": image, "height": heights, "width": widths, "error": errors}

    def info(self, compressed_bytes: tf.Tensor) -> dict[str, tf.Tensor]:
        """What files say, without decoding them; of any model.

        Args:
          compressed_bytes: string [batch], `.tfh` files.

        Returns:
          Each [batch]: `format_version`, `width`, `height`, `bytes`, `latents_streams`,
          `hyperlatents_streams`, `band_rows`, `alpha_size`, `icc_size`, `exif_size`, int32;
          `quality`, `bpp`, float32; `fingerprint`, 16 hexadecimal digits, and `error`, string.
        """
        values = tf.map_fn(
            self._one.info,
            compressed_bytes,
            fn_output_signature=tuple(info.ENTRIES.values()),
            parallel_iterations=PARALLEL,
        )
        return dict(zip(info.ENTRIES, values))


class _Functions:
    """Functions of one element, traced once, which the signatures call.

    This class and the next are none that TensorFlow tracks: a SavedModel would have a copy of the
    functions under their names, beside those of the signatures.
    """

    encode: Callable[..., tf.Tensor]
    compress: Callable[..., tuple[tf.Tensor, ...]]
    decode: Callable[..., tuple[tf.Tensor, ...]]
    decompress: Callable[..., tuple[tf.Tensor, ...]]
    measure: Callable[..., tf.Tensor]
    size: Callable[..., tf.Tensor]
    info: Callable[..., tuple[tf.Tensor, ...]]


def _traced(python, *specs):
    # The concrete function, since a function's first call traces it twice.
    return tf.function(python, input_signature=specs, autograph=False).get_concrete_function()


class _Signatures:
    def __init__(self, served: Served) -> None:
        image = tf.TensorSpec([None, None, None, 3], tf.uint8)
        inputs = {
            "compress": [_TEXT],
            "compress_at": [_TEXT, _QUALITY],
            "decompress": [_TEXT],
            "compress_raw": [image, _QUALITY],
            "decompress_raw": [_TEXT],
            "info": [_TEXT],
        }
        self.by_name = {
            name: tf.function(getattr(served, name), input_signature=specs, autograph=False)
            for name, specs in inputs.items()
        }


def _unless(error: tf.Tensor, data: tf.Tensor) -> tf.Tensor:
    """A file, or with an error before it an empty one, which is refused at once.

    Without a `tf.cond` around all that reads a file a model's first calls take less time.
    """
    return tf.where(tf.equal(error, ""), data, "")


def _first(error: tf.Tensor, behind: tf.Tensor) -> tf.Tensor:
    """An error, or where it is empty the one behind it; of one element or of a batch."""
    return tf.where(tf.equal(error, ""), behind, error)


def _one_quality_each(signature: str, images: tf.Tensor, quality: tf.Tensor):
    """A scope whose operations fail, and with them the call, unless each image has a quality."""
    counts = tf.shape(images)[0], tf.size(quality)
    message = tf.strings.format(
        f"{signature} expects one quality for each image. Received: {{}} images and {{}} "
        "qualities.",
        counts,
    )
    return tf.control_dependencies([tf.debugging.Assert(tf.equal(*counts), [message])])


def _quality_codes(quality: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Stored qualities, int32 [batch], and what is wrong with them, string [batch]."""
    known = (quality >= 1.0) & (quality <= 8.0)
    message = tf.strings.join(
        ["expected a quality from 1 to 8, received ", tf.strings.as_string(quality, shortest=True)]
    )
    steps = (tf.cast(tf.where(known, quality, 1.0), tf.float64) - 1.0) * container.QUALITY_STEPS
    return tf.cast(tf.round(steps), tf.int32), tf.where(known, "", message)


def _encode_png(samples: tf.Tensor) -> tf.Tensor:
    """A PNG, a string, of uint8 [H, W, 3] or [H, W, 4] that is not known before."""
    return tf.cond(
        tf.equal(tf.shape(samples)[2], 4),
        lambda: tf.io.encode_png(tf.ensure_shape(samples, [None, None, 4]), compression=1),
        lambda: tf.io.encode_png(tf.ensure_shape(samples, [None, None, 3]), compression=1),
    )
