"""A network on a large array, piece by piece, with the result of the whole.

Every piece is extended by the network's receptive field on the sides that are not the array's own
edges, and the results that the extension's far end could have touched are cut off. At the array's
edges the network pads as it does on the whole. What remains is the same sum of the same products;
only the order in which a convolution adds them may differ between sizes, in the last bits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from fractions import Fraction

import numpy as np

from tfhific.published.integer_branch import IntegerBranch
from tfhific.published.network import Network, crop_of, pads_of

Region = tuple[slice, slice]


@dataclasses.dataclass(frozen=True)
class Geometry:
    """How a network's output positions relate to its input's.

    Attributes:
      down: input positions per output position, or 1.
      up: output positions per input position, or 1.
      reach: input positions beyond a piece that its output can depend on, a multiple of `down`.
      floats: values of the largest tensor for each input position, in units of 32 bits.
    """

    down: int
    up: int
    reach: int
    floats: float = 0.0

    @classmethod
    def of(cls, network: Network | IntegerBranch) -> Geometry:
        """The geometry of a network that only down- or only upsamples."""
        if isinstance(network, IntegerBranch):
            shapes = {str(i): layer.kernel.shape for i, layer in enumerate(network.layers)}
            layers = [
                {"op": layer.op, "stride": layer.stride, "name": str(i)}
                for i, layer in enumerate(network.layers)
            ]
            size = 2.0
        else:
            layers, size = network.layers, 1.0
            shapes = {
                name[: -len("/kernel")]: value.shape
                for name, value in network.weights.items()
                if name.endswith("/kernel")
            }
        far, step, floats = _reach(shapes, layers, Fraction(1))
        down, up = step.numerator, step.denominator
        return cls(down, up, -(-far // down) * down, floats * size)

    def pieces(
        self, height: int, width: int, tile: int, rows: slice | None = None
    ) -> Iterator[tuple[Region, Region, Region]]:
        """Cuts an input of that size into pieces of at most `tile` x `tile` positions.

        Args:
          height: of the input.
          width: of the input.
          tile: positions a side.
          rows: only pieces of these rows of the input; None for all.

        Yields:
          The region of the input to run the network on; the region of that run's output to keep;
          the region of the whole output that it is.
        """
        tile = max(tile // self.down, 1) * self.down
        rows = rows or slice(0, height)
        for top in range(rows.start, rows.stop, tile):
            for left in range(0, width, tile):
                down = self._cut(top, min(top + tile, rows.stop), height)
                across = self._cut(left, min(left + tile, width), width)
                yield tuple(zip(down, across))  # type: ignore[misc]

    def _cut(self, start: int, stop: int, size: int) -> tuple[slice, slice, slice]:
        first, last = max(start - self.reach, 0), min(stop + self.reach, size)

        def scale(position: int) -> int:
            return position * self.up // self.down

        kept = slice(scale(start - first), scale(stop - first))
        return slice(first, last), kept, slice(scale(start), scale(stop))


def _convolution_reach(layer: dict, shape, step: Fraction) -> Fraction:
    """How far a convolution looks to any side, in the network's input positions."""
    if layer["op"] == "conv":
        pads, _ = pads_of(layer, shape)
        before = ((shape[0], pads[0]), (shape[1], pads[2]))
        return step * max(max(first, size - 1 - first) for size, first in before)
    # Upsampled place p sees inputs i with p = stride * i + tap - crop. Places are `stride` times
    # finer than the input's positions.
    cut = zip(shape, crop_of(layer, shape))
    return step * max(max(first, size - 1 - first) for size, first in cut) / layer["stride"]


def _reach(shapes: dict, layers: list, step: Fraction) -> tuple[Fraction, Fraction, float]:
    """What `Geometry` is made of.

    Args:
      shapes: of the kernels, by layer name.
      layers: in order.
      step: input positions between two positions before the layers.

    Returns:
      Reach in input positions; the step after the layers; values of the largest tensor that a
      convolution takes or gives, per input position.
    """
    far, floats = Fraction(0), 0.0
    for layer in layers:
        op = layer["op"]
        if op in ("conv", "deconv"):
            shape = shapes[layer["name"]]
            channels = shape[2:] if op == "conv" else shape[:1:-1]
            far += _convolution_reach(layer, shape, step)
            floats = max(floats, channels[0] / float(step) ** 2)
            step *= Fraction(layer["stride"]) ** (1 if op == "conv" else -1)
            floats = max(floats, channels[1] / float(step) ** 2)
        elif op == "depthwise_conv":
            shape = shapes[layer["name"]]
            far += step * (shape[0] // 2)
            floats = max(floats, shape[2] / float(step) ** 2)
        elif op == "space_to_depth":
            far += step * (layer["block"] - 1)
            step *= layer["block"]
        elif op == "depth_to_space":
            step /= layer["block"]
            far += step * (layer["block"] - 1)
        elif op == "sum":
            inner = [_reach(shapes, branch, step) for branch in layer["branches"]]
            far += max(distance for distance, _, _ in inner)
            floats = max(floats, *(most for _, _, most in inner))
            step = inner[0][1]
        elif op == "residual":
            distance, _, most = _reach(shapes, layer["branch"], step)
            far, floats = far + distance, max(floats, most)
    return far, step, floats


def run(
    network: Callable[[np.ndarray], np.ndarray],
    geometry: Geometry,
    read: Callable[[slice, slice], np.ndarray],
    size: tuple[int, ...],
    tile: int,
    rows: slice | None = None,
) -> Iterator[tuple[Region, np.ndarray]]:
    """Runs a network over an input of any size.

    Args:
      network: takes [1, h, w, channels] and gives [1, h', w', channels'].
      geometry: of that network.
      read: the input's region, [h, w, channels].
      size: the input's height and width, multiples of `geometry.down`.
      tile: at most so many input positions a side at a time, extension not counted.
      rows: only for these rows of the input; None for all.

    Yields:
      Regions of the output, and what they hold, [h', w', channels'].
    """
    for source, kept, target in geometry.pieces(size[0], size[1], tile, rows):
        yield target, network(read(*source)[None])[0][kept]


def assemble(
    network: Callable[[np.ndarray], np.ndarray], geometry: Geometry, whole: np.ndarray, tile: int
) -> np.ndarray:
    """A network's whole output on an array in memory, in tiles.

    Args:
      network: see `run`.
      geometry: of that network.
      whole: [h, w, channels], sides multiples of `geometry.down`.
      tile: see `run`.
    """
    height, width = (side * geometry.up // geometry.down for side in whole.shape[:2])
    out: np.ndarray | None = None
    for region, values in run(network, geometry, lambda d, a: whole[d, a], whole.shape[:2], tile):
        if values.shape[:2] == (height, width):
            return values
        if out is None:
            out = np.empty([height, width, *values.shape[2:]], values.dtype)
        out[region] = values
    assert out is not None  # an input has a tile at least
    return out


def extension(size: int, multiple: int, least: int = 0) -> np.ndarray:
    """Which positions an axis is extended to: int64 [size rounded up to a multiple].

    Beyond its end the axis is reflected; where it is too short for that, its last value repeats.

    Args:
      size: of the axis.
      multiple: what its extension is a multiple of.
      least: a multiple too; the extension has at least so many positions.
    """
    missing = max(-size % multiple, least - size)
    positions = np.arange(size)
    if missing < size:
        return np.pad(positions, (0, missing), "reflect")
    return np.pad(positions, (0, missing), "edge")
