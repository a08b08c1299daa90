"""Distances between the set of originals and the set of decoded pictures, point by point."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tfhific.evaluation.bench import Context, features_path
from tfhific.evaluation.curves import Curve
from tfhific.evaluation.frechet import frechet_distance, kernel_distance


@dataclasses.dataclass(frozen=True)
class SetDistance:
    """Distances between the set of originals and of decoded pictures at one point.

    Attributes:
      codec: label.
      point: setting or target.
      bpp: mean bits per pixel.
      network: label of the feature network.
      samples: patches of each set.
      frechet: squared Frechet distance.
      kid: kernel distance.
    """

    codec: str
    point: str
    bpp: float
    network: str
    samples: int
    frechet: float
    kid: float


def set_distances(curves: Sequence[Curve], context: Context) -> tuple[SetDistance, ...]:
    """Distances at every point of every curve, of the features that its rows left behind."""

    def gather(keys: Iterable[tuple[str, ...]]) -> np.ndarray:
        return np.concatenate([np.load(features_path(context, key)) for key in keys])

    found = []
    features: Any = context.features
    for curve in curves:
        for point in curve.points:
            originals = gather((row.image, row.image_digest) for row in point.rows)
            decoded = gather(row.key for row in point.rows)
            found.append(
                SetDistance(
                    curve.codec,
                    point.point,
                    point.bpp,
                    features.label,
                    len(decoded),
                    frechet_distance(originals, decoded),
                    kernel_distance(originals, decoded),
                )
            )
    return tuple(found)
