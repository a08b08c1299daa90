"""The networks of a published model on pictures and latents of any size."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from tfhific.bitstream import container
from tfhific.codec.sizes import size_of
from tfhific.errors import ArgumentError
from tfhific.published.checkerboard import FEATURES, NEAR
from tfhific.published.hyperprior import HyperpriorModel
from tfhific.published.network import Network
from tfhific.runtimes import choice, tiling
from tfhific.runtimes.symbols import to_symbols
from tfhific.runtimes.tiling import Geometry

WHOLE_PIXELS = 6_000_000
"""Pictures up to this size are transformed whole, unless a tile size is asked for."""

DEFAULT_TILE = 2048
LARGEST_TENSOR = 1 << 25
"""Tiles are so small that no tensor of a network has more values than about this."""

PRECISIONS = ("float32", "bfloat16")


class Transforms:
    """Runs a model's networks, in tiles where a picture is large.

    Attributes:
      model: the published model.
      stride: pixels per latent.
      hyper_stride: latents per hyperlatent.
    """

    def __init__(
        self,
        model: HyperpriorModel,
        tile: int | None = None,
        precision: str = "float32",
        runtime: str = "tensorflow",
    ) -> None:
        """Initializer.

        Args:
          model: the published model.
          tile: side of the tiles in pixels; None to choose by the picture's size.
          precision: of the picture networks (analysis and synthesis), `float32` or `bfloat16`.
            What a stream depends on is never computed in anything less than float32.
          runtime: what runs the networks, `tensorflow` or `litert`.

        Raises:
          ArgumentError: when `tile` is smaller than one hyperlatent's pixels, or for another
            precision.
          ModelError: for a network that the runtime can't run.
        """
        if precision not in PRECISIONS:
            raise ArgumentError(
                f"Expected a precision among {', '.join(PRECISIONS)}. Received: {precision!r}."
            )
        self._runtime = choice.make(runtime, precision)
        self.model = model
        for network in model.networks.values():
            self._runtime.check(network)
        self.stride = self._geometry("analysis").down
        self.hyper_stride = self._geometry("hyper_analysis").down
        smallest = self.stride * self.hyper_stride
        if tile is not None and tile < smallest:
            raise ArgumentError(f"Expected tiles of at least {smallest} pixels. Received: {tile}.")
        self._tile = tile

    @functools.lru_cache(maxsize=8)  # noqa: B019 (as many entries as networks)
    def _geometry(self, name: str) -> Geometry:
        network = self.model.branch if name == "branch" else self.model.networks[name]
        return Geometry.of(network)

    def latent_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of a picture's latents."""
        rows, columns = (max(-(-s // self.stride), self.model.min_latents) for s in size)
        return rows, columns

    def hyper_size(self, latent_size: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns of the hyperlatents of so many latents."""
        return -(-latent_size[0] // self.hyper_stride), -(-latent_size[1] // self.hyper_stride)

    def _tile_of(self, latent_size: tuple[int, int]) -> int:
        """Side of the tiles in pixels, a multiple of one hyperlatent's."""
        if self._tile is not None:
            unit = self.stride * self.hyper_stride
            return self._tile // unit * unit
        pixels = latent_size[0] * latent_size[1] * self.stride**2
        return DEFAULT_TILE if pixels > WHOLE_PIXELS else 1 << 30

    def _fitting(self, geometry: Geometry, positions: int, tile: int) -> int:
        """Side of a network's tiles in its input positions: `tile`, or what memory allows."""
        if self._tile is not None or positions * geometry.floats <= LARGEST_TENSOR:
            return tile
        return min(tile, geometry.side(LARGEST_TENSOR))

    def analyse(self, image: np.ndarray, quality_code: int) -> np.ndarray:
        """Latents of a picture, scaled for a quality.

        Args:
          image: uint8 [H, W, 3].
          quality_code: see `tfhific.bitstream.container`.

        Returns:
          float32 [ceil(H / stride), ceil(W / stride), latent channels].
        """
        network = self.model.networks["analysis"]
        least = self.model.min_latents * self.stride
        rows, columns = (tiling.extension(side, self.stride, least) for side in size_of(image))
        low, high = self.model.pixel_range
        gain = self.gain(self.model.log_gain, quality_code)
        height, width = self.latent_size(size_of(image))
        y = np.empty([height, width, len(gain)], np.float32)

        def read(down: slice, across: slice) -> np.ndarray:
            return image[rows[down][:, None], columns[across][None, :]]

        for region, values in tiling.run(
            lambda pixels: self._runtime.analyse(network, pixels, low, high),
            self._geometry("analysis"),
            read,
            (len(rows), len(columns)),
            self._fitting(
                self._geometry("analysis"),
                len(rows) * len(columns),
                self._tile_of((height, width)),
            ),
        ):
            np.multiply(values, gain, out=y[region])
        return y

    def hyper_analyse(self, y: np.ndarray) -> np.ndarray:
        """Hyperlatents of scaled latents.

        Args:
          y: float32 [h, w, latent channels].

        Returns:
          int32 [ceil(h / hyper stride), ceil(w / hyper stride), hyperlatent channels].
        """
        network = self.model.networks["hyper_analysis"]
        rows, columns = (tiling.extension(side, self.hyper_stride) for side in size_of(y))
        z = np.empty([*self.hyper_size(size_of(y)), self.model.z_tables.rows], np.int32)
        for region, values in tiling.run(
            lambda values: self._runtime.run(network, values),
            self._geometry("hyper_analysis"),
            lambda down, across: y[rows[down][:, None], columns[across][None, :]],
            (len(rows), len(columns)),
            self._fitting(
                self._geometry("hyper_analysis"),
                len(rows) * len(columns),
                max(self._tile_of(size_of(y)) // self.stride, 1),
            ),
        ):
            z[region] = to_symbols(values)
        return z

    def indexes(self, z: np.ndarray, band: slice, width: int) -> np.ndarray:
        """Scale indexes of a band of latent rows.

        Args:
          z: int32 [., ., hyperlatent channels], all of them.
          band: rows of latents; its start is a multiple of the hyper stride.
          width: columns of latents.

        Returns:
          int32 [rows of the band, width, latent channels].
        """
        branch = self.model.branch
        return self._over_band(
            lambda values: self._runtime.indexes(branch, values),
            "branch",
            z,
            band,
            width,
            np.int32,
        )

    def quantise(
        self,
        y: np.ndarray,
        z: np.ndarray,
        band: slice,
        nearest: bool = False,
        indexes: np.ndarray | None = None,
    ) -> np.ndarray:
        """Symbols of a band of latent rows; what a decoder will have is put in the rows' place.

        Args:
          y: float32 [h, w, latent channels]; the rows before the band are quantised already.
          z: int32 [., ., hyperlatent channels], all of them.
          band: see `indexes`.
          nearest: whether the model's dead zone is passed over: for latents that are chosen.
          indexes: of the band's scales, where they are at hand.

        Returns:
          int32 [rows of the band, w, latent channels].
        """
        if self.model.checkerboard:
            region = self._around(band, len(y))
            known = indexes if region == band else None
            dead_zone = None if nearest else self._dead_zone(z, region, y.shape[1], known)
            return self._settle(y, z, band, symbols=False, dead_zone=dead_zone)
        mean = self._means(z, band, y.shape[1])
        dead_zone = None if nearest else self._dead_zone(z, band, y.shape[1], indexes)
        symbols = to_symbols(y[band] - mean, dead_zone)
        np.add(symbols, mean, out=y[band], dtype=np.float32)
        return symbols

    def dequantise(self, y: np.ndarray, z: np.ndarray, band: slice) -> None:
        """Decoded latents in the place of a band's symbols.

        Args:
          y: float32 [h, w, latent channels]; the rows before the band are decoded already, those
            from it on are symbols.
          z: int32 [., ., hyperlatent channels], all of them.
          band: see `indexes`.
        """
        if self.model.checkerboard:
            self._settle(y, z, band, symbols=True)
        else:
            y[band] += self._means(z, band, y.shape[1])

    def _around(self, band: slice, height: int) -> slice:
        """Rows of latents that both passes over a band's checkerboard see."""
        margin = self._geometry(NEAR).margin(self.hyper_stride)
        return slice(max(band.start - margin, 0), min(band.stop + margin, height))

    def _dead_zone(
        self, z: np.ndarray, rows: slice, width: int, indexes: np.ndarray | None
    ) -> np.ndarray | None:
        """Of some rows of latents, float32 [rows, width, channels]; None where there is none."""
        of_row = self.model.dead_zone
        if of_row is None:
            return None
        return of_row[self.indexes(z, rows, width) if indexes is None else indexes]

    def _settle(
        self,
        y: np.ndarray,
        z: np.ndarray,
        band: slice,
        symbols: bool,
        dead_zone: np.ndarray | None = None,
    ) -> np.ndarray:
        region = self._around(band, len(y))
        settled = self._runtime.settle(
            self.model.networks,
            self._of_hyperlatents(FEATURES, z, region, y.shape[1]),
            y[region],
            region.start,
            band.start - region.start,
            symbols,
            dead_zone,
        )
        own = slice(band.start - region.start, band.stop - region.start)
        y[band] = settled.values[own]
        return settled.symbols[own]

    def _means(self, z: np.ndarray, band: slice, width: int) -> np.ndarray:
        return self._of_hyperlatents("hyper_synthesis_mean", z, band, width)

    def _of_hyperlatents(self, name: str, z: np.ndarray, band: slice, width: int) -> np.ndarray:
        """What a float network makes of the hyperlatents, for a band of latent rows."""
        network = self.model.networks[name]
        return self._over_band(
            lambda values: self._runtime.run(network, values.astype(np.float32)),
            name,
            z,
            band,
            width,
            np.float32,
        )

    def scale_indexes(self, z: np.ndarray, band: slice, width: int) -> np.ndarray:
        """Real scale indexes by the trained float network where `indexes` gives integers.

        float, not bounded to the range of the tables where the network gives indexes. Nothing
        that is coded may depend on them.
        """
        model, raw = self.model, self.float_scales(z, band, width)
        if model.scale_kind == "index":
            return model.scale_gain * raw + model.scale_centre
        logs = np.log(model.scales)
        return np.interp(np.log(np.maximum(raw, model.scales[0])), logs, np.arange(len(logs)))

    def float_scales(self, z: np.ndarray, band: slice, width: int) -> np.ndarray:
        """What the trained float network gives where `indexes` gives integers, as float32.

        `HyperpriorModel.float_scales` makes scales of it. Nothing that is coded may depend on it.
        """
        return self._of_hyperlatents("hyper_synthesis_scale", z, band, width)

    def _over_band(self, network, name, z, band, width, dtype) -> np.ndarray:
        factor = self.hyper_stride
        rows = slice(band.start // factor, -(-band.stop // factor))
        height = (rows.stop - rows.start) * factor
        out = np.empty(0, dtype)
        for (down, across), values in tiling.run(
            network,
            self._geometry(name),
            lambda down, across: z[down, across],
            size_of(z),
            self._fitting(
                self._geometry(name),
                (rows.stop - rows.start) * z.shape[1],
                max(self._tile_of((z.shape[0] * factor, width)) // (self.stride * factor), 1),
            ),
            rows,
        ):
            if not out.size:
                out = np.empty([height, z.shape[1] * factor, values.shape[-1]], dtype)
            first = rows.start * factor
            out[down.start - first : down.stop - first, across] = values
        return np.ascontiguousarray(out[: band.stop - band.start, :width])

    def synthesise(self, y_hat: np.ndarray, quality_code: int, size: tuple[int, int]) -> np.ndarray:
        """The picture of decoded latents.

        Args:
          y_hat: float32 [h, w, latent channels], symbols plus means.
          quality_code: see `tfhific.bitstream.container`.
          size: the picture's height and width.

        Returns:
          uint8 [H, W, 3].
        """
        gain = self.gain(self.model.log_inverse_gain, quality_code)
        picture = np.empty([*size, 3], np.uint8)
        low, high = self.model.pixel_range
        coarse, fine = self._stages
        side = max(self._tile_of(size_of(y_hat)) // self.stride, 1)

        def pixels(values: np.ndarray) -> np.ndarray:
            return self._runtime.synthesise(fine, values, low, high)

        def transform(latents: np.ndarray) -> np.ndarray:
            values = latents * gain
            if coarse is not None:
                values = self._runtime.run_picture(coarse, values)
            tile = self._fitting(self._fine, values.shape[1] * values.shape[2], side)
            return tiling.assemble(pixels, self._fine, values[0], tile)[None]

        whole = self._geometry("synthesis")
        largest = whole if coarse is None else Geometry.of(coarse)
        largest = dataclasses.replace(largest, reach=whole.reach)
        for region, values in tiling.run(
            transform,
            whole,
            lambda down, across: y_hat[down, across],
            size_of(y_hat),
            self._fitting(largest, y_hat.shape[0] * y_hat.shape[1], side),
        ):
            target = picture[region]
            target[...] = values[: target.shape[0], : target.shape[1]]
        return picture

    @functools.cached_property
    def _stages(self) -> tuple[Network | None, Network]:
        return stages(self.model.networks["synthesis"])

    @functools.cached_property
    def _fine(self) -> Geometry:
        return Geometry.of(self._stages[1])

    @staticmethod
    def gain(table: np.ndarray, quality_code: int) -> np.ndarray:
        """Gains of a quality, interpolated between the logarithms of two whole ones.

        Args:
          table: float32 [qualities, channels], logarithms.
          quality_code: see `tfhific.bitstream.container`.

        Returns:
          float32 [channels].
        """
        position = quality_code / container.QUALITY_STEPS
        below = min(int(position), len(table) - 2)
        share = np.float32(position - below)
        logarithm = table[below] + share * (table[below + 1] - table[below])
        # Exponential functions differ in their last bits. In double precision that is rounded away,
        # and a SavedModel's gains are these.
        return np.exp(logarithm.astype(np.float64)).astype(np.float32)


def stages(network: Network) -> tuple[Network | None, Network]:
    """A synthesis transform's layers at the latents' resolution, and those from there on.

    Most of the arithmetic may be in the first while the second has the largest tensors: in
    tiles of one size, either would be too small for the one or too large for the other.
    """
    first = next((i for i, op in enumerate(network.ops) if op.factor != 1), 0)
    return (network.part(0, first), network.part(first)) if first else (None, network)
