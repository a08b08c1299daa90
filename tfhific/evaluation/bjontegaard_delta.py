"""Bjontegaard differences between two rate-distortion curves.

G. Bjontegaard, VCEG-M33 (2001), with piecewise (Akima) instead of cubic interpolation, by the
package bjontegaard.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable

import numpy as np

from tfhific.errors import TfhificError


class NoOverlapError(TfhificError):
    """Curves that share no range, or are too short, to be compared."""


@dataclasses.dataclass(frozen=True)
class Difference:
    """An average difference between two curves.

    Attributes:
      value: percent of the anchor's bits (below 0: the other needs fewer), or quality (above 0:
        the other is better).
      low: where the range begins over which it is taken: quality, or bits per pixel.
      high: where it ends.
    """

    value: float
    low: float
    high: float


def rate_difference(
    anchor: tuple[Iterable[float], Iterable[float]],
    other: tuple[Iterable[float], Iterable[float]],
) -> Difference:
    """Average difference in rate at equal quality.

    Args:
      anchor: rates (bits per pixel) and qualities (more is better), one a point.
      other: the same of the curve that is compared with it.

    Raises:
      NoOverlapError: fewer than two usable points, or no quality that both reach.
    """
    import bjontegaard

    a, b = rising(*anchor), rising(*other)
    low, high = _overlap(a[1], b[1], "quality")
    value = _quietly(bjontegaard.bd_rate, *a, *b)
    return Difference(value, low, high)


def quality_difference(
    anchor: tuple[Iterable[float], Iterable[float]],
    other: tuple[Iterable[float], Iterable[float]],
) -> Difference:
    """Average difference in quality at equal rate; arguments and errors as `rate_difference`."""
    import bjontegaard

    a, b = rising(*anchor), rising(*other)
    low, high = _overlap(a[0], b[0], "bits per pixel")
    value = _quietly(bjontegaard.bd_psnr, *a, *b)
    return Difference(value, low, high)


def rising(rates: Iterable[float], qualities: Iterable[float]) -> tuple[np.ndarray, np.ndarray]:
    """The points by rate, without those that take more bits for no better quality.

    A curve that turns back is no function of quality, and has no average.
    """
    kept: list[tuple[float, float]] = []
    for rate, quality in sorted(zip(map(float, rates), map(float, qualities))):
        if not (np.isfinite(rate) and np.isfinite(quality)) or rate <= 0:
            continue
        if kept and rate == kept[-1][0]:
            kept[-1] = (rate, max(quality, kept[-1][1]))
        elif not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    found = np.array(kept, np.float64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _overlap(a: np.ndarray, b: np.ndarray, what: str) -> tuple[float, float]:
    if min(len(a), len(b)) < 2:
        raise NoOverlapError(
            f"A Bjontegaard difference needs two points or more of each curve. Received: {len(a)} "
            f"and {len(b)}."
        )
    low, high = max(a[0], b[0]), min(a[-1], b[-1])
    if high <= low:
        raise NoOverlapError(
            f"The curves do not overlap in {what} ({a[0]:.4g} to {a[-1]:.4g} and {b[0]:.4g} to "
            f"{b[-1]:.4g}): no Bjontegaard difference."
        )
    return float(low), float(high)


def _quietly(measure, *curves: np.ndarray) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(measure(*curves, method="akima", require_matching_points=False, min_overlap=0))
