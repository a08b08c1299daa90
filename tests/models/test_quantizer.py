"""Quantisation to centres: hard forward, soft backward, and the watch on collapse."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfhific.errors import ModelError
from tfhific.models.quantizer import CentreQuantizer, CollapseWatch, symbol_entropy
from tfhific.published.centres import nearest, spread_centres


def test_five_centres_are_the_papers():
    np.testing.assert_array_equal(spread_centres(5), [-2, -1, 0, 1, 2])
    with pytest.raises(ModelError, match="at least two"):
        spread_centres(1)


def test_forward_is_the_nearest_centre_and_backward_the_soft_assignment():
    layer = CentreQuantizer(5)
    x = tf.constant([[-9.0, -1.4, -0.6, 0.1, 0.9, 30.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        values, symbols = layer(x)
    np.testing.assert_allclose(values, [[-2, -1, -1, 0, 1, 2]], atol=1e-6)
    np.testing.assert_array_equal(symbols, nearest(x.numpy(), spread_centres(5)))
    # sum_j w_j c_j with w = softmax(-(x - c)^2) has the slope 2 (E c^2 - (E c)^2).
    c = spread_centres(5).astype(np.float64)
    away = (x.numpy().astype(np.float64)[..., None] - c) ** 2
    weights = np.exp(away.min(-1, keepdims=True) - away)
    weights /= weights.sum(-1, keepdims=True)
    slope = 2 * ((weights * c**2).sum(-1) - (weights * c).sum(-1) ** 2)
    np.testing.assert_allclose(tape.gradient(values, x), slope, atol=1e-4)


def test_all_centres_can_be_reached_through_the_encoder(extreme_models, photo):
    model = extreme_models["gc"]
    _, symbols = model.code(tf.constant(photo(128, 128)[None], tf.float32) / 127.5 - 1.0, None)
    assert set(np.unique(symbols)) == {0, 1, 2, 3, 4}


def test_centres_move_only_when_they_are_learned():
    for learn in (False, True):
        layer = CentreQuantizer(3, learn=learn)
        layer(tf.zeros([1, 2]))
        assert len(layer.trainable_variables) == int(learn)


def test_entropy_is_that_of_each_channels_histogram():
    symbols = tf.constant([[[[0, 1]], [[1, 1]], [[0, 1]], [[1, 1]]]])
    assert float(symbol_entropy(symbols, 5)) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("logs", "collapsed"),
    [
        ({"code_bits": 0.01, "centre_gap": 1.0}, True),
        ({"code_bits": 2.0, "centre_gap": 0.001}, True),
        ({"code_bits": 2.0, "centre_gap": 1.0}, False),
        ({"mse": 1.0}, False),
    ],
)
def test_a_collapse_is_warned_of_once(logs, collapsed):
    said = []
    watch = CollapseWatch(patience=3, warn=said.append)
    for step in range(10):
        watch.on_train_batch_end(step, logs)
    assert len(said) == int(collapsed)
    if collapsed:
        assert "collapsed" in said[0]


def test_a_short_dip_is_no_collapse():
    said = []
    watch = CollapseWatch(patience=3, warn=said.append)
    for step in range(12):
        bits = 2.0 if step % 3 == 2 else 0.0
        watch.on_train_batch_end(step, {"code_bits": bits, "centre_gap": 1.0})
    assert not said
