"""The conditional GAN of 2014: sizes, schedules, steps, and (slowly) what it learns."""

from __future__ import annotations

import pathlib

import numpy as np
import pytest
import tensorflow as tf

from tfhific.backend import keras
from tfhific.errors import ModelError
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
    np.testing.assert_allclose(found, pieces.max(-1), rtol=1e-5)


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


@pytest.mark.slow
@pytest.mark.skipif(not MNIST.is_dir(), reason="needs MNIST")
def test_a_short_training_gives_digits_that_a_classifier_recognises(capsys):
    from tfhific.data.idx import DigitData, read_digits
    from tfhific.evaluation.parzen import parzen_estimate
    from tfhific.evaluation.recognition import accuracy_by_class, train_classifier

    keras.utils.set_random_seed(0)
    model = trainable(CGAN(), batch_size=100)
    data = DigitData(MNIST, model.training_state.options)
    step = tf.function(model.train_step)
    for number, batch in zip(range(3000), data.batches(0)):
        model.before_step(number, 0.0, 0.0)
        step(batch)
        model.training_state.step.assign_add(1)
    labels = np.repeat(np.arange(10), 200)
    samples = model.sample(labels, 0).numpy()
    shares = accuracy_by_class(train_classifier(read_digits(MNIST), 1), samples, labels)
    flat = samples.reshape(len(samples), -1)
    train, test = (read_digits(MNIST, split).images for split in ("train", "test"))
    held_out = [a.reshape(len(a), -1) / np.float32(255) for a in (train[-500:], test[:500])]
    found = parzen_estimate(flat, *held_out)
    with capsys.disabled():
        print(f"\nrecognised {np.mean(shares):.3f}, by class {np.round(shares, 2)}; {found}")
    assert np.mean(shares) > 0.7
    assert found.mean > 0
