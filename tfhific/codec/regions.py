"""Parts of a picture whose latents are chosen together, so that memory is bounded.

A picture is cut into tiles of latents. Each is seen with a margin, whose latents count but stay as
they are: those of tiles that came before are chosen already.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np

from tfhific.codec.sizes import size_of
from tfhific.codec.transforms import Transforms
from tfhific.runtimes import tiling
from tfhific.runtimes.symbols import to_symbols

TILE = 64
"""Latents a side of a tile, where none is asked for."""

MARGIN = 8
"""Latents beyond a tile, a multiple of one hyperlatent's; what is further away hardly shows."""

WHOLE = (TILE + 2 * MARGIN) ** 2
"""Pictures of at most so many latents are one tile."""


@dataclasses.dataclass(frozen=True)
class Region:
    """A tile with its margin.

    Attributes:
      number: of the tile, from 0.
      place: rows and columns of the picture's latents that the region is.
      z_place: rows and columns of the picture's hyperlatents that it is.
      y: float32 [h, w, channels], scaled latents.
      z: float32 [., ., hyperlatent channels], before rounding in the tile, rounded beyond.
      free: bool [h, w, 1], whose latents may change.
      z_free: bool [., ., 1], likewise of the hyperlatents.
      target: float32 [H, W, 3], pixels in 0..255.
    """

    number: int
    place: tiling.Region
    z_place: tiling.Region
    y: np.ndarray
    z: np.ndarray
    free: np.ndarray
    z_free: np.ndarray
    target: np.ndarray

    def put(self, y: np.ndarray, z: np.ndarray, all_y: np.ndarray, all_z: np.ndarray) -> None:
        """Writes the tile's own latents, and hyperlatents rounded, in the picture's place."""
        np.copyto(all_y[self.place], y, where=self.free)
        np.copyto(all_z[self.z_place], to_symbols(z), where=self.z_free)


def side_of(latents: tuple[int, int], tile: int | None, transforms: Transforms) -> int:
    """Latents a side of the tiles, a multiple of one hyperlatent's.

    Args:
      latents: rows and columns of the picture's.
      tile: side in pixels that was asked for, or None.
      transforms: of the model.
    """
    unit = transforms.hyper_stride
    if tile is not None:
        return max(tile // (transforms.stride * unit), 1) * unit
    return TILE if latents[0] * latents[1] > WHOLE else -(-max(latents) // unit) * unit


def count(latents: tuple[int, int], side: int) -> int:
    """How many tiles a picture has."""
    return -(-latents[0] // side) * -(-latents[1] // side)


def regions(
    transforms: Transforms, image: np.ndarray, y: np.ndarray, z: np.ndarray, side: int
) -> Iterator[Region]:
    """A picture's tiles, row by row; what was put before one is yielded is seen by it.

    Args:
      transforms: of the model.
      image: uint8 [H, W, 3].
      y: float32 [h, w, channels], scaled latents.
      z: int32 [., ., hyperlatent channels].
      side: of the tiles in latents, a multiple of one hyperlatent's.
    """
    unit, stride = transforms.hyper_stride, transforms.stride
    number = 0
    for top in range(0, y.shape[0], side):
        for left in range(0, y.shape[1], side):
            cuts = [_cut(*axis, side) for axis in zip((top, left), size_of(y))]
            place = cuts[0][0], cuts[1][0]
            own = cuts[0][1], cuts[1][1]
            z_place, z_own = _coarse(place, unit), _coarse(own, unit)
            free = np.zeros([*size_of(y[place]), 1], bool)
            z_free = np.zeros([*size_of(z[z_place]), 1], bool)
            free[own] = z_free[z_own] = True
            rows, columns = (slice(part.start * stride, part.stop * stride) for part in place)
            part = y[place]
            yield Region(
                number=number,
                place=place,
                z_place=z_place,
                y=part.copy(),
                z=np.where(z_free, _hyperlatents(transforms, part), z[z_place].astype(np.float32)),
                free=free,
                z_free=z_free,
                target=image[rows, columns].astype(np.float32),
            )
            number += 1


def _cut(start: int, size: int, side: int) -> tuple[slice, slice]:
    first, last = max(start - MARGIN, 0), min(start + side + MARGIN, size)
    return slice(first, last), slice(start - first, min(start + side, size) - first)


def _coarse(region: tiling.Region, unit: int) -> tiling.Region:
    rows, columns = (slice(part.start // unit, -(-part.stop // unit)) for part in region)
    return rows, columns


def _hyperlatents(transforms: Transforms, y: np.ndarray) -> np.ndarray:
    """Hyperlatents before rounding; at a cut through the picture they are about what they are."""
    import tensorflow as tf

    rows, columns = (tiling.extension(side, transforms.hyper_stride) for side in size_of(y))
    whole = y[rows[:, None], columns[None, :]]
    return transforms.model.networks["hyper_analysis"](tf.constant(whole[None]))[0].numpy()
