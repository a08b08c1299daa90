"""Means over pictures, with intervals by bootstrap."""

from __future__ import annotations

import numpy as np

RESAMPLES = 1000
CONFIDENCE = 0.95


def resamples(count: int, number: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Which pictures each resample takes, drawn with replacement; the same for the same arguments.

    Returns:
      int64 [number, count].
    """
    return np.random.default_rng([seed, count]).integers(0, count, [number, count])


def interval(values: np.ndarray) -> tuple[float, float]:
    """The middle `CONFIDENCE` of values: a percentile interval (Efron and Tibshirani 1993, ch. 13).

    Values that are not finite are left out; NaN where too few remain.
    """
    values = np.asarray(values, np.float64)
    kept = values[np.isfinite(values)]
    if len(kept) < max(2, len(values) // 2):
        return float("nan"), float("nan")
    tail = 50 * (1 - CONFIDENCE)
    low, high = np.percentile(kept, [tail, 100 - tail])
    return float(low), float(high)


def mean_interval(values: np.ndarray) -> tuple[float, float]:
    """The bootstrap interval of a mean over pictures.

    Args:
      values: float [pictures]; fewer than two give NaN.
    """
    values = np.asarray(values, np.float64)
    if len(values) < 2 or not np.isfinite(values).all():
        return float("nan"), float("nan")
    return interval(values[resamples(len(values))].mean(1))
