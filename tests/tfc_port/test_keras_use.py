"""Use from Keras programs: saving and loading models, mixed precision, subclasses."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tfc_port


class Codec(tf.keras.Model):
    """A model that Keras saves with its tables and both of its functions."""

    def __init__(self):
        super().__init__()
        self.analysis = tf.keras.Sequential(
            [
                tfc_port.SignalConv2D(
                    4, 5, corr=True, strides_down=2, padding="same_zeros", use_bias=True,
                    activation=tfc_port.GDN(name="gdn"),
                )
            ]
        )  # fmt: skip
        self.prior = tfc_port.NoisyDeepFactorized(batch_shape=(4,))
        self.build((None, None, None, 3))

    def call(self, images, training=False):
        model = tfc_port.ContinuousBatchedEntropyModel(self.prior, coding_rank=3)
        return model(self.analysis(tf.cast(images, self.compute_dtype)), training=training)

    def prepare(self):
        self.entropy_model = tfc_port.ContinuousBatchedEntropyModel(
            self.prior, coding_rank=3, compression=True
        )

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3])])
    def compress(self, images):
        y = self.analysis(tf.cast(images, self.compute_dtype))
        return self.entropy_model.compress(y), tf.shape(y)[1:-1]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string), tf.TensorSpec([2], tf.int32)])
    def decompress(self, strings, shape):
        return self.entropy_model.decompress(strings, shape)


@pytest.fixture
def policy(request):
    """Sets Keras's global precision for one test."""
    mixed_precision = tf.keras.mixed_precision
    before = mixed_precision.global_policy()
    mixed_precision.set_global_policy(request.param)
    yield request.param
    mixed_precision.set_global_policy(before)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"], indirect=True)
def test_keras_saves_and_loads_models_whose_strings_stay_the_same(policy, tmp_path):
    tf.random.set_seed(1)
    images = tf.random.uniform([2, 9, 7, 3], maxval=255.0)
    codec = Codec()
    perturbed, bits = codec(images, training=True)
    assert perturbed.dtype == codec.compute_dtype
    assert bits.dtype == tf.float32
    assert all(variable.dtype == tf.float32 for variable in codec.trainable_variables)
    codec.prepare()
    strings, shape = codec.compress(images)
    decoded = codec.decompress(strings, shape)
    assert decoded.dtype == codec.compute_dtype
    codec.save(str(tmp_path / "codec"), save_format="tf")
    loaded = tf.keras.models.load_model(str(tmp_path / "codec"))
    assert loaded.compress(images)[0].numpy().tolist() == strings.numpy().tolist()
    np.testing.assert_array_equal(loaded.decompress(strings, shape), decoded)


def test_a_subclass_that_quantises_otherwise_is_evaluated_so():
    class Coarse(tfc_port.ContinuousIndexedEntropyModel):
        def quantize(self, bottleneck):
            return 2 * tf.round(tf.convert_to_tensor(bottleneck) / 2)

    model = Coarse(
        tfc_port.NoisyNormal,
        (4,),
        {"loc": lambda _: 0.0, "scale": lambda i: tf.exp(i)},
        coding_rank=1,
        channel_axis=None,
    )
    perturbed, _ = model([1.2, 2.9, -3.1], [0, 1, 2], training=False)
    assert perturbed.numpy().tolist() == [2, 2, -4]


@pytest.mark.skipif(
    tuple(map(int, tf.__version__.split(".")[:2])) < (2, 16),
    reason="this TensorFlow comes with Keras 2",
)
@pytest.mark.parametrize("layer", ["GDN()", "SignalConv2D(3, 5)", "SoftRound()"])
def test_without_the_environment_variable_the_first_layer_says_what_to_set(layer):
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    run = subprocess.run(
        [sys.executable, "-c", f"import tfc_port; tfc_port.{layer}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "TF_USE_LEGACY_KERAS=1" in run.stderr.strip().splitlines()[-1]
