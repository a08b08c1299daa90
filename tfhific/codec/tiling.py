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

from tfhific.codec.integer_branch import IntegerBranch
from tfhific.codec.network import Network

Region = tuple[slice, slice]


@dataclasses.dataclass(frozen=True)
class Geometry:
    """How a network's output positions relate to its input's.

    Attributes:
      down: input positions per output position, or 1.
      up: output positions per input position, or 1.
      reach: input positions beyond a piece that its output can depend on, a multiple of `down`.
    """

    down: int
    up: int
    reach: int

    @classmethod
    def of(cls, network: Network | IntegerBranch) -> Geometry:
        """The geometry of a network that only down- or only upsamples."""
        if isinstance(network, IntegerBranch):
            far, step = Fraction(0), Fraction(1)
            for layer in network.layers:
                far += _convolution_reach(layer.op, layer.stride, layer.kernel.shape[0], step)
                step *= Fraction(layer.stride) ** (1 if layer.op == "conv" else -1)
        else:
            far, step = _reach(network, network.layers, Fraction(1))
        down, up = step.numerator, step.denominator
        return cls(down, up, -(-far // down) * down)

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


def _convolution_reach(op: str, stride: int, size: int, step: Fraction) -> Fraction:
    # A correlation looks size // 2 positions aside. An upsampled place looks at inputs within
    # size // 2 places of it, which are `stride` times finer than the input's positions.
    return step * (size // 2) / (1 if op == "conv" else stride)


def _reach(network: Network, layers: list, step: Fraction) -> tuple[Fraction, Fraction]:
    """Reach in the network's input positions, and the step between positions after the layers."""
    far = Fraction(0)
    for layer in layers:
        op = layer["op"]
        if op in ("conv", "deconv"):
            size = network.weights[f"{layer['name']}/kernel"].shape[0]
            far += _convolution_reach(op, layer["stride"], size, step)
            step *= Fraction(layer["stride"]) ** (1 if op == "conv" else -1)
        elif op == "space_to_depth":
            far += step * (layer["block"] - 1)
            step *= layer["block"]
        elif op == "depth_to_space":
            step /= layer["block"]
            far += step * (layer["block"] - 1)
        elif op == "sum":
            inner = [_reach(network, branch, step) for branch in layer["branches"]]
            far += max(distance for distance, _ in inner)
            step = inner[0][1]
        elif op == "residual":
            far += _reach(network, layer["branch"], step)[0]
    return far, step


def run(
    network: Callable[[np.ndarray], np.ndarray],
    geometry: Geometry,
    read: Callable[[slice, slice], np.ndarray],
    size: tuple[int, int],
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
    for source, kept, target in geometry.pieces(*size, tile, rows):
        yield target, network(read(*source)[None])[0][kept]


def extension(size: int, multiple: int) -> np.ndarray:
    """Which positions an axis is extended by: int64 [size rounded up to a multiple].

    Beyond its end the axis is reflected; where it is too short for that, its last value repeats.
    """
    missing = -size % multiple
    mode = "reflect" if missing < size else "edge"
    return np.pad(np.arange(size), (0, missing), mode)
