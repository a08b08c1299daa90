"""A hyperprior codec's encoder that chooses symbols by bits and squared error, or LPIPS.

Scale indexes still come from the integer branch on the hyperlatents that are coded, and symbols are
what is nearest to the latents: only the latents and hyperlatents are others than those of the
analysis transforms. So a file is one like any other.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

from tfhific.bitstream.container import Contents
from tfhific.codec.annealing import Annealing, Schedule
from tfhific.codec.decisions import decide
from tfhific.codec.distortions import (
    Distortion,
    Perceived,
    Perception,
    SquaredErrors,
    perception,
)
from tfhific.codec.effort import LEVELS, Level, Progress, weight_of
from tfhific.codec.encoded import Encoded
from tfhific.codec.objective import Objective
from tfhific.codec.regions import count, regions, side_of
from tfhific.codec.sizes import size_of
from tfhific.codec.transforms import Transforms
from tfhific.errors import TfhificError


class LatentCodec(Protocol):
    """What is asked of the codec: see `tfhific.codec.hyperprior.HyperpriorCodec`."""

    @property
    def transforms(self) -> Transforms:
        """What runs the model's networks."""

    def analysed(self, image: np.ndarray, quality_code: int) -> tuple[np.ndarray, np.ndarray]:
        """Scaled latents and hyperlatents of a picture."""

    def coded(
        self,
        size: tuple[int, int],
        quality_code: int,
        y: np.ndarray,
        z: np.ndarray,
        nearest: bool = False,
    ) -> Encoded:
        """The file of scaled latents, in whose place the decoded ones are put."""

    def reconstruct(self, encoded: Encoded) -> np.ndarray:
        """The decoded picture."""

    def symbols_of(self, contents: Contents) -> tuple[np.ndarray, np.ndarray]:
        """Decoded latents and hyperlatents of a file."""


class HyperpriorEffort:
    """See `tfhific.codec.effort.TriesHarder`."""

    def __init__(self, codec: LatentCodec, tile: int | None = None) -> None:
        """Initializer.

        Args:
          codec: the codec.
          tile: side of the tiles in pixels; None to choose by size.
        """
        self._codec, self._tile = codec, tile
        self._perceptions: dict[str, Perception] = {}

    @functools.cached_property
    def _objective(self) -> Objective:
        return Objective(self._codec.transforms)

    def encode(
        self,
        image: np.ndarray,
        quality_code: int,
        effort: int,
        progress: Progress | None,
        lpips: str | os.PathLike | None = None,
    ) -> Encoded:
        """See `TriesHarder`."""
        distortion = self._distortion(quality_code, lpips)
        y, z = self._codec.analysed(image, quality_code)
        size = size_of(image)
        plain = self._codec.coded(size, quality_code, y.copy(), z)
        self._improve(image, quality_code, distortion, y, z, LEVELS[effort], progress)
        tried = self._codec.coded(size, quality_code, y, z, nearest=True)
        return min(plain, tried, key=lambda encoded: self._cost(encoded, image, distortion))

    def encode_again(
        self, contents: Contents, image: np.ndarray, lpips: str | os.PathLike | None = None
    ) -> Encoded:
        """See `TriesHarder`."""
        code, size = contents.quality_code, size_of(image)
        distortion = self._distortion(code, lpips)
        again = self._codec.coded(size, code, *self._codec.symbols_of(contents), nearest=True)
        plain = self._codec.coded(size, code, *self._codec.analysed(image, code))
        if self._cost(again, image, distortion) > self._cost(plain, image, distortion):
            raise TfhificError("the file costs more than one of no effort: it is another picture's")
        return again

    def _distortion(self, quality_code: int, lpips: str | os.PathLike | None) -> Distortion:
        weight = weight_of(self._codec.transforms.model, quality_code)
        if lpips is None:
            return SquaredErrors(weight)
        path = os.fspath(lpips)
        if path not in self._perceptions:
            self._perceptions = {path: perception(path)}
        return Perceived(weight, self._perceptions[path])

    def _cost(self, encoded: Encoded, image: np.ndarray, distortion: Distortion) -> float:
        """Bits, and the distance as bits."""
        bits = 8.0 * (len(encoded.contents.y) + len(encoded.contents.z))
        return bits + distortion.of_pictures(self._codec.reconstruct(encoded), image)

    def _improve(
        self,
        image: np.ndarray,
        quality_code: int,
        distortion: Distortion,
        y: np.ndarray,
        z: np.ndarray,
        level: Level,
        progress: Progress | None,
    ) -> None:
        """Puts latents and hyperlatents of a lower cost in the place of a picture's."""
        transforms = self._codec.transforms
        inverse_gain = transforms.gain(transforms.model.log_inverse_gain, quality_code)
        side = side_of(size_of(y), self._tile, transforms)
        # Decisions know how squared errors change with a symbol, and nothing else.
        rounds = level.rounds if distortion.squared is not None else 0
        stepped = _counted(progress, count(size_of(y), side) * (level.steps + rounds))
        schedule = Schedule(level.steps, distortion.pace * level.pace)
        annealing = Annealing(self._objective, inverse_gain, distortion) if level.steps else None
        for region in regions(transforms, image, y, z, side):
            new_y, new_z = region.y, z[region.z_place].astype(np.float32)
            if annealing is not None:
                new_y, new_z = annealing(region, schedule, stepped)
            if distortion.squared is not None:
                latents, weight = (new_y, new_z), distortion.squared
                new_y = decide(
                    self._objective, inverse_gain, weight, region, latents, rounds, stepped
                )
            region.put(new_y, new_z, y, z)


def _counted(progress: Progress | None, total: int) -> Callable[[], None]:
    """A function that tells of one more step each time."""
    numbers: Iterator[int] = iter(range(1, total + 1))

    def stepped() -> None:
        done = next(numbers)
        if progress is not None:
            progress(done, total)

    return stepped
