"""Parts of the port as ONNX graphs; with tf2onnx and onnxruntime, which nothing else here needs."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import tfc_port

tf2onnx = pytest.importorskip("tf2onnx")
onnxruntime = pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.slow


def _session(function, shape):
    spec = tf.TensorSpec(shape, tf.float32)
    graph, _ = tf2onnx.convert.from_function(
        tf.function(function), input_signature=[spec], opset=17
    )
    return onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )


def _agrees(function, shape):
    session = _session(function, shape)
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    (outputs,) = session.run(None, {session.get_inputs()[0].name: values})
    np.testing.assert_allclose(outputs, function(values), atol=2e-6)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("padding", ["same_zeros", "same_reflect", "valid"])
@pytest.mark.parametrize("options", [{"strides_up": 2}, {"strides_down": 2, "corr": True}])
def test_convolutions_of_any_rank_agree_as_onnx(rank, padding, options):
    shape = [1, *[8] * rank, 2]
    kind = getattr(tfc_port, f"SignalConv{rank}D")
    layer = kind(3, 3, padding=padding, use_bias=True, **options)
    layer(tf.zeros(shape))
    _agrees(layer, shape)


@pytest.mark.parametrize("inverse", [False, True])
def test_gdn_agrees_as_onnx(inverse):
    layer = tfc_port.GDN(inverse=inverse)
    layer(tf.zeros([1, 8, 8, 3]))
    _agrees(layer, [1, 8, 8, 3])


def _entropy_model(streams=1):
    prior = tfc_port.NoisyNormal(loc=0.25, scale=[1.0, 4.0])
    return tfc_port.ContinuousBatchedEntropyModel(
        prior, coding_rank=1, compression=True, streams=streams
    )


def test_quantisation_by_entropy_models_agrees_as_onnx():
    _agrees(_entropy_model().quantize, [3, 2])


def test_separable_convolutions_agree_as_onnx_downwards_and_have_no_op_upwards():
    down = tfc_port.SignalConv2D(
        1, 3, strides_down=2, corr=True, channel_separable=True, padding="same_zeros"
    )
    down(tf.zeros([1, 8, 8, 2]))
    _agrees(down, [1, 8, 8, 2])
    up = tfc_port.SignalConv2D(1, 3, strides_up=2, channel_separable=True, padding="same_zeros")
    up(tf.zeros([1, 8, 8, 2]))
    with pytest.raises(Exception, match="DepthwiseConv2dNativeBackpropInput"):
        _session(up, [1, 8, 8, 2])


@pytest.mark.parametrize("streams", [1, 8])
def test_coding_has_no_onnx_graph(streams):
    # Bytes are no UTF-8, which ONNX's strings have to be; and loops of TensorFlow's lists.
    with pytest.raises(Exception, match=r"utf-8|INVALID_GRAPH"):
        _session(_entropy_model(streams).compress, [3, 2])
