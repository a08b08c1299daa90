"""A network on a large array, piece by piece, with the result of the whole.

Every piece is extended by the network's receptive field on the sides that are not the array's own
edges, and the results that the extension's far end could have touched are cut off. At the array's
edges the network pads as it does on the whole. What remains is the same sum of the same products;
only the order in which a convolution adds them may differ between sizes, in the last bits.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Literal, Protocol

import numpy as np

from tfhific.published.ops import Extent

Region = tuple[slice, slice]


class Tileable(Protocol):
    """What can run in tiles: a `Network`, or an `IntegerBranch`."""

    @property
    def extent(self) -> Extent:
        """What its layers come to."""


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
    def of(cls, network: Tileable) -> Geometry:
        """The geometry of a network that only down- or only upsamples.

        Raises:
          ModelError: for a network that can't run in tiles.
        """
        reach, factor, values = network.extent
        down, up = factor.numerator, factor.denominator
        return cls(down, up, -(-reach // down) * down, float(values))

    def side(self, values: int) -> int:
        """Side of the tiles, in input positions, whose largest tensor has about so many values."""
        within = int((values / self.floats) ** 0.5) - 2 * self.reach
        # Below its own reach, more is computed for the surroundings than for the tile.
        return max(within, self.reach, self.down, 1)

    def margin(self, unit: int) -> int:
        """Positions beyond a band that its output can depend on, to a multiple of `unit`."""
        return -(-self.reach // unit) * unit

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
    size = whole.shape[0], whole.shape[1]
    height, width = (side * geometry.up // geometry.down for side in size)
    out: np.ndarray | None = None
    for region, values in run(network, geometry, lambda d, a: whole[d, a], size, tile):
        if values.shape[:2] == (height, width):
            return values
        if out is None:
            out = np.empty([height, width, *values.shape[2:]], values.dtype)
        out[region] = values
    assert out is not None, "an array has at least one tile"
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
    mode: Literal["reflect", "edge"] = "reflect" if missing < size else "edge"
    return np.pad(np.arange(size), (0, missing), mode)
