"""The layers that transforms are composed of."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tfhific.backend import keras, tfc
from tfhific.errors import ArgumentError
from tfhific.models.convolutions import PaddedConv2D
from tfhific.models.layers import (
    GDN,
    DepthToSpace,
    InOrder,
    Parallel,
    Residual,
    Scale,
    SpaceToDepth,
)
from tfhific.models.normalisation import ChannelNorm


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


def _network() -> InOrder:
    branch = [PaddedConv2D(4, 3), ChannelNorm(), keras.layers.ReLU(), PaddedConv2D(4, 3)]
    blocks = [Residual(InOrder(branch)), Residual(PaddedConv2D(4, 3))]
    return InOrder([PaddedConv2D(4, 3, 2), InOrder(blocks), PaddedConv2D(2, 3)])


def test_a_network_is_built_for_a_shape_with_the_weights_of_one_that_is_called():
    built, called = _network(), _network()
    keras.utils.set_random_seed(3)
    built.build((None, None, None, 3))
    weights = [weight.numpy() for weight in built.weights]
    assert len(weights) == 12
    assert built.compute_output_shape((1, 8, 6, 3)) == (1, 4, 3, 2)
    x = np.random.default_rng(0).normal(size=[1, 8, 6, 3]).astype(np.float32)
    keras.utils.set_random_seed(3)
    np.testing.assert_array_equal(called(x), built(x))
    assert len(built.weights) == len(weights)
    for weight, before in zip(built.weights, weights):
        np.testing.assert_array_equal(weight, before)


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn_is_that_of_tfc_and_its_graph_has_no_conditions(inverse):
    ours, theirs = GDN(inverse=inverse), tfc.GDN(inverse=inverse)
    x = np.random.default_rng(1).normal(size=[2, 3, 5, 4]).astype(np.float32)
    np.testing.assert_array_equal(ours(x), theirs(x))
    function = tf.function(ours, autograph=False).get_concrete_function(tf.TensorSpec(x.shape))
    assert not [op.name for op in function.graph.get_operations() if "If" in op.type]
    np.testing.assert_allclose(function(tf.constant(x)), theirs(x), rtol=1e-5)


def test_other_exponents_of_gdn_are_refused():
    with pytest.raises(ArgumentError, match="Expected alpha_parameter = 1"):
        GDN(alpha_parameter=2)
    layer = GDN(inverse=True)
    assert GDN.from_config(layer.get_config()).inverse
