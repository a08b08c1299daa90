"""The layers that transforms are composed of."""

from __future__ import annotations

import numpy as np

from tfhific.backend import keras
from tfhific.models.layers import DepthToSpace, Parallel, Residual, Scale, SpaceToDepth


def test_blocks_become_channels_and_come_back():
    x = np.random.default_rng(0).normal(size=[2, 8, 12, 3]).astype(np.float32)
    deep = SpaceToDepth(4)(x)
    assert deep.shape == (2, 2, 3, 48)
    np.testing.assert_array_equal(deep[1, 1, 2], x[1, 4:8, 8:12].reshape(-1))
    np.testing.assert_array_equal(DepthToSpace(4)(deep), x)


def test_parallel_is_the_sum_and_residual_adds_the_input():
    x = np.random.default_rng(1).normal(size=[1, 2, 2, 3]).astype(np.float32)
    branches = [Scale(2.0), keras.layers.ReLU()]
    np.testing.assert_allclose(Parallel(branches)(x), 2 * x + np.maximum(x, 0), rtol=1e-6)
    np.testing.assert_allclose(Residual(Scale(0.5))(x), 1.5 * x, rtol=1e-6)


def test_weights_of_inner_layers_are_trained():
    layer = Parallel([keras.layers.Dense(3), Residual(keras.layers.Dense(3))])
    layer(np.zeros([1, 3], np.float32))
    assert len(layer.trainable_variables) == 4


def test_configurations_give_the_same_layer_again():
    for layer in (SpaceToDepth(2), DepthToSpace(2), Scale(0.25)):
        again = type(layer).from_config(layer.get_config())
        x = np.random.default_rng(2).normal(size=[1, 4, 4, 8]).astype(np.float32)
        np.testing.assert_array_equal(again(x), layer(x))
