"""Adversarial losses and feature matching by their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfhific.losses import adversarial
from tfhific.losses.feature_matching import feature_matching_loss


@pytest.fixture(scope="module")
def logits():
    rng = np.random.default_rng(0)
    return rng.normal(0, 2, [2, 3, 5, 4, 1]).astype(np.float32)


def test_non_saturating_losses_are_cross_entropies(logits):
    real, fake = logits
    probability = 1 / (1 + np.exp(-logits.astype(np.float64)))
    expected = -np.mean(np.log(probability[0])) - np.mean(np.log(1 - probability[1]))
    found = adversarial.non_saturating_discriminator_loss(real, fake)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    found = adversarial.non_saturating_generator_loss(fake)
    assert float(found) == pytest.approx(-np.mean(np.log(probability[1])), rel=1e-5)


def test_least_squares_losses_pull_to_one_and_zero(logits):
    real, fake = logits
    found = adversarial.least_squares_discriminator_loss(real, fake)
    assert float(found) == pytest.approx(np.mean((real - 1) ** 2) + np.mean(fake**2), rel=1e-5)
    found = adversarial.least_squares_generator_loss(fake)
    assert float(found) == pytest.approx(np.mean((fake - 1) ** 2), rel=1e-5)
    assert float(adversarial.least_squares_discriminator_loss(real * 0 + 1, fake * 0)) == 0


def test_losses_stay_finite_for_extreme_logits():
    far = tf.constant([-1e4, 1e4])
    for value in (
        adversarial.non_saturating_discriminator_loss(far, far),
        adversarial.non_saturating_generator_loss(far),
    ):
        assert np.isfinite(float(value))


def test_scales_count_alike_whatever_their_size(logits):
    real, fake = logits
    coarse = (real[:, ::2, ::2] * 0.5, fake[:, ::2, ::2] * 0.5)
    for loss in (
        adversarial.non_saturating_discriminator_loss,
        adversarial.least_squares_discriminator_loss,
    ):
        both = float(loss([real, coarse[0]], [fake, coarse[1]]))
        assert both == pytest.approx((float(loss(real, fake)) + float(loss(*coarse))) / 2, rel=1e-5)
    with pytest.raises(ValueError, match="at least one"):
        adversarial.least_squares_generator_loss([])


def test_half_precision_outputs_give_float32_losses(logits):
    half = tf.cast(logits[0], tf.float16)
    assert adversarial.non_saturating_generator_loss(half).dtype == tf.float32


def features(seed, factor=1.0):
    rng = np.random.default_rng(seed)
    shapes = [[(2, 8, 8, 4), (2, 4, 4, 8)], [(2, 4, 4, 4), (2, 2, 2, 8)]]
    return [[tf.constant(factor * rng.normal(size=s), tf.float32) for s in row] for row in shapes]


def test_feature_matching_is_the_mean_over_layers_of_mean_absolute_differences():
    real, fake = features(1), features(2)
    expected = np.mean(
        [np.mean(np.abs(a - b)) for one, two in zip(real, fake) for a, b in zip(one, two)]
    )
    assert float(feature_matching_loss(real, fake)) == pytest.approx(expected, rel=1e-5)
    as_tuples = tuple(tuple(row) for row in fake)
    assert float(feature_matching_loss(real, as_tuples)) == pytest.approx(expected, rel=1e-5)
    assert float(feature_matching_loss(real, real)) == 0


def test_feature_matching_moves_only_what_was_generated():
    real, fake = features(1), features(2)
    with tf.GradientTape() as tape:
        tape.watch(real)
        tape.watch(fake)
        loss = feature_matching_loss(real, fake)
    to_real, to_fake = tape.gradient(loss, [real, fake])
    assert all(gradient is None for row in to_real for gradient in row)
    assert all(np.any(gradient.numpy() != 0) for row in to_fake for gradient in row)


def test_features_that_do_not_correspond_are_told():
    real = features(1)
    with pytest.raises(ValueError, match="structure"):
        feature_matching_loss(real, real[:1])
    with pytest.raises(ValueError, match="one shape"):
        feature_matching_loss(real, [row[::-1] for row in real])
    with pytest.raises(ValueError, match="at least one"):
        feature_matching_loss([], [])
