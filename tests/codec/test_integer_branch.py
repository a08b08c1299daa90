"""Scale indexes are the same integers on every machine, whatever order it sums in."""

from __future__ import annotations

import dataclasses
import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tfhific.errors import ModelError
from tfhific.published.integer_branch import (
    ACTIVATION_BITS,
    MAX_INPUT,
    MAX_SUM_BITS,
    IntegerBranch,
    IntegerLayer,
    quantise,
)
from tfhific.published.network import Network


def in_integers(branch: IntegerBranch, hyperlatents: np.ndarray) -> np.ndarray:
    """What the branch is defined to compute, in int64 throughout, one tap at a time."""
    x = np.clip(hyperlatents.astype(np.int64), -MAX_INPUT, MAX_INPUT)
    for number, layer in enumerate(branch.layers):
        k, stride = layer.kernel.shape[0], layer.stride
        batch, height, width, _ = x.shape
        kernel = layer.kernel.astype(np.int64)
        if layer.op == "conv":
            padded = np.pad(x, [(0, 0), (k // 2, k), (k // 2, k), (0, 0)])
            total = np.zeros([batch, height // stride, width // stride, kernel.shape[3]], np.int64)
            for i in range(k):
                for j in range(k):
                    taps = padded[:, i : i + height : stride, j : j + width : stride]
                    total += taps @ kernel[i, j]
        else:
            size = height * stride, width * stride
            canvas = np.zeros([batch, size[0] + 2 * k, size[1] + 2 * k, kernel.shape[2]], np.int64)
            for i in range(k):
                for j in range(k):
                    top, left = k + i - k // 2, k + j - k // 2
                    rows = slice(top, top + size[0], stride)
                    columns = slice(left, left + size[1], stride)
                    canvas[:, rows, columns] += x @ kernel[i, j].T
            total = canvas[:, k : k + size[0], k : k + size[1]]
        total = (total + layer.bias + (1 << (layer.shift - 1))) >> layer.shift
        last = number == len(branch.layers) - 1
        x = np.clip(total, 0, branch.num_scales - 1 if last else (1 << ACTIVATION_BITS) - 1)
    return x


def hyperlatents_for(branch: IntegerBranch, size=(3, 2), seed=0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    channels = branch.layers[0].kernel.shape[3 if branch.layers[0].op == "deconv" else 2]
    common = rng.integers(-6, 7, [1, *size, channels])
    rare = rng.integers(-(1 << 31), 1 << 31, common.shape)
    return np.where(rng.random(common.shape) < 0.02, rare, common).astype(np.int32)


@pytest.fixture(scope="module")
def branch(tiny_published):
    return tiny_published.branch


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (7, 6)])
def test_branch_equals_exact_integer_arithmetic(size, branch):
    for seed in range(3):
        z = hyperlatents_for(branch, size, seed)
        found = branch(z)
        assert found.dtype == np.int32
        assert found.min() >= 0
        assert found.max() < branch.num_scales
        np.testing.assert_array_equal(found, in_integers(branch, z))
    assert len(np.unique(found)) > 5


@st.composite
def branches(draw):
    """Two layers as large as the bound allows: their sums come close to 2^40."""
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    layers, largest, channels = [], MAX_INPUT, draw(st.integers(1, 4))
    for number in range(2):
        op, k = draw(st.sampled_from(["conv", "deconv"])), draw(st.sampled_from([1, 3, 5]))
        stride = 1 if op == "conv" or k == 1 else draw(st.integers(1, 2))
        out = draw(st.integers(1, 4))
        ends = (channels, out) if op == "conv" else (out, channels)
        reach = draw(st.sampled_from([1, 300, 32767]))
        kernel = rng.integers(-reach, reach + 1, [k, k, *ends]).astype(np.int16)
        reach = draw(st.sampled_from([1, 1 << 20, 1 << 38]))
        bias = rng.integers(-reach, reach + 1, [out])
        low, high = (1, 20) if number == 0 else (20, 34)
        layer = IntegerLayer(op, stride, draw(st.integers(low, high)), kernel, bias)
        while layer.largest_sum(largest) >= 1 << MAX_SUM_BITS:
            layer = dataclasses.replace(layer, kernel=layer.kernel // 2, bias=layer.bias // 2)
        layers.append(layer)
        largest, channels = (1 << ACTIVATION_BITS) - 1, out
    return IntegerBranch(tuple(layers), 64)


@settings(deadline=None, max_examples=60)
@given(branches(), st.integers(0, 1 << 32))
def test_any_branch_within_the_bound_is_exact(branch, seed):
    z = hyperlatents_for(branch, seed=seed)
    np.testing.assert_array_equal(branch(z), in_integers(branch, z))


def test_order_of_the_channels_summed_over_does_not_matter(branch):
    z = hyperlatents_for(branch, (4, 4))
    expected = branch(z)
    rng = np.random.default_rng(2)
    for _ in range(3):
        layers = list(branch.layers)
        order = rng.permutation(z.shape[-1])
        permuted = z[..., order]
        for number, layer in enumerate(layers):
            inward = 2 if layer.op == "conv" else 3
            kernel = np.take(layer.kernel, order, inward)
            bias = layer.bias
            if number < len(layers) - 1:
                order = rng.permutation(len(bias))
                kernel, bias = np.take(kernel, order, 5 - inward), bias[order]
            layers[number] = dataclasses.replace(layer, kernel=kernel, bias=bias)
        np.testing.assert_array_equal(
            IntegerBranch(tuple(layers), branch.num_scales)(permuted), expected
        )


PROGRAM = """
import hashlib, sys
import numpy as np
import tensorflow as tf
threads = int(sys.argv[2])
tf.config.threading.set_intra_op_parallelism_threads(threads)
tf.config.threading.set_inter_op_parallelism_threads(threads)
from tfhific.published.store import load_model
branch = load_model(sys.argv[1]).branch
z = np.frombuffer(sys.stdin.buffer.read(), np.int32).reshape(1, 24, 20, -1)
print(hashlib.sha256(branch(z).astype("<i4").tobytes()).hexdigest())
"""


@pytest.mark.parametrize(("threads", "onednn"), [("1", "0"), ("2", "1")])
def test_threads_and_libraries_do_not_matter(
    threads, onednn, branch, tiny_model_folder, run_python
):
    z = hyperlatents_for(branch, (24, 20))
    expected = hashlib.sha256(in_integers(branch, z).astype("<i4").tobytes()).hexdigest()
    environment = {"TF_ENABLE_ONEDNN_OPTS": onednn}
    done = run_python(
        "-c", PROGRAM, tiny_model_folder, threads, stdin=z.tobytes(), environment=environment
    )
    assert done.stdout.decode().strip() == expected, done.stderr.decode()


def test_mixed_precision_does_not_matter(branch):
    from tfhific.backend import keras

    z = hyperlatents_for(branch)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        np.testing.assert_array_equal(branch(z), in_integers(branch, z))
    finally:
        keras.mixed_precision.set_global_policy("float32")


def test_integers_agree_with_the_float_network_but_near_halves(tiny_published):
    model = tiny_published
    z = np.random.default_rng(8).integers(-6, 7, [1, 24, 24, 16]).astype(np.int32)
    raw = model.networks["hyper_synthesis_scale"](z.astype(np.float64)).numpy()
    exact = np.clip(model.scale_gain * raw + model.scale_centre, 0, model.branch.num_scales - 1)
    found = model.branch(z)
    assert np.abs(found - exact).max() < 0.55
    assert np.mean(found != np.rint(exact)) < 0.02


def float_network(*, kernels, ops=("deconv", "conv"), between="relu") -> Network:
    layers, weights = [], {}
    for number, (op, kernel) in enumerate(zip(ops, kernels)):
        out = kernel.shape[3 if op == "conv" else 2]
        layers += [{"op": op, "name": str(number), "stride": 1}, {"op": between}]
        weights[f"{number}/kernel"] = kernel.astype(np.float32)
        weights[f"{number}/bias"] = np.zeros(out, np.float32)
    return Network(layers[:-1], weights)


def test_weights_that_no_integers_can_hold_are_refused():
    fine = np.ones([3, 3, 4, 4])
    quantise(float_network(kernels=[fine, fine]), 64, 8.0, 18.0)
    for kernels in ([fine * 1e6, fine], [fine, fine * 1e9], [np.ones([3, 3, 4, 1]) * 1e30, fine]):
        with pytest.raises(ModelError, match="too large"):
            quantise(float_network(kernels=kernels), 64, 8.0, 18.0)


def test_network_of_another_form_is_refused():
    network = float_network(kernels=[np.ones([3, 3, 4, 4])] * 2)
    first, relu, second = network.layers
    for layers in ([first, relu, second, relu], [first, second], [relu, second], [relu]):
        with pytest.raises(ModelError, match="ReLU"):
            quantise(Network(layers, network.weights), 64, 8.0, 18.0)


LAYER = IntegerLayer("conv", 1, 20, np.ones([3, 3, 4, 4], np.int16), np.zeros(4, np.int64))


def test_sums_that_might_not_be_exact_are_refused():
    most = IntegerLayer(
        "conv", 1, 20, np.full([5, 5, 64, 4], 32767, np.int16), np.zeros(4, np.int64)
    )
    IntegerBranch((LAYER, LAYER), 64)
    with pytest.raises(ModelError, match=r"not below 2\^40"):
        IntegerBranch((LAYER, most), 64)
    with pytest.raises(ModelError, match=r"not below 2\^40"):
        IntegerBranch((dataclasses.replace(LAYER, bias=np.full(4, 1 << 40)),), 64)
    with pytest.raises(ModelError, match=r"not below 2\^40"):
        IntegerBranch((dataclasses.replace(LAYER, bias=np.full(4, -(1 << 63))),), 64)


@pytest.mark.parametrize(
    "changes",
    [
        {"op": "dense"},
        {"stride": 0},
        {"stride": 17},
        {"stride": None},
        {"shift": 0},
        {"shift": 40},
        {"shift": 2.5},
        {"kernel": LAYER.kernel.astype(np.int32)},
        {"kernel": LAYER.kernel.astype(np.float32)},
        {"kernel": LAYER.kernel[0]},
        {"bias": LAYER.bias.astype(np.float64)},
        {"bias": LAYER.bias[:3]},
        {"op": "deconv", "stride": 3},
    ],
    ids=lambda changes: str(changes)[:30].split("\n")[0],
)
def test_malformed_layers_are_refused(changes):
    with pytest.raises(ModelError, match="malformed"):
        IntegerBranch((dataclasses.replace(LAYER, **changes),), 64)
