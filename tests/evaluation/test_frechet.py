"""Distances between sets equal their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from tfhific.errors import TfhificError
from tfhific.evaluation.frechet import frechet_distance, kernel_distance


def sets(n=60, m=80, d=7, seed=0):
    rng = np.random.default_rng(seed)
    mix = rng.normal(size=[d, d])
    return rng.normal(size=[n, d]) @ mix, rng.normal(0.3, 1.2, size=[m, d]) @ mix + 0.1


@pytest.mark.parametrize(("n", "m", "d"), [(60, 80, 7), (500, 30, 20)])
def test_frechet_distance_is_its_definition(n, m, d):
    a, b = sets(n, m, d)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    mean = a.mean(0) - b.mean(0)
    expected = mean @ mean + np.trace(cov_a + cov_b - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)
    assert frechet_distance(b, a) == pytest.approx(expected, rel=1e-6)


def test_fewer_samples_than_features_will_do():
    a, b = sets(10, 12, 50)
    # Slightly regularised, the definition can be computed; it must come close.
    cov_a, cov_b = (np.cov(x, rowvar=False) + 1e-9 * np.eye(50) for x in (a, b))
    values = np.linalg.eigvals(cov_a @ cov_b).real.clip(0)
    mean = a.mean(0) - b.mean(0)
    expected = mean @ mean + np.trace(cov_a) + np.trace(cov_b) - 2 * np.sqrt(values).sum()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-3)


def test_a_set_is_no_distance_from_itself_and_a_shift_is_its_square():
    a, _ = sets()
    assert frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(a, a + 2.0) == pytest.approx(7 * 4.0)


def test_kernel_distance_is_its_definition():
    a, b = sets(9, 11, 4)

    def kernel(x, y):
        return (float(x @ y) / 4 + 1) ** 3

    def within(x):
        pairs = [kernel(p, q) for i, p in enumerate(x) for j, q in enumerate(x) if i != j]
        return np.mean(pairs)

    expected = within(a) + within(b) - 2 * np.mean([kernel(p, q) for p in a for q in b])
    assert kernel_distance(a, b) == pytest.approx(expected)


def test_kernel_distance_of_one_distribution_is_zero_on_average():
    rng = np.random.default_rng(0)
    values = [
        kernel_distance(rng.normal(size=[40, 5]), rng.normal(size=[40, 5])) for _ in range(60)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(60)
    assert kernel_distance(rng.normal(size=[40, 5]), rng.normal(3, 1, [40, 5])) > max(values)


@pytest.mark.parametrize("measure", [frechet_distance, kernel_distance])
def test_what_cannot_be_compared_is_told(measure):
    a, b = sets()
    with pytest.raises(TfhificError, match="2 samples"):
        measure(a[:1], b)
    with pytest.raises(TfhificError, match=r"\[60, 7\] and \[80, 6\]"):
        measure(a, b[:, :6])
    with pytest.raises(TfhificError, match="finite"):
        measure(a * np.nan, b)
