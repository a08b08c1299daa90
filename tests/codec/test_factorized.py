"""The NumPy density of hyperlatents is the trained one."""

from __future__ import annotations

import numpy as np
import pytest

from tfhific.published.factorized import FactorizedDensity
from tfhific.published.tables import TAIL_MASS


@pytest.fixture(scope="module")
def density(tiny_published) -> FactorizedDensity:
    return tiny_published.density


def rows(density, values) -> np.ndarray:
    return np.tile(np.asarray(values, np.float64), (density.channels, 1))


def test_mass_is_the_probability_of_the_trained_prior(tiny_model, density):
    import tensorflow as tf

    values = np.arange(-80, 81)
    column = tf.constant(rows(density, values).T, tf.float32)
    expected = tiny_model.z_prior.prob(column).numpy().T
    np.testing.assert_allclose(density.mass(rows(density, values)), expected, rtol=2e-4, atol=1e-7)


def test_masses_sum_to_one_and_none_is_negative(density):
    mass = density.mass(rows(density, np.arange(-20_000, 20_001)))
    assert mass.min() >= 0
    np.testing.assert_allclose(mass.sum(1), 1.0, atol=1e-9)


def test_mass_keeps_its_digits_far_out_on_both_sides(density):
    mass = density.mass(rows(density, [-400, -300, 300, 400]))
    assert np.all(mass > 0)
    assert np.all(mass[:, 0] < mass[:, 1])
    assert np.all(mass[:, 3] < mass[:, 2])


@pytest.mark.parametrize("tail_mass", [TAIL_MASS, 0.1, 1e-9])
def test_bounds_leave_the_tail_mass_outside_and_no_less_would_do(tail_mass, density):
    first, last = density.bounds(tail_mass)
    assert np.all(first <= last)
    half = tail_mass / 2 * (1 + 1e-9)

    def below(value):
        return 1 / (1 + np.exp(-density.logits_cdf(value[:, None] - 0.5)[:, 0]))

    def above(value):
        return 1 / (1 + np.exp(density.logits_cdf(value[:, None] + 0.5)[:, 0]))

    assert np.all(below(first) <= half)
    assert np.all(above(last) <= half)
    assert np.all(below(first + 1) > half * (1 - 1e-6))
    assert np.all(above(last - 1) > half * (1 - 1e-6))
