"""Bits of a Gaussian, also where its mass is too small for a float."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfhific.published.rate import gaussian_bits


@pytest.mark.parametrize("scale", [0.11, 0.5, 1.0, 7.3, 256.0])
def test_bits_are_those_of_the_mass_in_the_unit_bin(scale):
    values = np.arange(-20, 21).astype(np.float64)
    expected = []
    for value in np.abs(values):
        low = math.erfc((value - 0.5) / scale / math.sqrt(2))
        high = math.erfc((value + 0.5) / scale / math.sqrt(2))
        mass = 0.5 * (low - high)
        expected.append(-math.log2(mass) if mass > 1e-250 else np.nan)
    found = gaussian_bits(values, np.full_like(values, scale))
    sure = ~np.isnan(expected)
    np.testing.assert_allclose(found[sure], np.array(expected)[sure], rtol=1e-9, atol=1e-12)


def test_bits_stay_finite_and_grow_far_beyond_what_floats_hold():
    values = np.array([10.0, 100.0, 1e3, 1e6, float(1 << 24)])
    bits = gaussian_bits(values, np.full_like(values, 0.11))
    assert np.all(np.isfinite(bits))
    assert np.all(np.diff(bits) > 0)
    # The leading term, (|v| - 1/2)^2 / (2 scale^2) nats, is all but all of it.
    leading = (values - 0.5) ** 2 / (2 * 0.11**2) / math.log(2)
    np.testing.assert_allclose(bits, leading, rtol=2e-3)


def test_near_and_far_formulas_meet():
    # (v - 1/2) / scale from 24.9 to 25.1: the bits' second differences show any step.
    scales = 9.5 / np.linspace(24.9, 25.1, 201)
    bits = gaussian_bits(np.full_like(scales, 10.0), scales)
    assert np.abs(np.diff(bits, 2)).max() < 1e-4


def test_sign_does_not_matter():
    values = np.arange(50.0)
    scales = np.full_like(values, 1.7)
    np.testing.assert_array_equal(gaussian_bits(values, scales), gaussian_bits(-values, scales))
