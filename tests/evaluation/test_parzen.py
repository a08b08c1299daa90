"""The Parzen-window estimate: its formula, its limits, and its protocol."""

from __future__ import annotations

import numpy as np
import pytest

from tfhific.evaluation.parzen import log_likelihoods, parzen_estimate


def test_likelihood_is_the_mean_of_gaussians_around_the_samples():
    rng = np.random.default_rng(0)
    x, samples = rng.random([5, 3]).astype(np.float32), rng.random([7, 3]).astype(np.float32)
    sigmas = np.array([0.2, 0.7])
    found = log_likelihoods(x, samples, sigmas, batch=2)
    for row, sigma in enumerate(sigmas):
        squares = ((x[:, None].astype(np.float64) - samples[None]) ** 2).sum(-1)
        density = np.exp(-squares / 2 / sigma**2).mean(1) / (2 * np.pi * sigma**2) ** 1.5
        np.testing.assert_allclose(found[row], np.log(density), rtol=1e-4)


def test_far_pictures_do_not_underflow():
    x, samples = np.ones([2, 784], np.float32), np.zeros([3, 784], np.float32)
    found = log_likelihoods(x, samples, np.array([0.1]))
    expected = -784 / 2 / 0.01 - 392 * np.log(2 * np.pi * 0.01)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_width_is_chosen_on_the_validation_set_and_recovers_a_known_density():
    rng = np.random.default_rng(1)
    centres = rng.random([50, 4])

    def draw(count):
        noise = rng.normal(0.0, 0.3, [count, 4])
        return (centres[rng.integers(50, size=count)] + noise).astype(np.float32)

    found = parzen_estimate(centres.astype(np.float32), draw(2000), draw(2000))
    assert found.sigma == pytest.approx(0.3, rel=0.25)
    exact = log_likelihoods(draw(2000), centres.astype(np.float32), np.array([0.3])).mean()
    assert found.mean == pytest.approx(exact, abs=0.15)
    assert 0 < found.error < 0.1


def test_closer_samples_are_more_likely():
    rng = np.random.default_rng(2)
    data = rng.random([300, 20]).astype(np.float32) ** 4
    near, far = data[:100] + 0.01, 1.0 - data[:100]
    means = [parzen_estimate(s, data[100:200], data[200:]).mean for s in (near, far)]
    assert means[0] > means[1] + 5


@pytest.mark.parametrize(
    ("pictures", "samples", "sigmas"),
    [((3, 4), (3, 5), [1.0]), ((3, 4), (0, 4), [1.0]), ((3, 4), (3, 4), [0.0])],
)
def test_impossible_arguments_are_refused(pictures, samples, sigmas):
    with pytest.raises(ValueError, match="Expected"):
        log_likelihoods(np.zeros(pictures), np.zeros(samples), np.array(sigmas))
