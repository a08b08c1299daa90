"""A layer kind of somebody's own: one class that is an op, one that folds it, nothing else."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest
import tensorflow as tf

from tfhific.backend import keras
from tfhific.codec.hyperprior import HyperpriorCodec
from tfhific.errors import ModelError
from tfhific.models.layers import Residual
from tfhific.models.mini import Mini
from tfhific.published import ops
from tfhific.published.network import Network
from tfhific.published.ops import Op, PerChannel
from tfhific.published.store import load_model, save_model
from tfhific.publishing import folding
from tfhific.publishing.fold import fold, unfold
from tfhific.publishing.folding import LayerFolding, folds
from tfhific.publishing.hyperprior import publish
from tfhific.runtimes import tiling
from tfhific.runtimes.tiling import Geometry


def dilated(x, gain):
    """Each value's 3x3 surroundings' largest, times a gain a channel."""
    return tf.nn.max_pool2d(x, 3, 1, "SAME") * gain


class Dilation(keras.layers.Layer):
    """A layer that tfhific does not have."""

    def build(self, input_shape) -> None:
        self.gain = self.add_weight(
            name="gain", shape=(int(input_shape[-1]),), initializer=keras.initializers.Constant(0.5)
        )
        super().build(input_shape)

    def call(self, inputs):
        return dilated(inputs, self.gain)


@pytest.fixture(scope="module", autouse=True)
def dilation():
    """The kind `dilation`, known as long as these tests run."""

    @ops.register
    class DilationOp(PerChannel):
        kind = "dilation"
        ranks = {"gain": 1}  # noqa: RUF012 (as somebody would write it)

        @property
        def radius(self):
            return Fraction(1)

        def run(self, x, arrays):
            return dilated(x, arrays(self.stored("gain"), x))

    @folds(Dilation)
    class DilationFolding(LayerFolding):
        variables = ("gain",)

        def entries(self, layer, prefix):
            return [DilationOp.entry(name=prefix)]

    yield DilationOp
    del ops.KINDS["dilation"], folding.FOLDINGS[Dilation]


@pytest.fixture(scope="module")
def model(tiny_config):
    keras.utils.set_random_seed(3)
    model = Mini(tiny_config)
    last = model.synthesis.branches[1]
    model.synthesis.branches[1] = keras.Sequential(
        [Residual(keras.Sequential([Dilation()])), *last.layers]
    )
    model(tf.zeros([1, 64, 64, 3]))
    for variable in model.synthesis.trainable_variables:
        variable.assign_add(tf.random.normal(variable.shape, stddev=0.02))
    return model


@pytest.fixture(scope="module")
def published(model):
    return publish(model, "mine", {"system": "mini"})


def test_it_folds_and_runs(model):
    network = fold(model.synthesis, "synthesis")
    assert '"op": "dilation"' in json.dumps(network.layers)
    y = np.random.default_rng(0).normal(size=[1, 4, 5, 48]).astype(np.float32)
    np.testing.assert_allclose(network(y), model.synthesis(y), rtol=1e-4, atol=1e-4)


def test_it_is_published_read_again_and_codes_pictures_whole_and_in_tiles(
    published, photo, tmp_path
):
    save_model(published, tmp_path)
    loaded = load_model(tmp_path)
    assert loaded.networks["synthesis"].layers == published.networks["synthesis"].layers
    picture = photo(150, 203, seed=4)
    data = HyperpriorCodec(loaded).compress(picture, 6.0)
    whole, tiled = (HyperpriorCodec(loaded, tile=tile).decompress(data) for tile in (None, 64))
    assert whole.shape == picture.shape
    assert np.abs(whole.astype(int) - tiled).max() <= 1


def test_its_reach_is_what_tiles_need(dilation):
    rng = np.random.default_rng(1)
    gain = rng.uniform(0.5, 1, [3]).astype(np.float32)
    network = Network([dilation.entry(name="d"), dilation.entry(name="d")], {"d/gain": gain})
    geometry = Geometry.of(network)
    assert (geometry.down, geometry.up, geometry.reach) == (1, 1, 2)
    x = rng.normal(size=[9, 11, 3]).astype(np.float32)
    whole = network(x[None]).numpy()[0]

    def assembled(of: Geometry):
        return tiling.assemble(lambda values: network(values).numpy(), of, x, 3)

    np.testing.assert_array_equal(assembled(geometry), whole)
    assert not np.array_equal(assembled(Geometry(1, 1, 1)), whole)


def test_a_trainable_network_gets_its_variables_back(model):
    layer = model.synthesis.branches[1].layers[0].branch.layers[0]
    kept = layer.gain.numpy()
    network = fold(model.synthesis, "synthesis")
    layer.gain.assign_add(tf.ones_like(layer.gain))
    unfold(model.synthesis, "synthesis", network.weights)
    np.testing.assert_array_equal(layer.gain, kept)


def test_malformed_ones_are_refused(dilation):
    with pytest.raises(ModelError, match="'d/gain'"):
        Network([dilation.entry(name="d")], {})
    with pytest.raises(ModelError, match="1 dimensions"):
        Network([dilation.entry(name="d")], {"d/gain": np.ones([2, 2], np.float32)})
    conv = ops.Conv.entry(name="c", stride=1)
    weights = {
        "c/kernel": np.ones([1, 1, 1, 3], np.float32),
        "c/bias": np.ones([3], np.float32),
        "d/gain": np.ones([2], np.float32),
    }
    with pytest.raises(ModelError, match="expects 2 channels and receives 3"):
        Network([conv, dilation.entry(name="d")], weights)


def test_a_name_or_a_keras_layer_that_is_taken_is_refused():
    with pytest.raises(ModelError, match="stored as 'conv' already"):

        @ops.register
        class Convolution(Op):
            kind = "conv"

            def run(self, x, arrays):
                return x

    with pytest.raises(ModelError, match="folding already"):

        @folds(Dilation)
        class Again(LayerFolding):
            def entries(self, layer, prefix):
                return []


def test_unknown_to_another_version_it_is_told_by_its_name(published, tmp_path, monkeypatch):
    save_model(published, tmp_path)
    monkeypatch.delitem(ops.KINDS, "dilation")
    with pytest.raises(ModelError, match=r"dilation.*A newer tfhific may read it"):
        load_model(tmp_path)
