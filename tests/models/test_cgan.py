"""The conditional GAN of 2014: sizes, schedules, steps, and (slowly) what it learns."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tfhific.backend import keras
from tfhific.data.idx import Digits, read_digits
from tfhific.errors import ModelError
from tfhific.evaluation.parzen import parzen_estimate
from tfhific.evaluation.recognition import accuracy_by_class, train_classifier
from tfhific.models.cgan import CGAN, CGANConfig
from tfhific.models.maxout import Maxout
from tfhific.models.system import Training, TrainingOptions

MNIST = pathlib.Path(__file__).resolve().parents[2] / "../shared/data/mnist"


def trainable(model, **options):
    options = TrainingOptions(**{"batch_size": 4, "clip_norm": 0.0, **options})
    model.build_for(options)
    groups, optimizers = model.groups(options), model.build_optimizers(options)
    for name, optimizer in optimizers.items():
        optimizer.build(groups[name])
    model.training_state = Training(options, optimizers, groups, tf.Variable(0, dtype=tf.int64))
    return model


def test_sizes_are_the_papers():
    model = CGAN()
    model.build_variables()
    shapes = [tuple(v.shape) for v in model.generator.trainable_variables if v.shape.rank == 2]
    assert shapes == [(100, 200), (10, 1000), (1200, 1200), (1200, 784)]
    shapes = [tuple(v.shape) for v in model.discriminator.trainable_variables if v.shape.rank == 2]
    assert shapes == [(784, 240 * 5), (10, 50 * 5), (290, 240 * 4), (240, 1)]


def test_maxout_is_the_largest_piece():
    layer = Maxout(3, 4)
    x = tf.random.stateless_normal([2, 5], [0, 1])
    found = layer(x).numpy()
    pieces = (x.numpy() @ layer.kernel.numpy() + layer.bias.numpy()).reshape(2, 3, 4)
    # One may be near 0, a sum of terms of a hundredth or so.
    np.testing.assert_allclose(found, pieces.max(-1), rtol=1e-5, atol=1e-7)


def test_schedules_are_the_papers():
    model = CGAN()
    assert model.schedule(0) == (0.1, 0.5)
    rate, momentum = model.schedule(30_000)
    assert rate == pytest.approx(0.1 / 1.00004**30_000)
    assert momentum == pytest.approx(0.6)
    assert model.schedule(1_000_000) == (1e-6, pytest.approx(0.7))


def test_schedules_reach_the_optimisers_and_the_step_uses_them():
    tiny = {"side": 4, "classes": 2, "noise": 3, "noise_units": 4, "label_units": 4}
    model = trainable(CGAN(CGANConfig(joint_units=4, momentum_steps=10, **tiny)))
    images = np.random.default_rng(0).integers(256, size=[4, 4, 4]).astype(np.uint8)
    data = tf.constant(images), tf.constant([0, 1, 0, 1])
    step = tf.function(model.train_step)
    for number in (0, 5, 20):
        model.before_step(number, 0.0, 123.0)
        report = step(data)
        for optimizer in model.training_state.optimizers.values():
            rate, momentum = model.schedule(number)
            assert float(optimizer.learning_rate) == pytest.approx(rate)
            assert float(optimizer.momentum) == pytest.approx(momentum)
    assert all(np.isfinite(float(value)) for value in report.values())
    # The graph, traced once, follows the variables: without rate and momentum nothing moves.
    for optimizer in model.training_state.optimizers.values():
        optimizer.learning_rate.assign(0.0)
        optimizer.momentum.assign(0.0)
    before = [v.numpy() for v in model.trainable_variables]
    step(data)
    for one, other in zip(before, model.trainable_variables):
        np.testing.assert_array_equal(one, other.numpy())


def test_samples_follow_label_and_seed():
    model = CGAN(CGANConfig(side=6, classes=3))
    first = model.sample([0, 1, 2], 4, dropout=False).numpy()
    assert first.shape == (3, 6, 6, 1)
    assert first.min() >= 0
    assert first.max() <= 1
    np.testing.assert_array_equal(first, model.sample([0, 1, 2], 4, dropout=False).numpy())
    assert np.any(first != model.sample([0, 1, 2], 5, dropout=False).numpy())
    assert np.any(first != model.sample([1, 2, 0], 4, dropout=False).numpy())


def test_impossible_sizes_are_refused():
    with pytest.raises(ModelError, match="at least 1"):
        CGANConfig(side=0)


SMALL = {
    "side": 14,
    "noise_units": 50,
    "label_units": 100,
    "joint_units": 200,
    "image_maxout": 60,
    "label_maxout": 20,
    "joint_maxout": 60,
}


def halved(digits, classes):
    """MNIST's pictures of some classes at half their size, the classes numbered from 0."""
    chosen = np.isin(digits.labels, classes)
    images = digits.images[chosen].reshape(-1, 14, 2, 14, 2).mean((2, 4))
    return Digits(np.rint(images).astype(np.uint8), np.searchsorted(classes, digits.labels[chosen]))


def learns(classes, steps, say):
    """Trains on some classes; the share of each that is recognised, and Parzen's estimates."""
    keras.utils.set_random_seed(0)
    train, test = (halved(read_digits(MNIST, split), classes) for split in ("train", "test"))
    model = trainable(CGAN(CGANConfig(classes=len(classes), **SMALL)), batch_size=100)
    step = tf.function(model.train_step)
    labels = np.repeat(np.arange(len(classes)), 200)
    held_out = [
        images.reshape(len(images), -1) / np.float32(255)
        for images in (train.images[-500:], test.images[:500])
    ]

    def estimate():
        samples = model.sample(labels, 0).numpy()
        return samples, parzen_estimate(samples.reshape(len(samples), -1), *held_out)

    before = estimate()[1]
    rng = np.random.default_rng(0)
    for number in range(steps):
        chosen = rng.integers(len(train.labels), size=100)
        model.before_step(number, 0.0, 0.0)
        step((tf.constant(train.images[chosen]), tf.constant(train.labels[chosen])))
        model.training_state.step.assign_add(1)
    samples, after = estimate()
    shares = accuracy_by_class(train_classifier(train, 1), samples, labels)
    with say.disabled():
        print(f"\nrecognised {np.mean(shares):.3f}, by class {np.round(shares, 2)}; {after}")
    return shares, before.mean, after.mean


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST")
def test_three_digits_are_soon_made_as_they_were_asked_for(capsys):
    shares, before, after = learns([0, 1, 7], 1200, capsys)
    assert np.min(shares) > 0.8
    assert after > before + 50


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST")
def test_a_short_training_gives_digits_that_a_classifier_recognises(capsys):
    shares, before, after = learns(list(range(10)), 5000, capsys)
    assert np.mean(shares) > 0.7
    assert np.min(shares) > 0.4
    assert after > before + 50
