"""Bjontegaard differences are what they should be, or are refused."""

from __future__ import annotations

import numpy as np
import pytest

from tfhific.errors import TfhificError
from tfhific.evaluation.bjontegaard_delta import (
    NoOverlapError,
    quality_difference,
    rate_difference,
    rising,
)
from tfhific.evaluation.comparison import compare_curves
from tfhific.evaluation.curves import make_curves

RATES = np.array([0.1, 0.2, 0.4, 0.7, 1.1])
DECIBELS = np.array([25.0, 28.0, 31.0, 33.5, 36.0])


def test_a_curve_against_itself_differs_by_nothing():
    curve = RATES, DECIBELS
    assert rate_difference(curve, curve).value == pytest.approx(0, abs=1e-9)
    assert quality_difference(curve, curve).value == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("factor", "percent"), [(0.5, -50.0), (1.25, 25.0), (3.0, 200.0)])
def test_rate_scaled_everywhere_differs_by_that_much(factor, percent):
    found = rate_difference((RATES, DECIBELS), (factor * RATES, DECIBELS))
    assert found.value == pytest.approx(percent, abs=1e-6)
    assert (found.low, found.high) == (25.0, 36.0)


@pytest.mark.parametrize("shift", [-2.0, 0.5, 4.0])
def test_quality_shifted_everywhere_differs_by_that_much(shift):
    found = quality_difference((RATES, DECIBELS), (RATES, DECIBELS + shift))
    assert found.value == pytest.approx(shift, abs=1e-9)
    assert (found.low, found.high) == (0.1, 1.1)


def test_range_is_where_both_curves_are():
    anchor = [0.1, 0.2, 0.4, 0.8], [25.0, 28.0, 31.0, 34.0]
    other = [0.1, 0.2, 0.4, 0.8, 1.6], [26.0, 29.0, 32.0, 35.0, 38.0]
    found = rate_difference(anchor, other)
    assert (found.low, found.high) == (26.0, 34.0)
    # One decibel more at every rate, three of which double it.
    assert found.value == pytest.approx(100 * (2 ** (-1 / 3) - 1), abs=1.0)


def test_curves_that_do_not_overlap_are_told():
    low, high = ([0.1, 0.2], [20.0, 22.0]), ([1.0, 2.0], [30.0, 32.0])
    for pair in ((low, high), (high, low)):
        with pytest.raises(NoOverlapError, match="do not overlap in quality"):
            rate_difference(*pair)
        with pytest.raises(TfhificError, match="do not overlap in bits"):
            quality_difference(*pair)
    touching = [0.2, 0.4], [22.0, 24.0]
    with pytest.raises(NoOverlapError):
        rate_difference(low, touching)


@pytest.mark.parametrize("short", [([], []), ([0.2], [30.0]), ([0.2, 0.3], [30.0, 29.0])])
def test_one_point_is_no_curve(short):
    with pytest.raises(NoOverlapError, match="two points"):
        rate_difference((RATES, DECIBELS), short)


def test_points_that_cost_more_for_nothing_are_left_out():
    rates, qualities = rising([0.4, 0.1, 0.2, 0.2, 0.3, np.nan], [31, 25, 28, 27, 27.5, 40])
    np.testing.assert_array_equal(rates, [0.1, 0.2, 0.4])
    np.testing.assert_array_equal(qualities, [25, 28, 31])
    assert [len(part) for part in rising([], [])] == [0, 0]


def curves_of(make_row, factor, noise=0.0):
    rng = np.random.default_rng(0)
    rows = []
    for image in range(12):
        for codec, scale in (("anchor", 1.0), ("other", factor)):
            for i, (rate, decibel) in enumerate(zip(RATES, DECIBELS)):
                grain = 1 + noise * rng.normal()
                facts = {"bpp": scale * rate * grain, "psnr": decibel + image / 10}
                point = {"image": str(image), "codec": codec, "setting": str(i)}
                rows.append(make_row(**point, **facts, ms_ssim=1 - 10 ** (-decibel / 20)))
    return make_curves(rows, ["anchor", "other"])


def test_difference_has_an_interval_over_pictures_that_holds_it(make_row):
    anchor, other = curves_of(make_row, 0.8, noise=0.05)
    found = {each.metric: each for each in compare_curves(anchor, [other])}
    assert set(found) == {"psnr", "psnr_y", "ms_ssim"}
    low, high = found["psnr"].rate_interval
    assert low < found["psnr"].rate.value < high
    assert low < -20 < high
    assert high - low < 10
    # MS-SSIM is compared in dB.
    assert found["ms_ssim"].rate.low == pytest.approx(12.5)
    # Here luma is the same at every point, so nothing can be compared.
    assert found["psnr_y"].rate is None
    assert "two points" in found["psnr_y"].reason
