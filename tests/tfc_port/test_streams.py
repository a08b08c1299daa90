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
