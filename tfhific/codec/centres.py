"""Codec of `gc` and `sc`: a code of few centres, and what a generator makes of it.

Agustsson et al., ICCV 2019 (see `tfhific.models.extreme`). The file's y section is the code; z is
empty. Conditional models put the label map into the file, selective ones the kept region as well.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfc_port import coding
from tfhific.bitstream import label_map
from tfhific.bitstream.container import DEFAULT_MAX_PIXELS, Contents
from tfhific.bitstream.kept import blocks_of, read_kept
from tfhific.codec import centre_prior
from tfhific.codec.base import Codec
from tfhific.codec.encoded import Encoded
from tfhific.codec.noise import normal_noise
from tfhific.codec.sizes import size_of
from tfhific.errors import BitstreamError, ImageError, ModelError
from tfhific.pictures.resampling import mirrored
from tfhific.published.centres import nearest
from tfhific.published.code import CodeModel
from tfhific.published.model import PublishedModel
from tfhific.published.ops import Kernel
from tfhific.runtimes import choice

STRIDE = 16
MIN_LATENTS = 4
"""Latents a side at the least: instance normalisation makes nothing of a single one."""

NOISE_SPAN = 8
MEMORY = 4 << 30
"""Bytes that a network's largest layer may take, about."""


class CentresCodec(Codec):
    """Compresses and decompresses pictures with one published `gc` or `sc`."""

    MODEL = CodeModel
    IN_TILES = False
    RUNTIMES = choice.RUNTIMES
    published: CodeModel

    def __init__(
        self,
        published: CodeModel,
        coder: str | None = None,
        tile: int | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        precision: str = "float32",
        runtime: str = "auto",
    ) -> None:
        """Initializer: see `Codec`."""
        super().__init__(published, coder, tile, max_pixels, precision, runtime)
        self._networks_runtime = choice.make(self.runtime, precision)
        for network in published.networks.values():
            self._networks_runtime.check(network)

    @classmethod
    def runtime_for(
        cls, published: PublishedModel, wanted: str = choice.AUTO, precision: str = "float32"
    ) -> str:
        """See `Codec.runtime_for`; the lightest is TensorFlow where that is installed.

        A generator's transposed convolutions take LiteRT half as long again: on one picture that
        is more than TensorFlow takes to start.
        """
        wanted = choice.AUTO if wanted == choice.LIGHT else wanted
        return super().runtime_for(published, wanted, precision)

    @property
    def needs(self) -> tuple[str, ...]:
        """Names of what `encode` takes beside the picture."""
        maps = self.published.decoding["maps"]
        return {"sent": ("labels",), "selective": ("labels", "kept")}.get(maps, ())

    def _published_fits(self) -> dict[str, bool]:
        networks, tables = self.published.networks, self.published.tables["code"]
        decoding, count = self.published.decoding, len(self.centres)

        def after(name: str, channels: int) -> int:
            found = networks[name].channels_after(channels)
            if found is None:
                raise ModelError(f"{self.name}: the channels of its {name} can't be told.")
            return found

        inputs = self.channels
        if "features" in networks:
            inputs += after("features", self.classes)
        if "noise" in networks:
            inputs += after("noise", int(decoding["noise"]))
        rows = count + 1 if decoding["prior"] == "hyper" else 1
        strides = (networks[name].factor for name in ("encoder", "generator"))
        return {
            "centres": self.centres.ndim == 1 and count > 1 and np.isfinite(self.centres).all(),
            "prior": decoding["prior"] in centre_prior.PRIORS,
            "maps": ("features" in networks) == ("labels" in self.needs),
            "tables": tables.rows == self.channels * (rows**3 if rows > 1 else 1),
            "encoder": after("encoder", 3) == self.channels,
            "generator": after("generator", inputs) == 3,
            "strides": tuple(strides) == (STRIDE, 1 / STRIDE),
            "sizes": self.whole_pixels > 0,
        }

    @functools.cached_property
    def centres(self) -> np.ndarray:
        """float32 [L], the values of a symbol."""
        return np.array(self.published.decoding["centres"], np.float32)

    @property
    def classes(self) -> int:
        """Of label maps."""
        return int(self.published.decoding["classes"])

    @property
    def class_names(self) -> tuple[str, ...]:
        """Of the classes of label maps, where they have any."""
        return tuple(self.published.decoding["class_names"])

    @property
    def channels(self) -> int:
        """C, of the code."""
        return int(self.published.decoding["channels"])

    @functools.cached_property
    def whole_pixels(self) -> int:
        """The most pixels of a picture whose largest layer fits into memory."""
        width = max(
            next(op.widths[1] for op in network.ops if isinstance(op, Kernel))
            for name, network in self.published.networks.items()
            if name in ("encoder", "features")
        )
        # Four float32 copies of the widest layer at full resolution, one-hot labels and pixels.
        return MEMORY // (16 * width + 8 * self.classes + 64)

    def latent_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of a picture's code."""
        return max(-(-size[0] // STRIDE), MIN_LATENTS), max(-(-size[1] // STRIDE), MIN_LATENTS)

    def bound_bits(self, size: tuple[int, int], kept: np.ndarray | None = None) -> float:
        """C log2(L) bits for every latent that is coded: what a fixed-length code takes."""
        height, width = self.latent_size(size)
        count = height * width if kept is None else int(kept.sum())
        return count * self.channels * float(np.log2(len(self.centres)))

    def symbols_of(self, image: np.ndarray) -> np.ndarray:
        """Which centre each value of a picture's code is, int32 [h, w, C]."""
        rows, columns = self._extension(size_of(image))
        x = image[rows[:, None], columns[None, :]].astype(np.float32)
        x = x / np.float32(127.5) - np.float32(1.0)
        return nearest(self._run("encoder", x), self.centres)

    def _run(self, name: str, values: np.ndarray) -> np.ndarray:
        """What a network makes of float32 [height, width, channels], likewise."""
        return self._networks_runtime.run(self.published.networks[name], values[None])[0]

    def _extension(self, size: tuple[int, int]) -> list[np.ndarray]:
        return [mirrored(a, STRIDE * b) for a, b in zip(size, self.latent_size(size))]

    def _encode(self, image: np.ndarray, quality_code: int, side: Mapping[str, Any]) -> Encoded:
        """See `Codec`.

        Args:
          image: uint8 [H, W, 3].
          quality_code: 0.
          side: `labels`, integers [H, W], classes, where the model needs them; `kept`, the region
            to code, a `tfhific.bitstream.kept.Kept`, where it is selective.
        """
        size = size_of(image)
        labels, kept = side.get("labels"), side.get("kept")
        sections: dict[str, bytes] = {}
        for name, value in (("labels", labels), ("kept", kept)):
            if name in self.needs and value is None:
                flag = {"labels": "a label map (`labels`)", "kept": "a region to keep (`kept`)"}
                raise ImageError(f"{self.name} needs {flag[name]} beside the picture.")
        if labels is not None:
            labels = label_map.check_label_map(labels, size, self.classes)
            sections["labels"] = label_map.encode_label_map(labels, self.classes)
        shape = self.latent_size(size)
        blocks = np.ones(shape, np.bool_)
        if kept is not None:
            kept = kept.checked(size, self.classes)
            blocks = blocks_of(kept.pixels(labels), shape, STRIDE)
            sections["kept"] = kept.to_bytes()
        symbols = self.symbols_of(image)
        tables, streams = self.published.tables["code"], 1
        if self.published.decoding["prior"] == "hyper":
            payload = centre_prior.encode_context(symbols, blocks, tables, len(self.centres))
        else:
            payload, streams = centre_prior.encode_static(symbols, blocks, tables, self._coder)
        contents = Contents(
            self.fingerprint,
            *size,
            quality_code=0,
            z=b"",
            y=payload,
            y_streams=streams,
            labels=sections.get("labels"),
            kept=sections.get("kept"),
        )
        return Encoded(contents, symbols * blocks[..., None])

    def _encode_again(self, contents: Contents, image: np.ndarray) -> Encoded:
        side: dict[str, Any] = {}
        if "labels" in self.needs:
            side["labels"] = self.labels_of(contents)
        self.kept_places(contents, side.get("labels"))
        if contents.kept is not None:
            size = contents.size
            side["kept"] = read_kept(contents.kept, size, self.classes)
        return self._encode(image, 0, side)

    def decode_symbols(self, data: bytes) -> np.ndarray:
        """What the entropy decoder makes of a file: int32 [h, w, C], 0 where nothing is kept.

        Raises:
          BitstreamError: as `decompress`.
        """
        return self.decode_code(self.unpack(data))

    def decode_code(self, contents: Contents) -> np.ndarray:
        """See `Codec.decode_code`, and `decode_symbols`."""
        return self._decode_symbols(contents, self.kept_places(contents, self.labels_of(contents)))

    def decode_labels(self, data: bytes) -> np.ndarray | None:
        """The label map in a file, uint8 [H, W], or None where the model has none.

        Raises:
          BitstreamError: as `decompress`.
        """
        return self.labels_of(self.unpack(data))

    def reconstruct(self, encoded: Encoded) -> np.ndarray:
        """See `Codec.reconstruct`; the code is symbols."""
        labels = self.labels_of(encoded.contents)
        blocks = self.kept_places(encoded.contents, labels)
        return self.generate(encoded.code, blocks, labels, encoded.size)

    def generate(
        self,
        symbols: np.ndarray,
        blocks: np.ndarray,
        labels: np.ndarray | None,
        size: tuple[int, int],
    ) -> np.ndarray:
        """What the generator makes of a code, uint8 [H, W, 3].

        Args:
          symbols: int32 [h, w, C].
          blocks: bool [h, w], which of them are kept.
          labels: uint8 [H, W], or None where the model needs none.
          size: H and W.
        """
        networks = self.published.networks
        joined = [(self.centres[symbols] * blocks[..., None]).astype(np.float32)]
        if "features" in networks and labels is not None:
            rows, columns = self._extension(size)
            extended = labels[rows[:, None], columns[None, :], None]
            joined.append(
                self._run("features", (extended == np.arange(self.classes)).astype(np.float32))
            )
        if "noise" in networks:
            grid = [-(-side // NOISE_SPAN) for side in blocks.shape]
            values = normal_noise((*grid, int(self.published.decoding["noise"])), 0)
            spread = self._run("noise", values)
            joined.append(spread[: blocks.shape[0], : blocks.shape[1]])
        made = self._run("generator", np.concatenate(joined, -1))[: size[0], : size[1]]
        scaled = np.rint((made + np.float32(1.0)) * np.float32(127.5))
        return np.clip(scaled, 0.0, 255.0).astype(np.uint8)

    def labels_of(self, contents: Contents) -> np.ndarray | None:
        """The label map in a file's contents; see `decode_labels`."""
        needed = "labels" in self.needs
        if needed != (contents.labels is not None):
            raise BitstreamError(
                f"The file has {'no' if needed else 'a'} label map; {self.name} "
                f"{'needs one' if needed else 'has no use for one'}."
            )
        if contents.labels is None:
            return None
        size = contents.size
        return label_map.decode_label_map(contents.labels, size, self.classes)

    def kept_places(self, contents: Contents, labels: np.ndarray | None) -> np.ndarray:
        """Which places of the code a file's contents hold, bool [h, w].

        Args:
          contents: of a file.
          labels: `labels_of` it.

        Raises:
          BitstreamError: when they don't fit this model.
        """
        size = contents.size
        needed = "kept" in self.needs
        if needed != (contents.kept is not None):
            raise BitstreamError(
                f"The file has {'no' if needed else 'a'} kept region, as of selective compression; "
                f"{self.name} ({self.published.system}) "
                f"{'needs one' if needed else 'codes whole pictures'}."
            )
        shape = self.latent_size(size)
        if contents.kept is None or labels is None:
            return np.ones(shape, np.bool_)
        kept = read_kept(contents.kept, size, self.classes)
        return blocks_of(kept.pixels(labels), shape, STRIDE)

    def unpack(self, data: bytes) -> Contents:
        """See `Codec.unpack`; without a kept region the code is looked at as well."""
        contents = super().unpack(data)
        if "kept" not in self.needs:
            height, width = self.latent_size(contents.size)
            self._check_code(contents, height * width)
        return contents

    def _check_code(self, contents: Contents, positions: int) -> None:
        """Refuses what can't be the code of so many latents, before anything is decoded."""
        if contents.z:
            raise BitstreamError(f"The file has hyperlatents; {self.name} has none.")
        # No symbol takes less than its row's most probable one.
        if 8 * (len(contents.y) + 4 * contents.y_streams) < self.least_bits * positions:
            raise BitstreamError(
                f"The file claims a picture of {contents.width}x{contents.height} pixels, which "
                f"its {len(contents.y)} bytes of code can't hold."
            )
        if self.published.decoding["prior"] == "hyper":
            return
        try:
            coding.check(contents.y, positions * self.channels, streams=contents.y_streams)
        except coding.CodingError as error:
            raise BitstreamError(f"The file's code can't be decoded: {error}") from None

    def _decode_symbols(self, contents: Contents, blocks: np.ndarray) -> np.ndarray:
        self._check_code(contents, int(blocks.sum()))
        tables, count = self.published.tables["code"], len(self.centres)
        try:
            if self.published.decoding["prior"] == "hyper":
                symbols = centre_prior.decode_context(contents.y, blocks, tables, count)
            else:
                symbols = centre_prior.decode_static(
                    contents.y, blocks, tables, contents.y_streams, self._coder
                )
        except coding.CodingError as error:
            raise BitstreamError(f"The file's code can't be decoded: {error}") from None
        if symbols.size and (int(symbols.min()) < 0 or int(symbols.max()) >= count):
            raise BitstreamError(
                f"The file's code has a symbol beyond the model's {count} centres."
            )
        return symbols

    @functools.cached_property
    def least_bits(self) -> float:
        """Bits that one latent takes at the least, over all channels."""
        tables = self.published.tables["code"]
        peaks = [np.diff(tables.cdf(row)).max() / 65536.0 for row in range(tables.rows)]
        by_channel = np.array(peaks).reshape(self.channels, -1).max(1)
        return float(-np.log2(np.minimum(by_channel, 1.0)).sum())
