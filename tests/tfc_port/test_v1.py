"""The API of TFC 1.3: programs of the TensorFlow-1 era, and layers in Keras 2."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tfc_port
import tfc_port.v1 as tfc

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A scale hyperprior in the style of 2018: a graph with placeholders, sessions, a saver.
SESSION = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow_compression as tfc

tf.disable_v2_behavior()
folder = sys.argv[1]
scale_table = np.exp(np.linspace(np.log(0.11), np.log(16), 6))


class Transform(tf.keras.layers.Layer):
    def __init__(self, filters, up, *args, **kwargs):
        self.filters, self.up = filters, up
        super().__init__(*args, **kwargs)

    def build(self, input_shape):
        scaling = {"strides_up": 2} if self.up else {"strides_down": 2, "corr": True}
        self._layers = [
            tfc.SignalConv2D(
                self.filters, (3, 3), name="layer_0", padding="same_zeros", use_bias=True,
                activation=tfc.GDN(name="gdn_0", inverse=self.up), **scaling
            )
        ]
        super().build(input_shape)

    def call(self, tensor):
        for layer in self._layers:
            tensor = layer(tensor)
        return tensor


def model(x, training):
    y = Transform(4, False, name="analysis")(x)
    z = Transform(2, False, name="hyper_analysis")(tf.abs(y))
    bottleneck = tfc.EntropyBottleneck(name="entropy_bottleneck")
    z_tilde, z_likelihoods = bottleneck(z, training=training)
    sigma = tf.abs(Transform(4, True, name="hyper_synthesis")(z_tilde))
    conditional = tfc.GaussianConditional(sigma, scale_table, name="gaussian_conditional")
    y_tilde, y_likelihoods = conditional(y, training=training)
    x_tilde = Transform(3, True, name="synthesis")(y_tilde)
    return y, z, bottleneck, conditional, y_tilde, x_tilde, [y_likelihoods, z_likelihoods]


def train(images):
    y, z, bottleneck, conditional, y_tilde, x_tilde, likelihoods = model(images, True)
    bits = sum(tf.reduce_sum(tf.log(each)) / -np.log(2) for each in likelihoods)
    loss = 0.01 * bits + 100 * tf.reduce_mean(tf.squared_difference(images, x_tilde))
    step = tf.train.create_global_step()
    main = tf.train.AdamOptimizer(1e-2).minimize(loss, global_step=step)
    aux = tf.train.AdamOptimizer(1e-1).minimize(bottleneck.losses[0])
    tf.summary.scalar("loss", loss)
    bottleneck.visualize()
    train_op = tf.group(main, aux, bottleneck.updates[0])
    with tf.train.MonitoredTrainingSession(
        hooks=[tf.train.StopAtStepHook(last_step=6), tf.train.NanTensorHook(loss)],
        checkpoint_dir=folder, save_checkpoint_secs=300, save_summaries_secs=60,
    ) as session:
        while not session.should_stop():
            session.run(train_op)


def restore(session):
    tf.train.Saver().restore(session, tf.train.latest_checkpoint(folder))


images = np.random.RandomState(0).rand(1, 16, 24, 3).astype(np.float32)
with tf.Graph().as_default():
    train(tf.constant(images))
names = {name for name, _ in tf.train.list_variables(tf.train.latest_checkpoint(folder))}
for name in (
    "analysis/layer_0/kernel_rdft", "analysis/layer_0/bias", "analysis/layer_0/gdn_0/reparam_beta",
    "analysis/layer_0/gdn_0/reparam_gamma", "entropy_bottleneck/matrix_0",
    "entropy_bottleneck/bias_3", "entropy_bottleneck/factor_2", "entropy_bottleneck/quantiles",
    "entropy_bottleneck/quantized_cdf",
):
    assert name in names, (name, sorted(names))

with tf.Graph().as_default():
    x = tf.placeholder(tf.float32, [1, None, None, 3])
    y, z, bottleneck, conditional, y_hat, _, _ = model(x, False)
    tensors = [
        conditional.compress(y), bottleneck.compress(z), tf.shape(y)[1:-1], tf.shape(z)[1:-1],
    ]
    with tf.Session() as session:
        restore(session)
        arrays, expected = session.run([tensors, y_hat], {x: images})
    packed = tfc.PackedTensors()
    packed.pack(tensors, arrays)

with tf.Graph().as_default():
    string, side_string = tf.placeholder(tf.string, [1]), tf.placeholder(tf.string, [1])
    y_shape, z_shape = tf.placeholder(tf.int32, [2]), tf.placeholder(tf.int32, [2])
    bottleneck = tfc.EntropyBottleneck(name="entropy_bottleneck", dtype=tf.float32)
    z_hat = bottleneck.decompress(side_string, tf.concat([z_shape, [2]], 0), channels=2)
    sigma = tf.abs(Transform(4, True, name="hyper_synthesis")(z_hat))
    conditional = tfc.GaussianConditional(sigma, scale_table, dtype=tf.float32)
    y_hat = conditional.decompress(string)
    tensors = [string, side_string, y_shape, z_shape]
    values = tfc.PackedTensors(packed.string).unpack(tensors)
    with tf.Session() as session:
        restore(session)
        decoded = session.run(y_hat, dict(zip(tensors, values)))
np.testing.assert_array_equal(decoded, expected)
print("decoded", decoded.shape, "from", len(packed.string))
"""

ESTIMATOR = """
import sys
import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow_compression as tfc

tf.disable_v2_behavior()


def model_fn(features, labels, mode):
    training = mode == tf.estimator.ModeKeys.TRAIN
    y = tf.keras.layers.Dense(2, name="dense")(features)
    bottleneck = tfc.EntropyBottleneck(name="entropy_bottleneck")
    y_tilde, likelihoods = bottleneck(y, training=training)
    loss = tf.reduce_mean(-tf.log(likelihoods))
    if mode == tf.estimator.ModeKeys.PREDICT:
        strings = bottleneck.compress(y)
        decoded = bottleneck.decompress(strings, [2], channels=2)
        return tf.estimator.EstimatorSpec(
            mode, predictions={"string": strings, "y": y_tilde, "decoded": decoded}
        )
    aux = tf.train.AdamOptimizer(1e-1).minimize(bottleneck.losses[0])
    main = tf.train.AdamOptimizer(1e-2).minimize(loss, tf.train.get_or_create_global_step())
    return tf.estimator.EstimatorSpec(
        mode, loss=loss, train_op=tf.group(main, aux, bottleneck.updates[0])
    )


def input_fn():
    values = np.random.RandomState(0).randn(8, 3).astype(np.float32)
    return tf.data.Dataset.from_tensors(values)


estimator = tf.estimator.Estimator(model_fn, sys.argv[1])
estimator.train(lambda: input_fn().repeat(), steps=3)
predictions = list(estimator.predict(input_fn))
assert len(predictions) == 8
for prediction in predictions:
    np.testing.assert_array_equal(prediction["decoded"], prediction["y"])
print("decoded", len(predictions))
"""


def _run(program, tmp_path):
    (tmp_path / "program.py").write_text(program)
    environment = {key: v for key, v in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    run = subprocess.run(
        [sys.executable, "-m", "tfc_port", "run", "program.py", str(tmp_path / "train")],
        cwd=tmp_path, env={**environment, "PYTHONPATH": ROOT},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "decoded" in run.stdout


def test_a_session_trains_saves_restores_and_codes(tmp_path):
    _run(SESSION, tmp_path)


@pytest.mark.skipif(not hasattr(tf, "estimator"), reason="this TensorFlow has no Estimators")
def test_an_estimator_trains_and_codes(tmp_path):
    _run(ESTIMATOR, tmp_path)


def _bottleneck():
    layer = tfc.EntropyBottleneck(init_scale=3, dtype=tf.float32)
    layer.build([None, None, 2])
    rng = np.random.default_rng(0)
    for variable in layer.trainable_variables:
        variable.assign_add(rng.normal(size=variable.shape) * 0.1)
    return layer


def test_likelihoods_are_those_of_the_deep_factorized_distribution():
    layer = _bottleneck()
    prior = tfc_port.NoisyDeepFactorized(batch_shape=(2,), num_filters=(3, 3, 3), init_scale=3)
    for ours, theirs in zip(
        (layer._matrix_weights, layer._bias_weights, layer._factor_weights),
        (prior.base._matrices, prior.base._biases, prior.base._factors),
    ):
        for source, target in zip(ours, theirs):
            target.assign(source)
    values = tf.constant(np.random.default_rng(1).normal(size=[3, 5, 2]) * 5, tf.float32)
    noisy, likelihood = layer(values, training=True)
    np.testing.assert_allclose(likelihood, prior.prob(noisy), rtol=1e-4, atol=1e-7)
    rounded, likelihood = layer(values, training=False)
    np.testing.assert_allclose(likelihood, prior.prob(rounded), rtol=1e-4, atol=1e-7)


def test_strings_are_those_of_the_unbounded_op_by_the_layers_tables():
    gen_ops = pytest.importorskip("tensorflow_compression.python.ops.gen_ops")
    layer = _bottleneck()
    assert len(layer.updates) == 1
    values = tf.constant(np.random.default_rng(1).normal(size=[2, 7, 2]) * 9, tf.float32)
    symbols = layer._quantize(values, "symbols")
    index = tf.broadcast_to([0, 1], symbols.shape[1:])
    expected = [
        gen_ops.unbounded_index_range_encode(
            unit,
            index,
            layer._quantized_cdf,
            layer._cdf_length,
            layer._offset,
            precision=16,
            overflow_width=4,
        ).numpy()
        for unit in symbols
    ]
    strings = layer.compress(values)
    assert strings.numpy().tolist() == expected
    np.testing.assert_array_equal(layer.decompress(strings, [7, 2]), layer(values)[0])


@pytest.mark.parametrize(
    ("kind", "family"),
    [("GaussianConditional", "Normal"), ("LogisticConditional", "Logistic"),
     ("LaplacianConditional", "Laplace")],
)  # fmt: skip
def test_conditional_models_code_and_rate_values_by_their_family(kind, family):
    rng = np.random.default_rng(0)
    scale = tf.constant(rng.uniform(0.05, 12, [2, 30]), tf.float32)
    mean = tf.constant(rng.normal(size=[2, 30]), tf.float32)
    table = np.exp(np.linspace(np.log(0.11), np.log(10), 8))
    layer = getattr(tfc, kind)(scale, table, mean=mean)
    values = tf.constant(rng.normal(size=[2, 30]) * 10, tf.float32)
    rounded, likelihood = layer(values, training=False)
    assert float(tf.reduce_max(tf.abs(rounded - values))) <= 0.5001
    prior = getattr(tfc_port, f"Noisy{family}")(loc=mean, scale=tf.maximum(scale, 0.11))
    expected = np.maximum(prior.prob(rounded), 1e-9)
    np.testing.assert_allclose(likelihood, expected, rtol=1e-3, atol=1e-7)
    indexes = np.minimum(np.searchsorted(table, np.maximum(scale, 0.11) * (1 - 1e-6)), 7)
    np.testing.assert_array_equal(layer.indexes, indexes)
    strings = layer.compress(values)
    np.testing.assert_allclose(layer.decompress(strings), rounded, atol=1e-6)
    ideal = -np.log2(np.maximum(likelihood, 1e-9)).sum() / 8
    assert sum(len(string) for string in strings.numpy()) < 1.3 * ideal + 16


def test_gdn_has_the_formula_and_the_variables_of_its_time():
    layer = tfc.GDN(name="gdn")
    x = tf.constant(np.random.default_rng(0).normal(size=[2, 5, 3]), tf.float32)
    y = layer(x)
    norm = np.sqrt(1 + 0.1 * np.square(x))
    np.testing.assert_allclose(y, x / norm, rtol=1e-5)
    np.testing.assert_allclose(tfc.GDN(inverse=True)(x), x * norm, rtol=1e-5)
    names = [weight.name.split("/")[-1] for weight in layer.weights]
    assert names == ["reparam_beta:0", "reparam_gamma:0"]


def test_kernels_start_from_their_initializer_whatever_the_parameterizer():
    matrix = tfc.irdft_matrix([4, 5]).numpy()
    np.testing.assert_allclose(matrix.T @ matrix, np.eye(20), atol=1e-6)
    outputs = []
    x = tf.constant(np.random.default_rng(0).normal(size=[1, 9, 9, 2]), tf.float32)
    for parameterizer in (None, tfc.RDFTParameterizer(), tfc.StaticParameterizer()):
        layer = tfc.SignalConv2D(
            3, (4, 5), kernel_initializer=tf.keras.initializers.RandomUniform(-1, 1, seed=3),
            kernel_parameterizer=parameterizer, use_bias=True,
        )  # fmt: skip
        outputs.append(layer(x))
        assert len(layer.weights) == (
            1 if isinstance(parameterizer, tfc.StaticParameterizer) else 2
        )
    for output in outputs[1:]:
        np.testing.assert_allclose(output, outputs[0], atol=1e-4)


def test_a_keras_model_trains_with_the_layer_and_codes_with_new_tables():
    inputs = tf.keras.Input([6])
    hidden = tf.keras.layers.Dense(3)(inputs)
    bottleneck = tfc.EntropyBottleneck(init_scale=2)
    perturbed, likelihood = bottleneck(hidden)
    model = tf.keras.Model(inputs, [tf.keras.layers.Dense(6)(perturbed), likelihood, hidden])
    model.add_loss(tf.reduce_mean(-tf.math.log(likelihood)))
    optimizer = tf.keras.optimizers.legacy.Adam(1e-2)
    data = tf.constant(np.random.default_rng(0).normal(size=[16, 6]), tf.float32)
    before = bottleneck._cdf.numpy()
    for _ in range(3):
        with tf.GradientTape() as tape:
            outputs, _, _ = model(data, training=True)
            loss = tf.reduce_mean(tf.square(outputs - data)) + sum(model.losses)
        gradients = tape.gradient(loss, model.trainable_variables)
        assert all(gradient is not None for gradient in gradients)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables))
    assert len(bottleneck.updates) == 1
    assert not np.array_equal(before, bottleneck._cdf)
    hidden = model(data)[2]
    strings = bottleneck.compress(hidden)
    np.testing.assert_allclose(
        bottleneck.decompress(strings, [3]), bottleneck(hidden)[0], atol=1e-6
    )
