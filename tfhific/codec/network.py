"""Networks as a codec runs them: plain kernels, no Keras, no TFC.

A network is a list of layers, each a JSON object with an `op`; the kernels are arrays named by the
layer. It is made once from a trained Keras network (`tfhific.codec.fold`) and stored with the
model, so that decoding needs neither Keras nor the code that trained it.

| op | fields | arrays |
| --- | --- | --- |
| `conv` | `name`, `stride` | `kernel` [k, k, in, out], `bias` [out]; padded by k // 2 zeros |
| `deconv` | `name`, `stride` | `kernel` [k, k, out, in], `bias` [out]; output is stride x input |
| `gdn` | `name`, `inverse` | `gamma` [channels, channels] (in, out), `beta` [channels] |
| `relu` | | |
| `leaky_relu` | `slope` | |
| `scale` | `factor` | |
| `space_to_depth`, `depth_to_space` | `block` | |
| `sum` | `branches`: lists of layers | |
| `residual` | `branch`: list of layers | |

Those of networks that see the whole picture at once are in `tfhific.codec.layer_kinds`.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from tfhific.codec import layer_kinds
from tfhific.errors import ModelError


@dataclasses.dataclass(frozen=True)
class Network:
    """A folded network.

    Attributes:
      layers: the layers, JSON values as the module's docstring lists them.
      weights: arrays by name, `<layer name>/<array>`.
    """

    layers: list
    weights: dict[str, np.ndarray]

    def __post_init__(self) -> None:
        _check(self.layers, self.weights)

    def __call__(self, inputs):
        """Runs the network.

        Args:
          inputs: float [batch, height, width, channels]; its dtype is the arithmetic's.

        Returns:
          A tensor of the same dtype.
        """
        return _run(self.layers, self.weights, inputs)

    def strides(self) -> tuple[int, int]:
        """Total downsampling and total upsampling of the network's first branches."""
        return _strides(self.layers)


def same_padding(kernel: int) -> tuple[int, int]:
    """Zeros before and after that keep an odd kernel centred, as TFC pads."""
    return kernel // 2, (kernel - 1) // 2


def spans(kernel: int, stride: int) -> bool:
    """Whether a kernel centred on every stride-th pixel reaches the pixels up to the next one."""
    return kernel - kernel // 2 >= stride


_ARRAYS = {"conv": ("kernel", "bias"), "deconv": ("kernel", "bias"), "gdn": ("gamma", "beta")}
_RANKS = {"kernel": 4, "bias": 1, "gamma": 2, "beta": 1}


def _check(layers, weights) -> None:
    if not isinstance(layers, list):
        raise ModelError(f"Expected a list of layers in the model. Received: {layers!r}.")
    for layer in layers:
        op = layer.get("op") if isinstance(layer, dict) else None
        if not isinstance(op, str):
            raise ModelError(f"Expected a layer of the model with its `op`. Received: {layer!r}.")
        if op in _ARRAYS:
            for array in _ARRAYS[op]:
                name = f"{layer.get('name')}/{array}"
                if name not in weights:
                    raise ModelError(f"The model lacks the array {name!r} of its layer {layer!r}.")
                if weights[name].ndim != _RANKS[array]:
                    raise ModelError(
                        f"The model's array {name!r} should have {_RANKS[array]} dimensions. "
                        f"Received: shape {weights[name].shape}."
                    )
            if op == "gdn":
                if not isinstance(layer.get("inverse"), bool):
                    raise ModelError(f"Expected `inverse`, true or false. Received: {layer!r}.")
                continue
            if layer.get("stride") not in range(1, 17):
                raise ModelError(f"Expected a stride of 1 to 16. Received: {layer!r}.")
            size = min(weights[f"{layer['name']}/kernel"].shape[:2])
            if op == "deconv" and not spans(size, layer["stride"]):
                raise ModelError(
                    f"Expected a kernel of at least twice its stride less 1. Received: {size} in "
                    f"{layer!r}."
                )
        elif op == "sum":
            branches = layer.get("branches")
            if not isinstance(branches, list) or not branches:
                raise ModelError(f"Expected branches to sum up. Received: {layer!r}.")
            for branch in branches:
                _check(branch, weights)
        elif op == "residual":
            _check(layer.get("branch"), weights)
        elif op in ("space_to_depth", "depth_to_space"):
            if layer.get("block") not in range(2, 65):
                raise ModelError(f"Expected a block of 2 to 64. Received: {layer!r}.")
        elif op in ("leaky_relu", "scale"):
            if not isinstance(layer.get("slope" if op == "leaky_relu" else "factor"), float):
                raise ModelError(f"Expected a number in the layer. Received: {layer!r}.")
        elif op in layer_kinds.KINDS:
            layer_kinds.check(layer, weights)
        elif op != "relu":
            raise ModelError(
                f"The model has a layer that this version does not know: {layer!r}. "
                "A newer tfhific may read it."
            )


def _strides(layers) -> tuple[int, int]:
    down, up = 1, 1
    for layer in layers:
        if layer["op"] == "conv":
            down *= layer["stride"]
        elif layer["op"] == "deconv":
            up *= layer["stride"]
        elif layer["op"] == "space_to_depth":
            down *= layer["block"]
        elif layer["op"] == "depth_to_space":
            up *= layer["block"]
        elif layer["op"] == "sum":
            inner = _strides(layer["branches"][0])
            down, up = down * inner[0], up * inner[1]
    return down, up


def _run(layers, weights, x):
    import tensorflow as tf

    for layer in layers:
        op = layer["op"]
        if op == "conv":
            x = conv(x, _array(weights, layer, "kernel", x), layer["stride"])
            x = x + _array(weights, layer, "bias", x)
        elif op == "deconv":
            x = deconv(x, _array(weights, layer, "kernel", x), layer["stride"])
            x = x + _array(weights, layer, "bias", x)
        elif op == "gdn":
            gamma = _array(weights, layer, "gamma", x)[None, None]
            norm = tf.nn.conv2d(tf.abs(x), gamma, 1, "VALID") + _array(weights, layer, "beta", x)
            x = x * norm if layer["inverse"] else x / norm
        elif op == "relu":
            x = tf.nn.relu(x)
        elif op == "leaky_relu":
            x = tf.nn.leaky_relu(x, layer["slope"])
        elif op == "scale":
            x = x * layer["factor"]
        elif op == "space_to_depth":
            x = tf.nn.space_to_depth(x, layer["block"])
        elif op == "depth_to_space":
            x = tf.nn.depth_to_space(x, layer["block"])
        elif op == "sum":
            x = tf.add_n([_run(branch, weights, x) for branch in layer["branches"]])
        elif op == "residual":
            x = x + _run(layer["branch"], weights, x)
        elif op in layer_kinds.KINDS:
            x = layer_kinds.run(layer, weights, x)
    return x


def _array(weights, layer, array, like):
    import tensorflow as tf

    value = weights[f"{layer['name']}/{array}"]
    return tf.cast(tf.convert_to_tensor(value), like.dtype)


def conv(x, kernel, stride: int):
    """Strided correlation, zero-padded so that the kernel is centred on every stride-th pixel.

    Args:
      x: float [batch, height, width, in], sides multiples of `stride`.
      kernel: [k, k, in, out].
      stride: downsampling.

    Returns:
      [batch, height / stride, width / stride, out].
    """
    import tensorflow as tf

    if kernel.shape[0] == kernel.shape[1] == 1 and stride == 1:
        return tf.nn.conv2d(x, kernel, 1, "VALID")
    pads = [
        [0, 0],
        list(same_padding(kernel.shape[0])),
        list(same_padding(kernel.shape[1])),
        [0, 0],
    ]
    return tf.nn.conv2d(x, kernel, stride, pads)


def deconv(x, kernel, stride: int):
    """Transposed correlation: every input value adds the kernel around its place in the output.

    Args:
      x: float [batch, height, width, in].
      kernel: [k, k, out, in], such that `spans(k, stride)`.
      stride: upsampling.

    Returns:
      [batch, height * stride, width * stride, out].
    """
    import tensorflow as tf

    shape = tf.shape(x)
    output = tf.stack([shape[0], shape[1] * stride, shape[2] * stride, kernel.shape[2]])
    pads = [[0, 0]]
    for size in kernel.shape[:2]:
        # The adjoint of a correlation over `stride * n` pixels with k // 2 zeros before them
        # gives back n values when k - stride zeros stand around the pixels in all.
        pads.append([size // 2, size - stride - size // 2])
    pads.append([0, 0])
    return tf.nn.conv2d_transpose(x, kernel, output, stride, pads)
