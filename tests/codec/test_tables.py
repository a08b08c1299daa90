"""Frozen tables cost next to nothing over the densities they are made from."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfhific.models.mini import MiniConfig
from tfhific.published.tables import TAIL_MASS, factorized_tables, gaussian_tables


@pytest.fixture(scope="module")
def scales():
    return MiniConfig().scales()


@pytest.fixture(scope="module")
def gaussians(scales):
    return gaussian_tables(scales)


def gaussian_mass(scale: float, values: np.ndarray) -> np.ndarray:
    def tail(x):
        return 0.5 * math.erfc(x / scale / math.sqrt(2))

    return np.array([tail(abs(int(v)) - 0.5) - tail(abs(int(v)) + 0.5) for v in values])


def costs(mass: np.ndarray, cdf: np.ndarray) -> tuple[float, float]:
    """Entropy of a density's part inside a table, and its mean code length; bits."""
    mass = mass / mass.sum()
    inside = mass > 0
    entropy = -np.sum(mass[inside] * np.log2(mass[inside]))
    return entropy, -np.sum(mass * np.log2(np.diff(cdf) / 65536))


def test_gaussian_tables_leave_at_most_the_tail_mass(scales, gaussians):
    for row, scale in enumerate(scales):
        reach = -int(gaussians.minimum[row])
        assert gaussians.sizes[row] == 2 * reach + 1
        outside = math.erfc((reach + 0.5) / scale / math.sqrt(2))
        assert outside <= TAIL_MASS
        if reach:
            assert math.erfc((reach - 0.5) / scale / math.sqrt(2)) > TAIL_MASS


def test_gaussian_tables_are_symmetric(gaussians):
    for row in range(gaussians.rows):
        counts = np.diff(gaussians.cdf(row))
        # Single counts are moved to make the sum fit: that may leave a difference of a few.
        assert np.abs(counts - counts[::-1]).max() <= 2


def test_gaussian_code_length_is_within_a_thousandth_of_entropy(scales, gaussians):
    for row, scale in enumerate(scales):
        values = gaussians.minimum[row] + np.arange(gaussians.sizes[row])
        entropy, length = costs(gaussian_mass(scale, values), gaussians.cdf(row))
        assert length <= 1.001 * entropy


def test_smallest_scales_are_certain_and_larger_ones_are_not(scales, gaussians):
    certain = np.array([math.erfc(0.5 / s / math.sqrt(2)) <= TAIL_MASS for s in scales])
    assert certain.any()
    np.testing.assert_array_equal(gaussians.certain, certain)


def test_hyperlatent_tables_leave_at_most_the_tail_mass(tiny_published):
    density, tables = tiny_published.density, tiny_published.z_tables
    assert tables.rows == density.channels
    edges = np.stack([tables.minimum - 0.5, tables.minimum + tables.sizes - 0.5], axis=1)
    low, high = (1 / (1 + np.exp(-density.logits_cdf(edges)))).T
    assert np.all(low + 1 - high <= TAIL_MASS * (1 + 1e-9))


def test_hyperlatent_code_length_is_within_a_thousandth_of_entropy(tiny_published):
    density, tables = tiny_published.density, tiny_published.z_tables
    for row in range(tables.rows):
        values = tables.minimum[row] + np.arange(tables.sizes[row], dtype=np.float64)
        mass = density.mass(np.tile(values, (density.channels, 1)))[row]
        entropy, length = costs(mass, tables.cdf(row))
        assert length <= 1.001 * entropy


def test_tables_are_the_same_every_time(tiny_published, scales, gaussians):
    assert gaussian_tables(scales) == gaussians
    assert factorized_tables(tiny_published.density) == tiny_published.z_tables
