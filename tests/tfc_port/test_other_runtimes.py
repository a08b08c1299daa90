"""Where else graphs go: TFLite, XLA, several replicas."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import tfc_port

ROOT = pathlib.Path(__file__).resolve().parents[2]


def _interpreter(content):
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ImportError:
        Interpreter = tf.lite.Interpreter
    return Interpreter(model_content=content)


def _convert(function, shape, select=False):
    spec = tf.TensorSpec(shape, tf.float32)
    concrete = tf.function(function).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    if select:
        ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
        converter.target_spec.supported_ops = ops
    return converter.convert()


def _agrees(function, shape):
    interpreter = _interpreter(_convert(function, shape))
    interpreter.allocate_tensors()
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    outputs = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(outputs, function(values), atol=1e-5)


@pytest.mark.parametrize("padding", ["same_zeros", "same_reflect", "valid"])
def test_convolutions_that_scale_up_run_in_tflite(padding):
    layer = tfc_port.SignalConv2D(
        3, 5, strides_up=2, padding=padding, use_bias=True, activation=tfc_port.GDN(inverse=True)
    )
    layer(tf.zeros([1, 8, 8, 2]))
    _agrees(layer, [1, 8, 8, 2])


@pytest.mark.slow
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("options", [{"strides_up": 2}, {"strides_down": 2, "corr": True}])
def test_convolutions_of_any_rank_run_in_tflite(rank, options):
    shape = [1, *[8] * rank, 2]
    layer = getattr(tfc_port, f"SignalConv{rank}D")(3, 3, padding="same_zeros", **options)
    layer(tf.zeros(shape))
    _agrees(layer, shape)


def _entropy_model(streams=1):
    prior = tfc_port.NoisyNormal(loc=0.25, scale=[1.0, 4.0])
    return tfc_port.ContinuousBatchedEntropyModel(
        prior, coding_rank=1, compression=True, streams=streams
    )


@pytest.mark.slow
def test_quantisation_by_entropy_models_runs_in_tflite():
    _agrees(_entropy_model().quantize, [3, 2])


@pytest.mark.slow
@pytest.mark.parametrize("streams", [1, 8])
def test_compression_converts_to_tflite_with_the_select_ops(streams):
    model = _entropy_model(streams)
    assert _convert(model.compress, [3, 2], select=True)


@pytest.mark.slow
def test_separable_convolutions_that_scale_up_have_no_tflite():
    layer = tfc_port.SignalConv2D(1, 3, strides_up=2, channel_separable=True, padding="same_zeros")
    layer(tf.zeros([1, 8, 8, 2]))
    with pytest.raises(Exception, match=r"DepthwiseConv2dNativeBackpropInput|[Cc]onver"):
        _convert(layer, [1, 8, 8, 2])


@pytest.mark.parametrize("jit", [False, True])
def test_a_training_step_compiled_by_xla_has_the_gradients_of_one_that_is_not(jit):
    convolution = tfc_port.SignalConv2D(
        2, 3, strides_down=2, corr=True, padding="same_zeros", use_bias=True,
        activation=tfc_port.GDN(),
    )  # fmt: skip
    back = tfc_port.SignalConv2D(2, 3, strides_up=2, padding="same_zeros", use_bias=True)
    prior = tfc_port.NoisyDeepFactorized(batch_shape=(2,))
    images = tf.constant(np.random.default_rng(0).random([1, 8, 8, 2]), tf.float32)
    back(convolution(images))

    def gradients():
        model = tfc_port.ContinuousBatchedEntropyModel(prior, coding_rank=3, compression=False)
        with tf.GradientTape() as tape:
            y = convolution(images)
            y_hat, bits = model(y, training=False)
            loss = tf.reduce_sum(bits) + tf.reduce_sum(tf.square(images - back(y + y_hat)))
        variables = [*convolution.trainable_variables, *back.trainable_variables]
        variables += prior.trainable_variables
        return tape.gradient(loss, variables)

    compiled = tf.function(gradients, jit_compile=jit)()
    assert None not in compiled
    for ours, expected in zip(compiled, gradients()):
        scale = max(1e-3, float(tf.reduce_max(tf.abs(expected))))
        np.testing.assert_allclose(ours, expected, atol=1e-3 * scale)


def test_the_coder_is_refused_by_xla_which_has_no_strings():
    model = _entropy_model()
    values = tf.constant([[0.2, 3.0]])
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.UnimplementedError)):
        tf.function(model.compress, jit_compile=True)(values)
    quantize = tf.function(model.quantize, jit_compile=True)
    np.testing.assert_allclose(quantize(values), model.quantize(values), atol=1e-6)


REPLICAS = """
import numpy as np, tensorflow as tf, tfc_port as tfc
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
rng = np.random.default_rng(0)
x = tf.constant(rng.normal(size=[8, 6]), tf.float32)
outside = tfc.ContinuousBatchedEntropyModel(
    tfc.NoisyNormal(loc=0.0, scale=[1.0, 2.0, 4.0]), coding_rank=1, compression=True)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
assert strategy.num_replicas_in_sync == 2
with strategy.scope():
    dense = tf.keras.layers.Dense(3)
    dense.build([None, 6])
    prior = tfc.NoisyDeepFactorized(batch_shape=(3,))
    optimizer = tf.keras.optimizers.legacy.SGD(0.01)

def step(values):
    with tf.GradientTape() as tape:
        y = dense(values)
        _, bits = outside(y, training=True)
        inside = tfc.ContinuousBatchedEntropyModel(prior, coding_rank=1, compression=False)
        _, more = inside(y, training=True)
        loss = tf.reduce_sum(bits) + tf.reduce_sum(more)
    variables = [*dense.trainable_variables, *prior.trainable_variables]
    gradients = tape.gradient(loss, variables)
    assert None not in gradients
    optimizer.apply_gradients(zip(gradients, variables))
    return loss, outside.compress(dense(values)), dense(values)

@tf.function
def run(batch):
    return strategy.run(step, args=(batch,))

data = strategy.experimental_distribute_dataset(tf.data.Dataset.from_tensor_slices(x).batch(8))
for batch in data:
    losses, strings, values = map(strategy.experimental_local_results, run(batch))
    assert len(losses) == 2 and all(np.isfinite(losses))
    for each, y in zip(strings, values):
        decoded = outside.decompress(each, [])
        np.testing.assert_allclose(decoded, outside.quantize(y), atol=1e-6)
kernels = [np.array(v) for v in strategy.experimental_local_results(dense.kernel)]
np.testing.assert_array_equal(*kernels)
print("replicas agree")
"""


@pytest.mark.slow
def test_two_replicas_use_an_entropy_model_that_was_made_outside_of_their_scope(tmp_path):
    environment = {**os.environ, "TF_USE_LEGACY_KERAS": "1", "PYTHONPATH": str(ROOT)}
    run = subprocess.run(
        [sys.executable, "-c", REPLICAS],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-6000:]
    assert "replicas agree" in run.stdout


@pytest.mark.slow
@pytest.mark.parametrize("streams", [1, 8])
def test_decompression_in_tflite_gives_the_values_or_is_refused_at_the_start(streams):
    model = _entropy_model(streams)
    values = tf.constant([[0.2, 3.0], [-1.0, 7.0], [1.0, 0.0]])
    strings = model.compress(values)

    def decompress(strings):
        return model.decompress(strings, [])

    spec = tf.TensorSpec(strings.shape, tf.string)
    concrete = tf.function(decompress).get_concrete_function(spec)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    converter.target_spec.supported_ops = ops
    # TensorFlow's own: the select ops are in its library.
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    if streams > 1:
        with pytest.raises((RuntimeError, ValueError)):
            _decompressed(interpreter, strings)
        return
    found = _decompressed(interpreter, strings)
    np.testing.assert_allclose(found, model.decompress(strings, []), atol=1e-6)


def _decompressed(interpreter, strings):
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], strings.numpy())
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
