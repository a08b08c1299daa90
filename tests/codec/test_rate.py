"""Bits of a Gaussian, also where its mass is too small for a float."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tfhific.published.rate import bin_mass, latent_bits, upper_tail


def gaussian_bits(values, scales):
    return latent_bits("gaussian", values, scales)


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


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic"])
@pytest.mark.parametrize("scale", [0.11, 1.0, 40.0])
def test_masses_sum_to_one_and_their_bits_are_the_same_thing(likelihood, scale):
    values = np.arange(-2000, 2001)
    mass = bin_mass(likelihood, values, scale)
    assert mass.sum() == pytest.approx(1.0, abs=1e-12)
    near = np.abs(values) < 25 * scale
    bits = latent_bits(likelihood, values[near].astype(np.float64), np.full(near.sum(), scale))
    np.testing.assert_allclose(mass[near], 2.0**-bits, rtol=1e-9)


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic"])
def test_a_tail_is_half_at_zero_and_the_rest_of_the_mirrored_one(likelihood):
    x = np.linspace(-6, 6, 25)
    tail = upper_tail(likelihood, x)
    assert tail[12] == 0.5
    np.testing.assert_allclose(tail, 1 - tail[::-1], atol=1e-15)
    assert (upper_tail(likelihood, np.array([1e6, -1e6])) == [0, 1]).all()


@pytest.mark.parametrize("likelihood", ["gaussian", "logistic"])
def test_training_has_the_same_mass_down_to_its_floor(likelihood):
    from tfhific.models import likelihoods

    values = np.arange(-40, 41)
    mass = bin_mass(likelihood, values, 2.5)
    same = np.zeros(len(values), np.float32)
    found = likelihoods.likelihood(likelihood, values.astype(np.float32), same, same + 2.5).numpy()
    np.testing.assert_allclose(
        found, np.maximum(mass, likelihoods.LIKELIHOOD_FLOOR), rtol=1e-4, atol=0
    )
    assert (found == np.float32(likelihoods.LIKELIHOOD_FLOOR)).any() == (mass < 1e-9).any()
