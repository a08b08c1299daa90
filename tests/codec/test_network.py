"""Folded networks: each layer does what its description says; malformed ones are refused."""

from __future__ import annotations

import json
from fractions import Fraction

import numpy as np
import pytest

from tfhific.errors import ModelError
from tfhific.published.functional import conv, deconv
from tfhific.published.network import Network


def correlate(x, kernel, stride):
    """Strided correlation with k // 2 zeros in front, in float64, one tap at a time."""
    k, (batch, height, width, _) = kernel.shape[0], x.shape
    x = np.pad(x, [(0, 0), (k // 2, k), (k // 2, k), (0, 0)])
    out = np.zeros([batch, height // stride, width // stride, kernel.shape[3]])
    for i in range(k):
        for j in range(k):
            taps = x[:, i : i + height : stride, j : j + width : stride]
            out += taps @ kernel[i, j]
    return out


def spread(x, kernel, stride):
    """Every input adds the kernel, its tap k // 2 on the input's place in the output."""
    k, (batch, height, width, _) = kernel.shape[0], x.shape
    canvas = np.zeros([batch, height * stride + 2 * k, width * stride + 2 * k, kernel.shape[2]])
    for i in range(k):
        for j in range(k):
            top, left = k + i - k // 2, k + j - k // 2
            rows = slice(top, top + height * stride, stride)
            columns = slice(left, left + width * stride, stride)
            canvas[:, rows, columns] += x @ kernel[i, j].T
    return canvas[:, k : k + height * stride, k : k + width * stride]


@pytest.mark.parametrize("k", [1, 3, 5, 9])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_conv_is_the_centred_strided_correlation(k, stride):
    rng = np.random.default_rng([k, stride])
    x, kernel = rng.normal(size=[2, 8, 12, 3]), rng.normal(size=[k, k, 3, 4])
    np.testing.assert_allclose(conv(x, kernel, stride), correlate(x, kernel, stride), atol=1e-12)


@pytest.mark.parametrize(("k", "stride"), [(1, 1), (3, 1), (3, 2), (5, 2), (5, 3), (9, 4)])
@pytest.mark.parametrize("size", [(4, 3), (1, 1)])
def test_deconv_spreads_every_input_about_its_place(k, stride, size):
    rng = np.random.default_rng([k, stride])
    x, kernel = rng.normal(size=[2, *size, 4]), rng.normal(size=[k, k, 3, 4])
    np.testing.assert_allclose(deconv(x, kernel, stride), spread(x, kernel, stride), atol=1e-12)


def test_deconv_is_the_adjoint_of_conv():
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=[5, 5, 3, 4])
    big, small = rng.normal(size=[1, 8, 6, 3]), rng.normal(size=[1, 4, 3, 4])
    there = np.sum(conv(big, kernel, 2) * small)
    back = np.sum(big * deconv(small, kernel, 2))
    assert there == pytest.approx(back, rel=1e-12)


def test_other_layers_compute_what_the_table_says():
    rng = np.random.default_rng(1)
    x = rng.normal(size=[1, 4, 4, 2])
    gamma, beta = rng.uniform(0, 1, [2, 2]), rng.uniform(1, 2, [2])
    weights = {"g/gamma": gamma, "g/beta": beta}
    norm = np.abs(x) @ gamma + beta

    def run(*layers):
        return np.asarray(Network(list(layers), weights)(x))

    gdn = {"op": "gdn", "name": "g"}
    np.testing.assert_allclose(run({**gdn, "inverse": False}), x / norm, rtol=1e-12)
    np.testing.assert_allclose(run({**gdn, "inverse": True}), x * norm, rtol=1e-12)
    np.testing.assert_array_equal(run({"op": "relu"}), np.maximum(x, 0))
    leaky = run({"op": "leaky_relu", "slope": 0.25})
    np.testing.assert_allclose(leaky, np.where(x > 0, x, 0.25 * x))
    np.testing.assert_allclose(run({"op": "scale", "factor": 3.0}), 3 * x)
    np.testing.assert_allclose(
        run({"op": "residual", "branch": [{"op": "relu"}]}), x + run({"op": "relu"})
    )
    halves = [[{"op": "relu"}], [{"op": "scale", "factor": 2.0}]]
    np.testing.assert_allclose(run({"op": "sum", "branches": halves}), np.maximum(x, 0) + 2 * x)
    deep = run({"op": "space_to_depth", "block": 2})
    np.testing.assert_array_equal(deep[0, 1, 0], x[0, 2:4, 0:2].reshape(-1))
    back = run({"op": "space_to_depth", "block": 2}, {"op": "depth_to_space", "block": 2})
    np.testing.assert_array_equal(back, x)


def test_dtype_of_the_input_is_that_of_the_arithmetic():
    weights = {"a/kernel": np.ones([1, 1, 1, 1], np.float32), "a/bias": np.zeros(1, np.float32)}
    network = Network([{"op": "conv", "name": "a", "stride": 1}], weights)
    for dtype in ("float32", "float64"):
        assert network(np.ones([1, 1, 1, 1], dtype)).dtype.name == dtype


def test_arrays_that_hold_no_floats_are_refused():
    weights = {"a/kernel": np.ones([1, 1, 1, 1], np.int32), "a/bias": np.zeros(1, np.float32)}
    with pytest.raises(ModelError, match=r"'a/kernel' should hold floats. Received: int32"):
        Network([{"op": "conv", "name": "a", "stride": 1}], weights)


def test_strides_follow_the_branches():
    assert Network([{"op": "space_to_depth", "block": 4}], {}).factor == 4
    inner = [{"op": "space_to_depth", "block": 2}, {"op": "depth_to_space", "block": 16}]
    assert Network([{"op": "sum", "branches": [inner, inner]}], {}).factor == Fraction(1, 8)


CONV = {"op": "conv", "name": "a", "stride": 1}


@pytest.mark.parametrize(
    "layers",
    [
        None,
        "relu",
        {"op": "relu"},
        ["relu"],
        [None],
        [[]],
        [{}],
        [{"op": "dense"}],
        [{"op": ["conv"]}],
        [{**CONV, "name": "b"}],
        [{**CONV, "name": None}],
        [{"op": "gdn", "name": "a", "inverse": True}],
        [{"op": "conv", "name": "a"}],
        [{**CONV, "stride": 0}],
        [{**CONV, "stride": 17}],
        [{**CONV, "stride": 1.5}],
        [{**CONV, "stride": "1"}],
        [{**CONV, "stride": [1]}],
        [{**CONV, "stride": 1.0}],
        [{**CONV, "stride": True}],
        [{**CONV, "name": "flat"}],
        [{**CONV, "op": "deconv", "stride": 3}],
        [{**CONV, "pads": 1}],
        [{**CONV, "pads": [1, 1]}],
        [{**CONV, "pads": [1, 1, 1, "1"]}],
        [{**CONV, "pads": [1, 1, -1, 3]}],
        [{**CONV, "pads": [0, 0, 0, 0]}],
        [{**CONV, "pads": [1 << 40, 1, 1, 1]}],
        [{**CONV, "padding": "wrap"}],
        [{**CONV, "padding": ["reflect"]}],
        [{**CONV, "op": "deconv", "crop": 1}],
        [{**CONV, "op": "deconv", "crop": [3, 0]}],
        [{**CONV, "op": "deconv", "crop": [True, 0]}],
        [{"op": "channel_norm", "name": "c"}],
        [{"op": "channel_norm", "name": "c", "epsilon": 0.0}],
        [{"op": "channel_norm", "name": "c", "epsilon": float("nan")}],
        [{"op": "channel_norm", "name": "one", "epsilon": 0.1}],
        [{"op": "channel_norm", "name": "g", "epsilon": 0.1}],
        [{"op": "gdn", "name": "g"}],
        [{"op": "sum"}],
        [{"op": "sum", "branches": []}],
        [{"op": "sum", "branches": 3}],
        [{"op": "sum", "branches": [3]}],
        [{"op": "sum", "branches": [[{"op": "dense"}]]}],
        [{"op": "residual"}],
        [{"op": "residual", "branch": "relu"}],
        [{"op": "space_to_depth"}],
        [{"op": "space_to_depth", "block": 1}],
        [{"op": "depth_to_space", "block": 65}],
        [{"op": "leaky_relu"}],
        [{"op": "leaky_relu", "slope": "0.1"}],
        [{"op": "scale", "factor": None}],
        [{"op": "scale", "factor": float("inf")}],
        [{"op": "depthwise_conv", "name": "a"}],
        [{"op": "depthwise_conv", "name": "g"}],
        [{**CONV, "op": "plain_conv"}],
        [{**CONV, "op": "plain_conv", "padding": "same"}],
        [{**CONV, "op": "plain_deconv", "stride": 17}],
        [{"op": "instance_norm", "name": "c", "epsilon": 1.0}],
        [{"op": "affine", "name": "g"}],
        [{"op": "dense", "name": "a"}],
        [{"op": "dense", "name": "g"}],
        [{"op": "reflect_pad", "size": 65}],
        [{"op": "reshape", "shape": []}],
        [{"op": "reshape", "shape": [-1]}],
        [{"op": "reshape", "shape": [1 << 20, 1 << 20]}],
    ],
    ids=lambda layers: json.dumps(layers)[:60],
)
def test_malformed_descriptions_are_refused(layers):
    weights = {
        "a/kernel": np.ones([3, 3, 1, 1], np.float32),
        "a/bias": np.zeros([1], np.float32),
        "flat/kernel": np.ones([3, 3], np.float32),
        "flat/bias": np.zeros([1], np.float32),
        "g/gamma": np.ones([1, 1], np.float32),
        "g/beta": np.ones([1], np.float32),
        "c/gamma": np.ones([2], np.float32),
        "c/beta": np.ones([2], np.float32),
        "one/gamma": np.ones([1], np.float32),
        "one/beta": np.ones([1], np.float32),
    }
    with pytest.raises(ModelError) as caught:
        Network(layers, weights)
    assert "\n" not in str(caught.value)


def test_shapes_and_reach_are_known_without_tensorflow(run_python):
    program = (
        "import sys\n"
        "import numpy as np\n"
        "from tfhific.published.network import Network\n"
        "from tfhific.runtimes.tiling import Geometry\n"
        "weights = {'a/kernel': np.ones([5, 5, 3, 8], np.float32), 'a/bias': np.ones(8)}\n"
        "network = Network([{'op': 'conv', 'name': 'a', 'stride': 2}], weights)\n"
        "geometry = Geometry.of(network)\n"
        "print(network.channels_after(3), network.factor, geometry.down, geometry.reach)\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])\n"
    )
    done = run_python("-c", program)
    assert done.stdout.decode().split("\n")[:2] == ["8 2 2 2", "[]"], done.stderr.decode()
