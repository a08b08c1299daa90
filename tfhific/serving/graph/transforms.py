"""A published model's networks in a graph: what `tfhific.codec.transforms` does, op for op.

Pictures are cut into the same tiles and bands as there, so that convolutions see the same arrays.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import tensorflow as tf

from tfhific.bitstream import container
from tfhific.codec import transforms
from tfhific.published.checkerboard import FEATURES, NEAR, NETWORKS
from tfhific.published.hyperprior import HyperpriorModel
from tfhific.runtimes import checkerboard
from tfhific.runtimes.symbols import rounded
from tfhific.runtimes.tiling import Geometry

_WHOLE = 1 << 30


class GraphTransforms(tf.Module):
    """Runs a model's networks on pictures of any size.

    Kernels are variables: a constant would be copied into every signature, and a large model would
    not fit into a graph at all.

    Attributes:
      model: the published model.
      stride: pixels per latent.
      hyper_stride: latents per hyperlatent.
      channels: of the latents.
    """

    def __init__(self, model: HyperpriorModel) -> None:
        super().__init__(name="transforms")
        self.model = model
        self._geometries = {name: Geometry.of(net) for name, net in model.networks.items()}
        self._geometries["branch"] = Geometry.of(model.branch)
        self.stride = self._geometries["analysis"].down
        self.hyper_stride = self._geometries["hyper_analysis"].down
        self.channels = model.log_gain.shape[-1]
        # The float network of the scales is for estimates alone.
        used = [name for name in model.networks if name != "hyper_synthesis_scale"]
        self._arrays = {
            name: {
                key: tf.Variable(value, trainable=False, name=key.replace("/", "_"))
                for key, value in model.networks[name].weights.items()
            }
            for name in used
        }
        self._kernels = [
            tf.Variable(layer.kernel, trainable=False, name="kernel")
            for layer in model.branch.layers
        ]
        self._gains = {
            "analysis": tf.Variable(model.log_gain, trainable=False, name="log_gain"),
            "synthesis": tf.Variable(model.log_inverse_gain, trainable=False, name="log_inverse"),
        }

    def _network(self, name: str) -> Callable[[tf.Tensor], tf.Tensor]:
        return self.model.networks[name].over(self._arrays[name])

    def latent_size(self, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Rows and columns of a picture's latents."""
        least = self.model.min_latents
        return tuple(tf.maximum(-(-side // self.stride), least) for side in (height, width))

    def hyper_size(self, height: tf.Tensor, width: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Rows and columns of the hyperlatents of so many latents."""
        return -(-height // self.hyper_stride), -(-width // self.hyper_stride)

    def _tile(self, height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
        """Side of the tiles in pixels, for so many latents."""
        pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64) * self.stride**2
        return tf.where(pixels > transforms.WHOLE_PIXELS, transforms.DEFAULT_TILE, _WHOLE)

    def _fitting(self, geometry: Geometry, positions: tf.Tensor, tile: tf.Tensor) -> tf.Tensor:
        """Side of a network's tiles: see `Transforms._fitting`."""
        side = geometry.side(transforms.LARGEST_TENSOR)
        values = tf.cast(positions, tf.float64) * geometry.floats
        return tf.where(values <= transforms.LARGEST_TENSOR, tile, tf.minimum(tile, side))

    def analyse(self, image: tf.Tensor, quality_code: tf.Tensor) -> tf.Tensor:
        """Latents, scaled for a quality: float32 [h, w, channels], of uint8 [H, W, 3]."""
        network = self._network("analysis")
        size = tf.shape(image)
        least = self.model.min_latents * self.stride
        rows, columns = (_extension(size[axis], self.stride, least) for axis in range(2))
        gain = self.gain("analysis", quality_code)
        # The values themselves and not their formula: a graph's optimiser would multiply where an
        # eager program divides.
        low, high = self.model.pixel_range
        levels = np.arange(256, dtype=np.float32) / np.float32(255)
        levels = tf.constant(levels * np.float32(high - low) + np.float32(low))

        def transform(pixels):
            return network(tf.gather(levels, tf.cast(pixels, tf.int32))) * gain

        return _tiled(
            transform,
            self._geometries["analysis"],
            lambda down, across: tf.gather(
                tf.gather(image, rows[down[0] : down[1]]), columns[across[0] : across[1]], axis=1
            ),
            (tf.size(rows), tf.size(columns)),
            self._fitting(
                self._geometries["analysis"],
                tf.size(rows, tf.int64) * tf.size(columns, tf.int64),
                self._tile(*self.latent_size(size[0], size[1])),
            ),
            (self.channels, tf.float32),
        )

    def hyper_analyse(self, y: tf.Tensor) -> tf.Tensor:
        """Hyperlatents, int32, of scaled latents, float32 [h, w, channels]."""
        network = self._network("hyper_analysis")
        size = tf.shape(y)
        rows = _extension(size[0], self.hyper_stride)
        columns = _extension(size[1], self.hyper_stride)
        return _tiled(
            lambda values: tf.cast(rounded(network(values)), tf.int32),
            self._geometries["hyper_analysis"],
            lambda down, across: tf.gather(
                tf.gather(y, rows[down[0] : down[1]]), columns[across[0] : across[1]], axis=1
            ),
            (tf.size(rows), tf.size(columns)),
            self._fitting(
                self._geometries["hyper_analysis"],
                tf.size(rows, tf.int64) * tf.size(columns, tf.int64),
                self._tile(size[0], size[1]) // self.stride,
            ),
            (self.model.z_tables.rows, tf.int32),
        )

    def indexes(
        self, z: tf.Tensor, top: tf.Tensor, bottom: tf.Tensor, width: tf.Tensor
    ) -> tf.Tensor:
        """Scale indexes of the latents' rows top..bottom: int32 [rows, width, channels]."""
        return self._over_band(
            lambda values: self.model.branch.indexes(values, self._kernels),
            "branch",
            z,
            (top, bottom),
            width,
            (self.channels, tf.int32),
        )

    def _dead_zone(self, indexes: tf.Tensor | None) -> tf.Tensor | None:
        """Of latents by their scale indexes, float32; None where there is none."""
        of_row = self.model.dead_zone
        return None if of_row is None else tf.gather(tf.constant(of_row), indexes)

    def _means(
        self, z: tf.Tensor, top: tf.Tensor, bottom: tf.Tensor, width: tf.Tensor
    ) -> tf.Tensor:
        mean = self._network("hyper_synthesis_mean")
        return self._over_band(
            lambda values: mean(tf.cast(values, tf.float32)),
            "hyper_synthesis_mean",
            z,
            (top, bottom),
            width,
            (self.channels, tf.float32),
        )

    def _over_band(self, network, name: str, z, band, width, output) -> tf.Tensor:
        """A network over the hyperlatents of a band (top, bottom): [bottom - top, width, .]."""
        top, bottom = band
        factor = self.hyper_stride
        size = tf.shape(z)
        first, last = top // factor, -(-bottom // factor)
        out = _tiled(
            network,
            self._geometries[name],
            lambda down, across: z[down[0] : down[1], across[0] : across[1]],
            (size[0], size[1]),
            self._fitting(
                self._geometries[name],
                tf.cast(last - first, tf.int64) * tf.cast(size[1], tf.int64),
                tf.maximum(self._tile(size[0] * factor, width) // (self.stride * factor), 1),
            ),
            output,
            (first, last),
        )
        return out[: bottom - top, :width]

    def settle(
        self,
        y: tf.Tensor,
        z: tf.Tensor,
        top: tf.Tensor,
        bottom: tf.Tensor,
        indexes: tf.Tensor | None = None,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Symbols, int32, and decoded latents, float32, of the latents' rows top..bottom.

        Each is [bottom - top, width, channels]. See `Transforms.quantise` and `dequantise`.

        Args:
          y: float32 [h, w, channels]; what is before the rows is decoded already.
          z: int32, all of the hyperlatents.
          top: a multiple of the hyper stride.
          bottom: one too, or the height.
          indexes: scale indexes of the rows, where `y` holds latents from `top` on; None where it
            holds symbols.
        """
        width = tf.shape(y)[1]
        if not self.model.checkerboard:
            mean = self._means(z, top, bottom, width)
            found = y[top:bottom]
            if indexes is not None:
                found = rounded(found - mean, self._dead_zone(indexes))
            return tf.cast(found, tf.int32), found + mean
        margin = self._geometries[NEAR].margin(self.hyper_stride)
        start, stop = tf.maximum(top - margin, 0), tf.minimum(bottom + margin, tf.shape(y)[0])
        features = self._network(FEATURES)
        values = self._over_band(
            lambda values: features(tf.cast(values, tf.float32)),
            FEATURES,
            z,
            (start, stop),
            width,
            (self.model.networks[FEATURES].channels_after(), tf.float32),
        )
        networks = {name: self._network(name) for name in NETWORKS}
        dead_zone = None
        if indexes is not None and self.model.dead_zone is not None:
            whole = tf.logical_and(tf.equal(start, top), tf.equal(stop, bottom))
            dead_zone = self._dead_zone(
                tf.cond(whole, lambda: indexes, lambda: self.indexes(z, start, stop, width))
            )
        symbols = indexes is None
        settled = checkerboard.settle(
            networks, values, y[start:stop], start, top - start, symbols, dead_zone
        )
        own = slice(top - start, bottom - start)
        return tf.cast(settled.symbols[own], tf.int32), settled.values[own]

    def synthesise(
        self, y_hat: tf.Tensor, quality_code: tf.Tensor, height: tf.Tensor, width: tf.Tensor
    ) -> tf.Tensor:
        """The picture, uint8 [H, W, 3], of decoded latents, float32 [h, w, channels]."""
        gain = self.gain("synthesis", quality_code)
        size = tf.shape(y_hat)
        low, high = self.model.pixel_range
        coarse, fine = transforms.stages(self.model.networks["synthesis"])
        whole, fine_geometry = self._geometries["synthesis"], Geometry.of(fine)
        largest = whole if coarse is None else Geometry.of(coarse)
        largest = dataclasses.replace(largest, reach=whole.reach)
        arrays = self._arrays["synthesis"]
        fine, coarse = fine.over(arrays), None if coarse is None else coarse.over(arrays)
        side = tf.maximum(self._tile(size[0], size[1]) // self.stride, 1)

        def positions(of: tf.Tensor) -> tf.Tensor:
            return tf.reduce_prod(tf.cast(of, tf.int64))

        def pixels(values):
            scaled = (fine(values) - low) / (high - low) * 255.0
            return tf.saturate_cast(tf.round(scaled), tf.uint8)

        def transform(latents):
            values = latents * gain
            values = (values if coarse is None else coarse(values))[0]
            inner = tf.shape(values)
            return _tiled(
                pixels,
                fine_geometry,
                lambda down, across: values[down[0] : down[1], across[0] : across[1]],
                (inner[0], inner[1]),
                self._fitting(fine_geometry, positions(inner[:2]), side),
                (3, tf.uint8),
            )[None]

        picture = _tiled(
            transform,
            self._geometries["synthesis"],
            lambda down, across: y_hat[down[0] : down[1], across[0] : across[1]],
            (size[0], size[1]),
            self._fitting(largest, positions(size[:2]), side),
            (3, tf.uint8),
        )
        return picture[:height, :width]

    def gain(self, network: str, quality_code: tf.Tensor) -> tf.Tensor:
        """Gains of a quality, float32 [channels]: see `Transforms.gain`."""
        table = tf.convert_to_tensor(self._gains[network])
        below = tf.minimum(quality_code // container.QUALITY_STEPS, table.shape[0] - 2)
        # A power of two divides exactly.
        share = tf.cast(quality_code - below * container.QUALITY_STEPS, tf.float32)
        share *= 1.0 / container.QUALITY_STEPS
        lower, upper = tf.gather(table, below), tf.gather(table, below + 1)
        logarithm = lower + share * (upper - lower)
        return tf.cast(tf.exp(tf.cast(logarithm, tf.float64)), tf.float32)


def _extension(size: tf.Tensor, multiple: int, least: int = 0) -> tf.Tensor:
    """Which positions an axis is extended to: see `tiling.extension`."""
    missing = tf.maximum(tf.math.floormod(-size, multiple), least - size)
    index = tf.range(size + missing)
    reflected = tf.where(index < size, index, 2 * (size - 1) - index)
    return tf.where(missing < size, reflected, tf.minimum(index, size - 1))


def _tiled(
    network: Callable[[tf.Tensor], tf.Tensor],
    geometry: Geometry,
    read: Callable[[tuple, tuple], tf.Tensor],
    size: tuple[tf.Tensor, tf.Tensor],
    tile: tf.Tensor,
    output: tuple[int, tf.DType],
    rows: tuple[tf.Tensor, tf.Tensor] | None = None,
) -> tf.Tensor:
    """Runs a network in pieces: `tiling.run`, its regions put together.

    Args:
      network: takes [1, h, w, channels] and gives [1, h', w', channels'].
      geometry: of that network.
      read: the input's region of rows and columns, each (begin, end).
      size: the input's height and width.
      tile: positions a side.
      output: channels and dtype of what the network gives.
      rows: only for these rows of the input, (begin, end).

    Returns:
      [h', w', channels'].
    """
    down, up, reach = geometry.down, geometry.up, geometry.reach
    tile = tf.maximum(tile // down, 1) * down
    first_row, last_row = rows or (tf.constant(0), size[0])

    def cut(start, stop, length):
        first, last = tf.maximum(start - reach, 0), tf.minimum(stop + reach, length)
        return (first, last), (start - first) * up // down, (stop - first) * up // down

    def row_of_tiles(top, whole):
        region_down, keep_top, keep_bottom = cut(top, tf.minimum(top + tile, last_row), size[0])

        def one_tile(left, strip):
            stop = tf.minimum(left + tile, size[1])
            region_across, keep_left, keep_right = cut(left, stop, size[1])
            values = network(read(region_down, region_across)[None])[0]
            values = values[keep_top:keep_bottom, keep_left:keep_right]
            return stop, tf.concat([strip, values], axis=1)

        empty = tf.zeros([keep_bottom - keep_top, 0, output[0]], output[1])
        _, strip = tf.while_loop(
            lambda left, _: left < size[1],
            one_tile,
            (tf.constant(0), empty),
            shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None, output[0]])),
            parallel_iterations=1,
        )
        whole = tf.cond(
            tf.size(whole) > 0, lambda: tf.concat([whole, strip], axis=0), lambda: strip
        )
        return tf.minimum(top + tile, last_row), whole

    _, whole = tf.while_loop(
        lambda top, _: top < last_row,
        row_of_tiles,
        (first_row, tf.zeros([0, 0, output[0]], output[1])),
        shape_invariants=(tf.TensorShape([]), tf.TensorShape([None, None, output[0]])),
        parallel_iterations=1,
    )
    return whole
