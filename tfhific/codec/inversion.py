"""Codec of `inversion` and `cgan`: the file is the z that a generator makes the picture from.

Tolunay and Ghalayini 2018 (see `tfhific.models.inversion`). The file's y section holds the levels
of z; its metadata entry `CODE` has two bytes, the bits k and the class plus one (0: no class).

A picture that fits into the generator's square is put into its middle, with its border repeated
outwards; a larger one is resampled to the square, and back when it is decoded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfc_port import coding
from tfhific.bitstream import container
from tfhific.bitstream.container import Contents
from tfhific.codec.base import Codec
from tfhific.codec.encoded import Encoded
from tfhific.codec.inversion_search import (
    MAX_BITS,
    Searcher,
    SearchOptions,
    from_levels,
    make_loss,
)
from tfhific.codec.sizes import size_of
from tfhific.errors import BitstreamError, TfhificError
from tfhific.pictures.resampling import resampled
from tfhific.published.code import CodeModel

_MOST_ENLARGED = 8
"""Larger pictures than so many times the generator's side are refused."""

_KEPT_SEARCHERS = 8
_LARGEST_SIDE = 4096


class InversionCodec(Codec):
    """Compresses and decompresses pictures with one published generator."""

    MODEL = CodeModel
    IN_TILES = False
    published: CodeModel

    def __init__(self, published: CodeModel, *args: Any, **kwargs: Any) -> None:
        """See `tfhific.codec.base.Codec`."""
        super().__init__(published, *args, **kwargs)
        self._searchers: dict[tuple, Searcher] = {}

    @property
    def needs(self) -> tuple[str, ...]:
        """`search`, how z is searched for, and `label`, the picture's class."""
        return "search", "label"

    def _published_fits(self) -> dict[str, bool]:
        decoding, tables = self.published.decoding, self.published.tables["z"]
        channels = int(decoding["channels"])
        generator = self.published.networks["generator"]
        made = generator.channels_after(self.latent + self.classes)
        return {
            "sides": 1 <= self.side <= _LARGEST_SIDE,
            "channels": channels in (1, 3) and made == channels,
            "classes": 0 <= self.classes <= 255,
            "values of z": self.latent > 0,
            "tables": tables.rows == MAX_BITS,
            "prior": decoding["prior"] in ("normal", "uniform"),
            "range": isinstance(decoding["unit"], bool),
        }

    @property
    def side(self) -> int:
        """Of the generator's pictures, in pixels."""
        return int(self.published.decoding["side"])

    @property
    def classes(self) -> int:
        """That the generator takes a label of; 0 for none."""
        return int(self.published.decoding["classes"])

    @property
    def latent(self) -> int:
        """Values of z."""
        return int(self.published.decoding["latent"])

    @property
    def whole_pixels(self) -> int:
        """The most pixels of a picture that is made smaller than it is."""
        return (_MOST_ENLARGED * self.side) ** 2

    def _encode(self, image: np.ndarray, quality_code: int, side: Mapping[str, Any]) -> Encoded:
        """See `Codec`.

        Args:
          image: uint8 [H, W, 3].
          quality_code: 0.
          side: `search`, a `SearchOptions`, None for the defaults; `label`, the picture's class,
            where the generator takes one, None to try all of them.
        """
        options = side.get("search") or SearchOptions()
        levels, label, _ = self.invert(image, options, side.get("label"))
        return Encoded(self.contents_of(levels, options.bits, label, size_of(image)), levels)

    def _encode_again(self, contents: Contents, image: np.ndarray) -> Encoded:
        levels, bits, label = self.levels_of(contents)
        return Encoded(self.contents_of(levels, bits, label, size_of(image)), levels)

    def _same_payload(self, contents: Contents, again: Contents) -> bool:
        return contents.y == again.y and contents.size == again.size

    def contents_of(
        self, levels: np.ndarray, bits: int, label: int | None, size: tuple[int, int]
    ) -> Contents:
        """What a file of a z holds, int32 [latent] levels of `bits` bits, for a picture's size."""
        code = bytes([bits, 0 if label is None else label + 1])
        return Contents(self.fingerprint, *size, 0, b"", self._payload(levels, bits), code=code)

    def pack(
        self, levels: np.ndarray, bits: int, label: int | None, size: tuple[int, int]
    ) -> bytes:
        """The file of a z; see `contents_of`."""
        return container.pack(self.contents_of(levels, bits, label, size))

    def payload_bytes(self, levels: np.ndarray, bits: int) -> int:
        """Bytes of the entropy-coded z; at a fixed length it takes `latent * bits / 8`."""
        return len(self._payload(levels, bits))

    def _payload(self, levels: np.ndarray, bits: int) -> bytes:
        rows = np.full(levels.shape, bits - 1, np.int32)
        tables = self.published.tables["z"]
        return coding.encode(levels, rows, tables, streams=1, implementation=self._coder)

    def invert(
        self, image: np.ndarray, options: SearchOptions, label: int | None = None
    ) -> tuple[np.ndarray, int | None, list[float]]:
        """Searches for the z of a picture.

        Args:
          image: uint8 [H, W, 3].
          options: how.
          label: its class, or None; see `encode`.

        Returns:
          Levels int32 [latent], the label (None without classes), and the least loss after each
          step.

        Raises:
          TfhificError: for a label that the generator doesn't have.
        """
        if label is not None and not 0 <= label < self.classes:
            has = f"classes 0 to {self.classes - 1}" if self.classes else "no classes"
            raise TfhificError(f"`label`: {self.name} has {has}. Received: {label}.")
        import tensorflow as tf

        target = self._into_square(image).astype(np.float32) / 127.5 - 1.0
        labels: list[int | None] = [None]
        if label is not None or self.classes:
            labels = [label] if label is not None else list(range(self.classes))
        rng = np.random.default_rng(options.seed)
        shape = [len(labels), options.restarts, self.latent]
        if self.published.decoding["prior"] == "normal":
            starts = rng.normal(size=shape)
        else:
            starts = rng.uniform(-1.0, 1.0, shape)
        if options.guess and "guess" in self.published.networks:
            guessed = self.published.networks["guess"](tf.constant(target[None])).numpy()
            starts[:, 0] = guessed[0]
        starts = starts.reshape(-1, self.latent).astype(np.float32)
        crop = self._crop(size_of(image))
        searcher = self._searcher(options, crop, tuple(labels))
        levels, losses, history = searcher(target[crop], starts, options)
        best = int(np.argmin(losses))
        return levels[best], labels[best // options.restarts], history

    def _searcher(self, options: SearchOptions, crop: tuple, labels: tuple) -> Searcher:
        """The search for pictures at a place, and labels; the last few are kept, traced."""
        places = tuple((part.start, part.stop) for part in crop)
        key = (options.bits, options.loss, options.lpips, options.restarts, places, labels)
        if key not in self._searchers:
            repeated = None if labels[0] is None else np.repeat(labels, options.restarts)
            while len(self._searchers) >= _KEPT_SEARCHERS:
                self._searchers.pop(next(iter(self._searchers)))
            self._searchers[key] = Searcher(
                lambda z: self._make(z, repeated)[:, crop[0], crop[1]],
                len(labels) * options.restarts,
                self.latent,
                self.published.decoding["prior"],
                options.bits,
                make_loss(options, min(stop - start for start, stop in places)),
            )
        return self._searchers[key]

    def decode_code(self, contents: Contents) -> np.ndarray:
        """See `Codec.decode_code`: int32 [latent], levels of z."""
        return self.levels_of(contents)[0]

    def reconstruct(self, encoded: Encoded) -> np.ndarray:
        """See `Codec.reconstruct`; the code is levels of z."""
        bits, label = self._bits_and_label(encoded.contents)
        return self.picture_of(encoded.code, bits, label, encoded.size)

    def decode_levels(self, data: bytes) -> tuple[np.ndarray, int, int | None]:
        """Levels int32 [latent] of a file's z, its bits, and its label or None.

        Raises:
          BitstreamError: as `decompress`.
        """
        return self.levels_of(self.unpack(data))

    def levels_of(self, contents: Contents) -> tuple[np.ndarray, int, int | None]:
        """`decode_levels` of a file's contents."""
        bits, label = self._bits_and_label(contents)
        rows = np.full(self.latent, bits - 1, np.int32)
        try:
            levels = coding.decode(
                contents.y, rows, self.published.tables["z"], streams=1, implementation=self._coder
            )
        except coding.CodingError as error:
            raise BitstreamError(f"The file's code can't be decoded: {error}") from None
        if int(levels.min()) < 0 or int(levels.max()) >= 2**bits:
            raise BitstreamError(f"The file's code has values beyond its {bits} bits.")
        return levels, bits, label

    def _bits_and_label(self, contents: Contents) -> tuple[int, int | None]:
        code = contents.code or b""
        if len(code) != 2 or not 1 <= code[0] <= MAX_BITS or contents.z or contents.y_streams > 1:
            raise BitstreamError("The file's entry on its code is missing or damaged.")
        bits, label = code[0], code[1] - 1 if code[1] else None
        if (label is None) != (self.classes == 0) or (label or 0) >= max(self.classes, 1):
            raise BitstreamError(f"The file has the class {label}, which {self.name} doesn't have.")
        return bits, label

    def picture_of(
        self, levels: np.ndarray, bits: int, label: int | None, size: tuple[int, int]
    ) -> np.ndarray:
        """The picture that a z stands for, uint8 [H, W, 3]."""
        import tensorflow as tf

        z = from_levels(levels, self.published.decoding["prior"], bits)
        made = self._make(tf.constant(z[None]), None if label is None else np.array([label]))
        pixels = tf.clip_by_value(tf.round((made[0] + 1.0) * 127.5), 0.0, 255.0)
        square = np.repeat(tf.cast(pixels, tf.uint8).numpy(), 3 // made.shape[-1], -1)
        if max(size) > self.side:
            return resampled(square, *size, 3)
        return np.ascontiguousarray(square[self._crop(size)])

    def _make(self, z, labels: np.ndarray | None):
        """Pictures [batch, side, side, channels] in [-1, 1] of z, a tensor [batch, latent]."""
        import tensorflow as tf

        if labels is not None:
            z = tf.concat([z, tf.one_hot(labels, self.classes)], -1)
        made = self.published.networks["generator"](z)
        return 2.0 * made - 1.0 if self.published.decoding["unit"] else made

    def _crop(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """Where a picture stands in the square."""
        if max(size) > self.side:
            return slice(0, self.side), slice(0, self.side)
        top, left = ((self.side - length) // 2 for length in size)
        return slice(top, top + size[0]), slice(left, left + size[1])

    def _into_square(self, image: np.ndarray) -> np.ndarray:
        (height, width), channels = size_of(image), int(self.published.decoding["channels"])
        if max(height, width) > self.side:
            return resampled(image, self.side, self.side, channels)
        image = resampled(image, height, width, channels)
        pads = [(crop.start, self.side - crop.stop) for crop in self._crop((height, width))]
        return np.pad(image, [*pads, (0, 0)], "edge")
