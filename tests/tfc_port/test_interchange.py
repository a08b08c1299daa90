"""Weights, checkpoints and configurations pass between TFC and the port, both ways."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port

tfc = pytest.importorskip("tensorflow_compression", reason="TFC is not installed on this stack")


class FactorizedModel(tf.Module):
    """GDN transform and factorised prior, in either implementation."""

    def __init__(self, api, compression=False):
        super().__init__()
        self.analysis = tf.keras.Sequential(
            [
                api.SignalConv2D(
                    4, 5, corr=True, strides_down=2, padding="same_zeros", use_bias=True,
                    activation=api.GDN(name="gdn"), name="layer_0",
                ),
                api.SignalConv2D(3, (3, 4), padding="same_reflect", name="layer_1"),
            ]
        )  # fmt: skip
        self.analysis.build([None, 16, 16, 3])
        self.prior = api.NoisyNormal(
            loc=tf.Variable([0.1, 0.0, -0.3]), scale=tf.Variable([1.0, 2.0, 0.5])
        )
        self.deep = api.NoisyDeepFactorized(batch_shape=(3,))
        if compression:
            self.entropy_model = api.ContinuousBatchedEntropyModel(self.prior, 3, compression=True)

    def __call__(self, images):
        return self.analysis(images)


class MeanScaleModel(tf.Module):
    """Means and scales from one convolution, in either implementation."""

    def __init__(self, api):
        super().__init__()
        self.transform = api.SignalConv2D(8, 3, padding="same_zeros", kernel_parameter="variable")
        self.transform.build([None, 8, 8, 4])
        self.entropy_model = api.LocationScaleIndexedEntropyModel(
            api.NoisyNormal, 16, lambda i: tf.exp(i / 8 - 1), 3, compression=True
        )

    def compress(self, values):
        loc, indexes = tf.split(self.transform(values), 2, axis=-1)
        return self.entropy_model.compress(values, indexes, loc)


def _perturb(module):
    for variable in module.trainable_variables:
        variable.assign_add(0.05 * tf.random.normal(variable.shape))


@pytest.mark.parametrize(("writer", "reader"), [(tfc, tfc_port), (tfc_port, tfc)])
def test_checkpoint_of_factorized_model_restores_in_the_other(writer, reader, tmp_path):
    written, read = FactorizedModel(writer, True), FactorizedModel(reader, True)
    _perturb(written)
    path = tf.train.Checkpoint(model=written).save(str(tmp_path / "checkpoint"))
    status = tf.train.Checkpoint(model=read).restore(path)
    status.assert_consumed().assert_existing_objects_matched()
    images = tf.random.uniform([2, 16, 16, 3])
    values = written(images)
    np.testing.assert_allclose(values, read(images), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        written.deep.log_prob(values), read.deep.log_prob(values), rtol=1e-5, atol=1e-6
    )
    strings = written.entropy_model.compress(values)
    assert strings.numpy().tolist() == read.entropy_model.compress(values).numpy().tolist()
    np.testing.assert_array_equal(
        read.entropy_model.decompress(strings, values.shape[1:3]),
        written.entropy_model.decompress(strings, values.shape[1:3]),
    )


@pytest.mark.parametrize(("writer", "reader"), [(tfc, tfc_port), (tfc_port, tfc)])
def test_checkpoint_of_mean_scale_model_restores_in_the_other(writer, reader, tmp_path):
    written, read = MeanScaleModel(writer), MeanScaleModel(reader)
    _perturb(written)
    path = tf.train.Checkpoint(model=written).save(str(tmp_path / "checkpoint"))
    status = tf.train.Checkpoint(model=read).restore(path)
    status.assert_consumed().assert_existing_objects_matched()
    values = 5 * tf.random.normal([2, 8, 8, 4], seed=1)
    assert written.compress(values).numpy().tolist() == read.compress(values).numpy().tolist()


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_keras_weights_load_in_the_other(suffix, tmp_path):
    images = tf.random.uniform([1, 16, 16, 3])
    for writer, reader in ((tfc, tfc_port), (tfc_port, tfc)):
        written, read = FactorizedModel(writer).analysis, FactorizedModel(reader).analysis
        _perturb(written)
        path = str(tmp_path / f"weights{suffix}")
        written.save_weights(path)
        read.load_weights(path)
        np.testing.assert_allclose(written(images), read(images), rtol=1e-5, atol=1e-6)


def test_configurations_and_variable_names_are_the_same():
    arguments = [
        ("SignalConv2D", {"filters": 2, "kernel_support": 3, "use_bias": True}),
        ("SignalConv1D", {"filters": 2, "kernel_support": 4, "kernel_parameter": "variable"}),
        ("GDN", {"inverse": True}),
        ("GDN", {"alpha_parameter": None, "epsilon_parameter": 0.5, "rectify": True}),
    ]
    for name, options in arguments:
        theirs = getattr(tfc, name)(name="layer", **options)
        ours = getattr(tfc_port, name)(name="layer", **options)
        shape = [2, 9, 3] if name == "SignalConv1D" else [2, 9, 9, 3]
        theirs.build(shape)
        ours.build(shape)
        assert ours.get_config() == theirs.get_config()
        assert [v.name for v in ours.weights] == [v.name for v in theirs.weights]
        copied = type(ours).from_config(theirs.get_config())
        copied.build(shape)
        assert [v.shape for v in copied.weights] == [v.shape for v in theirs.weights]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolutions_give_the_same_outputs_or_the_same_error(rank):
    rng = np.random.default_rng(rank)
    for _ in range(25):
        options = {
            "filters": int(rng.integers(1, 3)),
            "kernel_support": tuple(int(k) for k in rng.integers(1, 6, rank)),
            "corr": bool(rng.integers(2)),
            "strides_down": int(rng.integers(1, 3)),
            "strides_up": int(rng.integers(1, 4)),
            "padding": str(rng.choice(["valid", "same_zeros", "same_reflect"])),
            "extra_pad_end": [None, True, False][int(rng.integers(3))],
            "channel_separable": bool(rng.random() < 0.3),
            "use_explicit": bool(rng.integers(2)),
            "kernel_parameter": str(rng.choice(["rdft", "variable"])),
            "use_bias": True,
        }
        theirs = getattr(tfc, f"SignalConv{rank}D")(**options)
        ours = getattr(tfc_port, f"SignalConv{rank}D")(**options)
        inputs = tf.constant(rng.normal(size=[2, *rng.integers(6, 9, rank), 3]), tf.float32)
        try:
            expected = theirs(inputs)
        except NotImplementedError:
            with pytest.raises(NotImplementedError, match="not currently implemented"):
                ours(inputs)
            continue
        ours.build(inputs.shape)
        ours.set_weights(theirs.get_weights())
        outputs = ours(inputs)
        np.testing.assert_allclose(outputs, expected, rtol=1e-5, atol=1e-5)
        assert ours.compute_output_shape(inputs.shape) == outputs.shape


def test_packed_tensors_are_the_same_bytes():
    tensors = [tf.constant([1, -2]), tf.constant([b"a", b""]), tf.constant([0.5])]
    strings = []
    for api in (tfc, tfc_port):
        packed = api.PackedTensors()
        packed.model = "name"
        packed.pack(tensors)
        strings.append(packed.string)
    assert strings[0] == strings[1]
    unpacked = tfc_port.PackedTensors(strings[0]).unpack([tf.int32, tf.string, tf.float32])
    assert [u.numpy().tolist() for u in unpacked] == [t.numpy().tolist() for t in tensors]
