"""Strings of several streams, eagerly, in functions and in SavedModels."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port


class Model(tf.Module):
    def __init__(self, streams):
        super().__init__()
        self.entropy_model = tfc_port.LocationScaleIndexedEntropyModel(
            tfc_port.NoisyNormal,
            8,
            lambda i: tf.exp(i / 2 - 1),
            2,
            compression=True,
            streams=streams,
        )

    @tf.function(
        input_signature=[tf.TensorSpec([None, None, None]), tf.TensorSpec([None] * 3, tf.int32)]
    )
    def compress(self, values, indexes):
        return self.entropy_model.compress(values, indexes)

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([None] * 3, tf.int32)]
    )
    def decompress(self, strings, indexes):
        return self.entropy_model.decompress(strings, indexes)


def _data(batch):
    rng = np.random.default_rng(0)
    indexes = rng.integers(0, 8, [batch, 7, 9])
    values = np.rint(rng.normal(size=indexes.shape) * np.exp(indexes / 2 - 1))
    values[0, 0, :2] = [1e5, -1e5]
    return tf.constant(values, tf.float32), tf.constant(indexes, tf.int32)


@pytest.mark.parametrize("streams", [2, 16])
def test_saved_models_and_eager_calls_share_their_strings(streams, tmp_path):
    model = Model(streams)
    tf.saved_model.save(model, str(tmp_path))
    loaded = tf.saved_model.load(str(tmp_path))
    values, indexes = _data(3)
    strings = model.entropy_model.compress(values, indexes)
    assert loaded.compress(values, indexes).numpy().tolist() == strings.numpy().tolist()
    np.testing.assert_array_equal(loaded.decompress(strings, indexes), values)
    np.testing.assert_array_equal(model.entropy_model.decompress(strings, indexes), values)


def test_damaged_strings_fail_the_sanity_check():
    model = Model(4)
    values, indexes = _data(2)
    strings = model.entropy_model.compress(values, indexes).numpy().tolist()
    for bad in ([strings[0][:1], strings[1]], [strings[0], b""], [strings[0] + b"\1", strings[1]]):
        for decompress in (model.entropy_model.decompress, model.decompress):
            with pytest.raises(tf.errors.InvalidArgumentError, match="Sanity check failed"):
                decompress(tf.constant(bad), indexes)


@pytest.mark.parametrize("streams", [1, 8])
@pytest.mark.parametrize("in_graph", [False, True])
def test_no_strings_decode_to_no_values(streams, in_graph):
    options = {"coding_rank": 2, "compression": True, "streams": streams}
    prior = tfc_port.NoisyNormal(loc=[0.0, 1.0], scale=2.0)
    batched = tfc_port.ContinuousBatchedEntropyModel(prior, **options)
    universal = tfc_port.UniversalBatchedEntropyModel(prior, **options)
    indexed = Model(streams).entropy_model
    strings = tf.zeros([0, 2], tf.string)

    def decode(strings, indexes):
        return (
            batched.decompress(strings, [3]),
            universal.decompress(strings, [3]),
            indexed.decompress(strings, indexes),
        )

    if in_graph:
        unknown = tf.TensorSpec([None, None], tf.string), tf.TensorSpec([None] * 4, tf.int32)
        decode = tf.function(decode, input_signature=unknown)
    for values in decode(strings, tf.zeros([0, 2, 3, 2], tf.int32)):
        assert values.shape == [0, 2, 3, 2]
    assert batched.compress(tf.zeros([0, 2, 3, 2])).shape == [0, 2]


def _many(rows, streams):
    return tfc_port.UniversalIndexedEntropyModel(
        tfc_port.NoisyNormal,
        (rows,),
        {"loc": lambda _: 0.0, "scale": lambda i: 1 + i[..., 0] / 100},
        coding_rank=1,
        compression=True,
        num_noise_levels=15,
        streams=streams,
    )


def test_more_tables_than_every_coder_takes_are_refused_when_the_model_is_made():
    with pytest.raises(ValueError, match=r"at most 4096 tables\. Received: 4110"):
        _many(274, 2)
    with pytest.raises(ValueError, match="at most 4096 tables"):
        tfc_port.ContinuousBatchedEntropyModel(
            prior_shape=(5000,), coding_rank=1, compression=True, cdf_shapes=(90000, 5000),
            quantization_offset=False, streams=2,
        )  # fmt: skip


def test_a_thousand_tables_take_little_memory():
    resource = pytest.importorskip("resource")
    model = _many(72, 8)
    rng = np.random.default_rng(0)
    indexes = tf.constant(rng.integers(0, 72, [2, 300, 1]), tf.int32)
    values = tf.constant(rng.normal(size=[2, 300]) * 3, tf.float32)

    @tf.function
    def both_ways(values, indexes):
        return model.decompress(model.compress(values, indexes), indexes)

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    decoded = both_ways(values, indexes)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10 < 256
    np.testing.assert_allclose(decoded, values, atol=0.5)
    assert model.compress(values, indexes)[0] == tf.function(model.compress)(values, indexes)[0]
