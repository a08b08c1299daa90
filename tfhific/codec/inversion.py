"""Codec of `inversion` and `cgan`: the file is the z that a generator makes the picture from.

Tolunay and Ghalayini 2018 (see `tfhific.models.inversion`). The file's y section holds the levels
of z; its metadata entry `CODE` has two bytes, the bits k and the class plus one (0: no class).

A picture that fits into the generator's square is put into its middle, with its border repeated
outwards; a larger one is resampled to the square, and back when it is decoded.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfc_port import coding
from tfc_port.coding import Tables
from tfhific.bitstream import container
from tfhific.bitstream.container import Contents
from tfhific.codec.inversion_search import (
    MAX_BITS,
    Searcher,
    SearchOptions,
    from_levels,
    level_shares,
    make_loss,
    to_levels,
)
from tfhific.codec.whole_picture import WholePictureCodec, resampled
from tfhific.errors import BitstreamError, TfhificError
from tfhific.published.model import WholeModel, halved
from tfhific.published.network import Network
from tfhific.published.ops import Dense, Relu, Reshape, Sigmoid
from tfhific.publishing.fold import fold
from tfhific.publishing.publishable import folded_parts

_MOST_ENLARGED = 8
"""Larger pictures than so many times the generator's side are refused."""

_KEPT_SEARCHERS = 8
_LARGEST_SIDE = 4096


class InversionCodec(WholePictureCodec):
    """Compresses and decompresses pictures with one published generator."""

    needs = ("search", "label")

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._searchers: dict[tuple, Searcher] = {}

    def _fits(self) -> dict[str, bool]:
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
        return (_MOST_ENLARGED * self.side) ** 2

    def encode(
        self,
        image: np.ndarray,
        search: SearchOptions | None = None,
        label: int | None = None,
        **metadata: bytes | None,
    ) -> bytes:
        """The file's bytes.

        Args:
          image: uint8 [H, W, 3].
          search: how z is searched for; None for the defaults.
          label: the picture's class, where the generator takes one; None to try all of them.
          **metadata: `alpha`, `icc`, `exif`; bytes stored as they are.

        Raises:
          TfhificError: for a label that the generator doesn't have.
        """
        options = search or SearchOptions()
        levels, label, _ = self.invert(image, options, label)
        return self.pack(levels, options.bits, label, image.shape[:2], **metadata)

    def pack(
        self,
        levels: np.ndarray,
        bits: int,
        label: int | None,
        size: tuple[int, int],
        **metadata: bytes | None,
    ) -> bytes:
        """The file of a z, int32 [latent] levels of `bits` bits, for a picture of a size."""
        payload = self._payload(levels, bits)
        code = bytes([bits, 0 if label is None else label + 1])
        contents = Contents(self.fingerprint, *size, 0, b"", payload, code=code, **metadata)
        return container.pack(contents)

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
        labels = [label] if label is not None else list(range(self.classes)) or [None]
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
        crop = self._crop(image.shape[:2])
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

    def decode(self, contents: Contents) -> np.ndarray:
        """The picture of a file's contents, uint8 [H, W, 3].

        Raises:
          BitstreamError: when they don't fit this model.
        """
        levels, bits, label = self.decode_levels(contents)
        return self.picture_of(levels, bits, label, (contents.height, contents.width))

    def holds(self, data: bytes, image: np.ndarray) -> bool:
        """Whether a file decodes to a z, coded again to the same bytes, at the picture's size."""
        contents = self.unpack(data)
        levels, bits, _ = self.decode_levels(contents)
        same = self._payload(levels, bits) == contents.y
        return same and (contents.height, contents.width) == image.shape[:2]

    def decode_levels(self, data: bytes | Contents) -> tuple[np.ndarray, int, int | None]:
        """Levels int32 [latent] of a file's z, its bits, and its label or None.

        Raises:
          BitstreamError: as `decompress`.
        """
        contents = data if isinstance(data, Contents) else self.unpack(data)
        code = contents.code or b""
        if len(code) != 2 or not 1 <= code[0] <= MAX_BITS or contents.z or contents.y_streams > 1:
            raise BitstreamError("The file's entry on its code is missing or damaged.")
        bits, label = code[0], code[1] - 1 if code[1] else None
        if (label is None) != (self.classes == 0) or (label or 0) >= max(self.classes, 1):
            raise BitstreamError(f"The file has the class {label}, which {self.name} doesn't have.")
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
        starts = [(self.side - length) // 2 for length in size]
        return tuple(slice(start, start + length) for start, length in zip(starts, size))

    def _into_square(self, image: np.ndarray) -> np.ndarray:
        size, channels = image.shape[:2], int(self.published.decoding["channels"])
        if max(size) > self.side:
            return resampled(image, self.side, self.side, channels)
        image = resampled(image, *size, channels)
        pads = [(crop.start, self.side - crop.stop) for crop in self._crop(size)]
        return np.pad(image, [*pads, (0, 0)], "edge")


def z_tables(prior: str, counts: list[np.ndarray] | None = None) -> Tables:
    """A row for each number of bits from 1 to 8.

    Args:
      prior: `normal` or `uniform`.
      counts: for each number of bits, how often each level was found; None for the prior's own.
    """
    pmfs = []
    for bits in range(1, MAX_BITS + 1):
        shares = level_shares(prior, bits)
        if counts is not None:
            found = counts[bits - 1].astype(np.float64)
            # The prior is worth 16 values.
            shares = (found + 16.0 * shares) / (found.sum() + 16.0)
        pmfs.append(np.maximum(shares, 1e-4))
    return Tables.from_pmfs(pmfs, np.zeros(MAX_BITS, np.int32))


def publish_inversion(model, name: str, training: dict | None = None) -> WholeModel:
    """Folds a trained `Inversion` into a published model, z coded by its prior.

    Raises:
      ModelError: when a weight is not finite.
    """
    config = model.config
    networks = {part: halved(fold(getattr(model, part), part)) for part in folded_parts(model)}
    decoding = {
        "side": config.side,
        "channels": config.channels,
        "latent": config.latent,
        "classes": 0,
        "prior": "normal",
        "unit": False,
    }
    tables = {"z": z_tables("normal")}
    return WholeModel(name, "inversion", networks, tables, decoding, ("generator",), training or {})


def publish_cgan(model, name: str, training: dict | None = None) -> WholeModel:
    """A trained `CGAN`'s generator as a published model to be inverted.

    Its two first layers, of z and of the label, become one on both: blocks of a larger kernel.

    Raises:
      ModelError: when a weight is not finite.
    """
    config = model.config
    trained = model.generator
    of_noise, of_label = trained.of_noise, trained.of_label
    units = [of_noise.units, of_label.units]
    kernel = np.zeros([config.noise + config.classes, sum(units)], np.float32)
    kernel[: config.noise, : units[0]] = of_noise.kernel.numpy()
    kernel[config.noise :, units[0] :] = of_label.kernel.numpy()
    arrays = {
        "0": (kernel, np.concatenate([of_noise.bias.numpy(), of_label.bias.numpy()])),
        "1": (trained.joint.kernel.numpy(), trained.joint.bias.numpy()),
        "2": (trained.picture.kernel.numpy(), trained.picture.bias.numpy()),
    }
    weights, layers = {}, []
    for number, (kernel, bias) in arrays.items():
        weights[f"generator/{number}/kernel"], weights[f"generator/{number}/bias"] = kernel, bias
        layers.append(Dense.entry(name=f"generator/{number}"))
        layers.append((Sigmoid if number == "2" else Relu).entry())
    layers.append(Reshape.entry(shape=[config.side, config.side, 1]))
    decoding = {
        "side": config.side,
        "channels": 1,
        "latent": config.noise,
        "classes": config.classes,
        "prior": "uniform",
        "unit": True,
    }
    return WholeModel(
        name,
        "cgan",
        {"generator": halved(Network(layers, weights))},
        {"z": z_tables("uniform")},
        decoding,
        ("generator",),
        training or {},
    )


def with_counted_z(
    published: WholeModel, images: list[np.ndarray], options: SearchOptions
) -> WholeModel:
    """The same model with the probabilities of z's levels counted over pictures.

    Args:
      published: an `inversion` or `cgan`.
      images: uint8 [H, W, 3] each; z is searched for in all of them, at 8 bits.
      options: how.
    """
    codec = InversionCodec(published)
    options = dataclasses.replace(options, bits=MAX_BITS)
    found = np.stack([codec.invert(image, options)[0] for image in images])
    prior = published.decoding["prior"]
    values = from_levels(found, prior, MAX_BITS)
    counts = [
        np.bincount(to_levels(values, prior, bits).ravel(), minlength=2**bits)
        for bits in range(1, MAX_BITS + 1)
    ]
    return dataclasses.replace(published, tables={"z": z_tables(prior, counts)})
