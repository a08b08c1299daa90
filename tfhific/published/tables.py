"""Frozen CDF tables: made once when a model is published, stored with it, never rebuilt."""

from __future__ import annotations

import math

import numpy as np

from tfc_port.coding import Tables
from tfhific.published.factorized import FactorizedDensity
from tfhific.published.rate import bin_mass

TAIL_MASS = 2.0**-14
"""Probability that a table leaves to escapes."""


def gaussian_tables(scales: np.ndarray) -> Tables:
    """A table for each standard deviation of a zero-mean Gaussian, integrated over unit bins.

    Args:
      scales: float64 [n], positive.
    """
    pmfs, minimum = [], []
    for scale in np.asarray(scales, np.float64):
        reach = 0
        while math.erfc((reach + 0.5) / scale / math.sqrt(2.0)) > TAIL_MASS:
            reach += 1
        pmfs.append(_mass_within("gaussian", reach, scale))
        minimum.append(-reach)
    return Tables.from_pmfs(pmfs, np.array(minimum, np.int32))


def logistic_tables(scales: np.ndarray) -> Tables:
    """A table for each scale of a zero-mean logistic, `sigmoid(x / scale)` its cumulative density.

    Args:
      scales: float64 [n], positive.
    """
    pmfs, minimum = [], []
    for scale in np.asarray(scales, np.float64):
        # Both tails beyond reach + 1/2 hold 2 / (1 + exp((reach + 1/2) / scale)).
        reach = max(math.ceil(scale * math.log(2.0 / TAIL_MASS - 1.0) - 0.5), 0)
        pmfs.append(_mass_within("logistic", reach, scale))
        minimum.append(-reach)
    return Tables.from_pmfs(pmfs, np.array(minimum, np.int32))


def _mass_within(likelihood: str, reach: int, scale: float) -> np.ndarray:
    """The mass about each integer from -reach to reach."""
    half = bin_mass(likelihood, np.arange(reach + 1), scale)
    return np.concatenate([half[:0:-1], half])


def latent_tables(likelihood: str, scales: np.ndarray) -> Tables:
    """A table for each scale of a `gaussian` or a `logistic`."""
    return {"gaussian": gaussian_tables, "logistic": logistic_tables}[likelihood](scales)


def factorized_tables(density: FactorizedDensity) -> Tables:
    """A table for each channel of a factorised density."""
    first, last = density.bounds(TAIL_MASS)
    span = np.arange(int((last - first).max()) + 1)
    mass = density.mass((first[:, None] + span[None, :]).astype(np.float64))
    pmfs = [mass[channel, : last[channel] - first[channel] + 1] for channel in range(len(first))]
    return Tables.from_pmfs(pmfs, first.astype(np.int32))
