"""`.keras` and `.weights.h5` files: equal outputs after loading, or an error."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port

IMAGES = tf.constant(np.random.default_rng(0).uniform(size=[1, 8, 8, 3]), tf.float32)


def _perturb(model):
    rng = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign_add(rng.uniform(0.01, 0.1, variable.shape).astype(np.float32))


def _functional(kernel="rdft"):
    return tf.keras.Sequential(
        [
            tf.keras.Input([None, None, 3]),
            tfc_port.SignalConv2D(
                4, 5, corr=True, strides_down=2, padding="same_zeros", use_bias=True,
                kernel_parameter=kernel, activation=tfc_port.GDN(name="gdn"),
            ),
            tfc_port.GDN(inverse=True, rectify=True, alpha_parameter=None, epsilon_parameter=None),
            tfc_port.SignalConv2D(3, 3, strides_up=2, padding="same_zeros"),
        ]
    )  # fmt: skip


class Codec(tf.keras.Model):
    """A subclassed model with a prior and an entropy model."""

    def __init__(self, family="deep"):
        super().__init__()
        self.analysis = tf.keras.Sequential(
            [tfc_port.SignalConv2D(4, 3, padding="same_zeros", activation=tfc_port.GDN(name="gdn"))]
        )
        if family == "deep":
            self.prior = tfc_port.NoisyDeepFactorized(batch_shape=(4,))
        else:
            self.prior = tfc_port.NoisyNormal(
                loc=tf.Variable([0.1, 0.2, 0.3, 0.4]), scale=tf.Variable(tf.ones([4]))
            )
        self.coder = tfc_port.ContinuousBatchedEntropyModel(self.prior, 3, compression=True)

    def call(self, images):
        return self.prior.log_prob(self.analysis(images))


@pytest.mark.parametrize("kernel", ["rdft", "variable"])
def test_a_model_loaded_from_a_keras_file_gives_equal_outputs(kernel, tmp_path):
    model = _functional(kernel)
    _perturb(model)
    model.save(str(tmp_path / "model.keras"))
    loaded = tf.keras.models.load_model(str(tmp_path / "model.keras"))
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))


@pytest.mark.parametrize("family", ["deep", "normal"])
def test_weights_of_a_subclassed_model_come_back_with_prior_and_tables(family, tmp_path):
    written, read = Codec(family), Codec(family)
    written(IMAGES), read(IMAGES)
    _perturb(written)
    written.coder = tfc_port.ContinuousBatchedEntropyModel(written.prior, 3, compression=True)
    written.save_weights(str(tmp_path / "codec.weights.h5"))
    read.load_weights(str(tmp_path / "codec.weights.h5"))
    np.testing.assert_array_equal(read(IMAGES), written(IMAGES))
    for ours, theirs in zip(read.coder.variables, written.coder.variables):
        np.testing.assert_array_equal(ours, theirs)
    latents = written.analysis(IMAGES)
    assert read.coder.compress(latents) == written.coder.compress(latents)


def test_weights_are_refused_by_layers_that_are_not_built(tmp_path):
    written = Codec()
    written(IMAGES)
    written.save_weights(str(tmp_path / "codec.weights.h5"))
    with pytest.raises(ValueError, match="not built"):
        Codec().load_weights(str(tmp_path / "codec.weights.h5"))


def test_files_without_the_kernels_are_refused(tmp_path):
    h5py = pytest.importorskip("h5py")
    model = _functional()
    path = tmp_path / "model.weights.h5"
    model.save_weights(str(path))
    # What Keras's own way of saving writes: the biases alone.
    with h5py.File(path, "a") as file:
        names = []
        file.visit(names.append)
        for name in names:
            if ":" in name:
                del file[name]
    with pytest.raises(ValueError, match=r"lacks .*kernel_parameter"):
        model.load_weights(str(path))


def test_files_of_another_shape_are_refused(tmp_path):
    path = str(tmp_path / "gdn.weights.h5")
    for channels in (3, 4):
        model = tf.keras.Sequential([tf.keras.Input([channels]), tfc_port.GDN()])
        if channels == 3:
            model.save_weights(path)
    with pytest.raises(ValueError, match="must have shape"):
        model.load_weights(path)


def test_files_that_lack_an_entropy_model_are_refused(tmp_path):
    path = str(tmp_path / "model.weights.h5")
    without = Codec()
    del without.coder, without.prior
    without.analysis(IMAGES)
    without.save_weights(path)
    read = Codec()
    read(IMAGES)
    with pytest.raises(ValueError, match="lacks"):
        read.load_weights(path)
