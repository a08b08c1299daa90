"""Intervals cover what they should."""

from __future__ import annotations

import numpy as np
import pytest

from tfhific.evaluation.statistics import interval, mean_interval, resamples


def test_interval_of_a_mean_is_about_two_standard_errors_each_way():
    values = np.random.default_rng(0).normal(30, 3, 100)
    low, high = mean_interval(values)
    error = values.std(ddof=1) / 10
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.3 * error)


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(1)
    spans = (mean_interval(rng.normal(0, 1, 40)) for _ in range(200))
    covered = sum(low <= 0 <= high for low, high in spans)
    assert 175 <= covered <= 200


def test_the_same_pictures_give_the_same_interval_and_equal_values_none_wide():
    values = np.random.default_rng(0).normal(size=24)
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(np.full(5, 2.0)) == (2.0, 2.0)
    assert resamples(24).shape == (1000, 24)


@pytest.mark.parametrize("values", [[], [3.0], [1.0, np.inf], [1.0, np.nan]])
def test_where_there_is_no_interval_it_is_nan(values):
    assert np.isnan(mean_interval(np.array(values))).all()


def test_a_few_missing_resamples_do_not_matter_and_many_do():
    assert interval(np.array([1.0, 2.0, 3.0, np.nan]))[0] == pytest.approx(1.05)
    assert np.isnan(interval(np.array([1.0, np.nan, np.nan, np.nan]))).all()
