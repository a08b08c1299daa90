"""Networks as a codec runs them: plain kernels, no Keras, no TFC.

A network is a list of layers, each a JSON object with an `op`; the kernels are arrays named by the
layer. It is made once from a trained Keras network (`tfhific.publishing.fold`) and stored with the
model, so that decoding needs neither Keras nor the code that trained it.

| op | fields | arrays |
| --- | --- | --- |
| `conv` | `name`, `stride`, optional `pads`, `padding` | `kernel` [k, k, in, out], `bias` [out] |
| `deconv` | `name`, `stride`, optional `crop` | `kernel` [k, k, out, in], `bias` [out] |
| `gdn` | `name`, `inverse` | `gamma` [channels, channels] (in, out), `beta` [channels] |
| `channel_norm` | `name`, `epsilon` | `gamma` [channels], `beta` [channels] |
| `relu`, `tanh` | | |
| `leaky_relu` | `slope` | |
| `scale` | `factor` | |
| `space_to_depth`, `depth_to_space` | `block` | |
| `sum` | `branches`: lists of layers | |
| `residual` | `branch`: list of layers | |

`pads` are the rows above and below and the columns left and right that a convolution adds, without
it k // 2 before and the rest after; they are zeros, or with `padding` `reflect` the input's
reflection. `crop` are the rows above and the columns left that an upsampling convolution cuts off,
without it k // 2; its output is stride x input.

Those of networks that see the whole picture at once are in `tfhific.published.ops`.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfhific.errors import ModelError
from tfhific.published import network_shapes, ops
from tfhific.published.functional import PADDINGS, centred, channel_norm, conv, deconv, spans


@dataclasses.dataclass(frozen=True)
class Network:
    """A folded network.

    Attributes:
      layers: the layers, JSON values as the module's docstring lists them.
      weights: arrays by name, `<layer name>/<array>`, float32 or float16; not to be changed.
    """

    layers: list
    weights: dict[str, np.ndarray]
    _tensors: dict[str, Any] = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check(self.layers, self.weights)
        network_shapes.channels_after(self.layers, self.weights)
        object.__setattr__(self, "_tensors", {})

    def __call__(self, inputs):
        """Runs the network.

        Args:
          inputs: float [batch, height, width, channels]; its dtype is the arithmetic's.

        Returns:
          A tensor of the same dtype.
        """
        import tensorflow as tf

        return self._run(self.layers, tf.convert_to_tensor(inputs))

    def over(self, arrays: Mapping[str, object]) -> Network:
        """The network with its arrays held elsewhere, for a graph.

        Args:
          arrays: variables, or what else TensorFlow converts to tensors, by the names in `weights`.
        """
        other = copy.copy(self)
        object.__setattr__(other, "weights", arrays)
        return other

    def strides(self) -> tuple[int, int]:
        """Total downsampling and total upsampling of the network's first branches."""
        return _strides(self.layers)

    def part(self, start: int, stop: int | None = None) -> Network:
        """The network of some of the layers, on the same arrays."""
        return Network(self.layers[start:stop], self.weights)

    def _run(self, layers, x):
        import tensorflow as tf

        for layer in layers:
            op = layer["op"]
            if op == "conv":
                kernel = self._array(layer, "kernel", x)
                x = conv(x, kernel, layer["stride"], *pads_of(layer, kernel.shape))
                x = x + self._array(layer, "bias", x)
            elif op == "deconv":
                kernel = self._array(layer, "kernel", x)
                x = deconv(x, kernel, layer["stride"], crop_of(layer, kernel.shape))
                x = x + self._array(layer, "bias", x)
            elif op == "gdn":
                gamma = self._array(layer, "gamma", x)[None, None]
                norm = tf.nn.conv2d(tf.abs(x), gamma, 1, "VALID") + self._array(layer, "beta", x)
                x = x * norm if layer["inverse"] else x / norm
            elif op == "channel_norm":
                wide = x if x.dtype.size >= 4 else tf.cast(x, tf.float32)
                gamma, beta = (self._array(layer, array, wide) for array in ("gamma", "beta"))
                x = tf.cast(channel_norm(wide, gamma, beta, layer["epsilon"]), x.dtype)
            elif op == "relu":
                x = tf.nn.relu(x)
            elif op == "tanh":
                x = tf.tanh(x)
            elif op == "leaky_relu":
                x = tf.nn.leaky_relu(x, layer["slope"])
            elif op == "scale":
                x = x * layer["factor"]
            elif op == "space_to_depth":
                x = tf.nn.space_to_depth(x, layer["block"])
            elif op == "depth_to_space":
                x = tf.nn.depth_to_space(x, layer["block"])
            elif op == "sum":
                x = tf.add_n([self._run(branch, x) for branch in layer["branches"]])
            elif op == "residual":
                x = x + self._run(layer["branch"], x)
            elif op in ops.KINDS:
                x = ops.run(layer, self._array, x)
        return x

    def _array(self, layer, array, like):
        import tensorflow as tf

        from tfhific.published.tensor_file import shared

        name = f"{layer['name']}/{array}"
        value = self.weights[name]
        if not tf.executing_eagerly() or not isinstance(value, np.ndarray):
            return tf.cast(tf.convert_to_tensor(value), like.dtype)
        # Kept only where it is the array itself: a network is not in memory twice.
        tensor = self._tensors.get(name)
        if tensor is None:
            tensor = shared(value)
            if not value.flags.writeable:
                self._tensors[name] = tensor
        return tf.cast(tensor, like.dtype)


def pads_of(layer: dict, kernel_shape) -> tuple[tuple[int, int, int, int], str]:
    """A convolution's pads (above, below, left, right), and with what it pads."""
    pads = layer.get("pads")
    if pads is None:
        pads = (*centred(kernel_shape[0]), *centred(kernel_shape[1]))
    return tuple(pads), layer.get("padding", "zeros")


def crop_of(layer: dict, kernel_shape) -> tuple[int, int]:
    """An upsampling convolution's crop (above, left)."""
    return tuple(layer.get("crop") or (kernel_shape[0] // 2, kernel_shape[1] // 2))


_ARRAYS = {
    "conv": {"kernel": 4, "bias": 1},
    "deconv": {"kernel": 4, "bias": 1},
    "gdn": {"gamma": 2, "beta": 1},
    "channel_norm": {"gamma": 1, "beta": 1},
}
_LARGEST_PAD = 32


def _check(layers, weights, depth: int = 0) -> None:
    if depth > network_shapes.MAX_DEPTH:
        raise ModelError(
            f"The model's branches are nested more than {network_shapes.MAX_DEPTH} deep."
        )
    if not isinstance(layers, list):
        raise ModelError(f"Expected a list of layers in the model. Received: {layers!r:.200}.")
    for layer in layers:
        op = layer.get("op") if isinstance(layer, dict) else None
        if not isinstance(op, str):
            raise ModelError(
                f"Expected a layer of the model with its `op`. Received: {layer!r:.200}."
            )
        if op in _ARRAYS:
            _check_arrays(layer, weights)
        elif op == "sum":
            branches = layer.get("branches")
            if not isinstance(branches, list) or not branches:
                raise ModelError(f"Expected branches to sum up. Received: {layer!r:.200}.")
            for branch in branches:
                _check(branch, weights, depth + 1)
        elif op == "residual":
            _check(layer.get("branch"), weights, depth + 1)
        elif op in ("space_to_depth", "depth_to_space"):
            if layer.get("block") not in range(2, 65):
                raise ModelError(f"Expected a block of 2 to 64. Received: {layer!r:.200}.")
        elif op in ("leaky_relu", "scale"):
            if not isinstance(layer.get("slope" if op == "leaky_relu" else "factor"), float):
                raise ModelError(f"Expected a number in the layer. Received: {layer!r:.200}.")
        elif op in ops.KINDS:
            ops.check(layer, weights)
        elif op not in ("relu", "tanh"):
            raise ModelError(
                f"The model has a layer that this version does not know: {layer!r:.200}. "
                "A newer tfhific may read it."
            )


def _check_arrays(layer: dict, weights) -> None:
    op = layer["op"]
    for array, rank in _ARRAYS[op].items():
        name = f"{layer.get('name')}/{array}"
        if name not in weights:
            raise ModelError(f"The model lacks the array {name!r} of its layer {layer!r:.200}.")
        if weights[name].ndim != rank:
            raise ModelError(
                f"The model's array {name!r} should have {rank} dimensions. "
                f"Received: shape {weights[name].shape}."
            )
    if op == "gdn":
        if not isinstance(layer.get("inverse"), bool):
            raise ModelError(f"Expected `inverse`, true or false. Received: {layer!r:.200}.")
        return
    if op == "channel_norm":
        epsilon = layer.get("epsilon")
        if not (isinstance(epsilon, float) and math.isfinite(epsilon) and epsilon > 0):
            raise ModelError(f"Expected a positive `epsilon`. Received: {layer!r:.200}.")
        if len(weights[f"{layer['name']}/gamma"]) < 2:
            raise ModelError(
                f"Expected at least two channels to normalise. Received: {layer!r:.200}."
            )
        return
    if layer.get("stride") not in range(1, 17):
        raise ModelError(f"Expected a stride of 1 to 16. Received: {layer!r:.200}.")
    shape = weights[f"{layer['name']}/kernel"].shape
    if op == "conv":
        _check_amounts(layer, "pads", 4)
        if layer.get("padding", "zeros") not in PADDINGS:
            raise ModelError(
                f"Expected padding by {' or '.join(PADDINGS)}. Received: {layer!r:.200}."
            )
        pads, _ = pads_of(layer, shape)
        for kernel, pad in zip(shape, (sum(pads[:2]), sum(pads[2:]))):
            # Only so does every whole multiple of the stride give one output a stride.
            if not kernel - layer["stride"] <= pad < kernel:
                raise ModelError(f"Expected pads that fit the kernel, {shape[:2]}: {layer!r:.200}.")
        return
    _check_amounts(layer, "crop", 2)
    if not all(spans(k, layer["stride"], c) for k, c in zip(shape, crop_of(layer, shape))):
        raise ModelError(
            f"Expected a kernel that reaches over its stride. Received: {shape[:2]} in "
            f"{layer!r:.200}."
        )


def _check_amounts(layer: dict, field: str, count: int) -> None:
    value = layer.get(field)
    if value is None:
        return
    fits = isinstance(value, list) and len(value) == count
    if not fits or any(type(n) is not int or not 0 <= n <= _LARGEST_PAD for n in value):
        raise ModelError(
            f"Expected `{field}`, {count} numbers from 0 to {_LARGEST_PAD}. Received: "
            f"{layer!r:.200}."
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
