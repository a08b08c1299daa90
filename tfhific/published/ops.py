"""Layers of networks that see a whole picture or a vector, beside those of `network`.

| op | fields | arrays |
| --- | --- | --- |
| `plain_conv` | `name`, `stride`, `padding` (`SAME` or `VALID`, TensorFlow's) | `kernel` [k, k, in, out], `bias` [out] |
| `depthwise_conv` | `name`; centred, padded with zeros | `kernel` [k, k, channels], k odd, `bias` [channels] |
| `plain_deconv` | `name`, `stride`; padded as `SAME` | `kernel` [k, k, out, in], `bias` [out] |
| `reflect_pad` | `size` | |
| `instance_norm` | `name`, `epsilon` | `gamma`, `beta` [channels] |
| `affine` | `name`; a batch normalisation, folded | `gamma`, `beta` [channels] |
| `dense` | `name` | `kernel` [in, out], `bias` [out] |
| `reshape` | `shape`, without the batch | |
| `flatten`, `sigmoid` | | |
"""  # noqa: E501 (a table)

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tfhific.errors import ModelError

_RANKS = {
    "depthwise_conv": {"kernel": 3, "bias": 1},
    "plain_conv": {"kernel": 4, "bias": 1},
    "plain_deconv": {"kernel": 4, "bias": 1},
    "instance_norm": {"gamma": 1, "beta": 1},
    "affine": {"gamma": 1, "beta": 1},
    "dense": {"kernel": 2, "bias": 1},
}
KINDS = (*_RANKS, "reflect_pad", "reshape", "flatten", "sigmoid")


def check(layer: dict, weights: dict[str, np.ndarray]) -> None:
    """Checks a layer of one of `KINDS`.

    Raises:
      ModelError: when a field or an array is missing or of another shape.
    """
    op = layer["op"]
    for array, rank in _RANKS.get(op, {}).items():
        value = weights.get(f"{layer.get('name')}/{array}")
        if value is None or value.ndim != rank:
            raise ModelError(
                f"The model's layer {layer!r:.200} needs its {array} of {rank} dimensions. "
                f"Received: {None if value is None else value.shape}."
            )
    fits = True
    if op == "depthwise_conv":
        rows, columns, channels = weights[f"{layer['name']}/kernel"].shape
        fits = rows == columns and rows % 2 == 1 and rows <= 31
        fits = fits and len(weights[f"{layer['name']}/bias"]) == channels
    if op in ("plain_conv", "plain_deconv"):
        fits = layer.get("stride") in range(1, 17)
    if op == "plain_conv":
        fits = fits and layer.get("padding") in ("SAME", "VALID")
    elif op == "reflect_pad":
        fits = layer.get("size") in range(1, 65)
    elif op == "instance_norm":
        epsilon = layer.get("epsilon")
        fits = isinstance(epsilon, float) and 0 < epsilon < 1
    elif op == "reshape":
        shape = layer.get("shape")
        fits = (
            isinstance(shape, list)
            and all(isinstance(side, int) and side > 0 for side in shape)
            and math.prod(shape) <= 1 << 24
        )
    if not fits:
        raise ModelError(f"The model has a layer with impossible fields: {layer!r:.200}.")


def run(layer: dict, array_of: Callable, x):
    """Runs a layer of one of `KINDS` on a float tensor.

    Args:
      layer: checked.
      array_of: `array_of(layer, name, like)` gives one of its arrays as a tensor of a dtype.
      x: the input.
    """
    import tensorflow as tf

    def array(name: str):
        return array_of(layer, name, x)

    op = layer["op"]
    if op == "depthwise_conv":
        kernel = array("kernel")[..., None]
        return tf.nn.depthwise_conv2d(x, kernel, [1, 1, 1, 1], "SAME") + array("bias")
    if op == "plain_conv":
        return tf.nn.conv2d(x, array("kernel"), layer["stride"], layer["padding"]) + array("bias")
    if op == "plain_deconv":
        kernel, stride, shape = array("kernel"), layer["stride"], tf.shape(x)
        size = [shape[0], shape[1] * stride, shape[2] * stride, kernel.shape[2]]
        return tf.nn.conv2d_transpose(x, kernel, tf.stack(size), stride, "SAME") + array("bias")
    if op == "reflect_pad":
        pad = [layer["size"]] * 2
        return tf.pad(x, [[0, 0], pad, pad, [0, 0]], "REFLECT")
    if op == "instance_norm":
        mean, variance = tf.nn.moments(x, (1, 2), keepdims=True)
        scale = tf.math.rsqrt(variance + layer["epsilon"]) * array("gamma")
        return (x - mean) * scale + array("beta")
    if op == "affine":
        return x * array("gamma") + array("beta")
    if op == "dense":
        return tf.matmul(x, array("kernel")) + array("bias")
    if op == "reshape":
        return tf.reshape(x, [-1, *layer["shape"]])
    if op == "flatten":
        return tf.reshape(x, [tf.shape(x)[0], int(np.prod(x.shape[1:]))])
    return tf.sigmoid(x)


def fold_layer(layer, prefix: str, weights: dict[str, np.ndarray]) -> list | None:
    """Folds a built Keras layer that is one of `KINDS`, or None where it is none of them.

    Args:
      layer: `DepthwiseConv2D`, `Conv2D`, `Conv2DTranspose`, `Dense`, `Reshape`, `Flatten`,
        `Activation`, `BatchNormalization`, `Dropout`, `ReflectionPad`, or an instance
        normalisation.
      prefix: the name of its arrays.
      weights: takes them.
    """
    from tfhific.backend import keras
    from tfhific.models.addons import is_instance_normalization
    from tfhific.models.extreme_networks import ReflectionPad

    layers = keras.layers

    def put(**arrays) -> None:
        for name, value in arrays.items():
            weights[f"{prefix}/{name}"] = np.asarray(value, np.float32)

    def bias(size: int) -> np.ndarray:
        return layer.bias.numpy() if layer.use_bias else np.zeros([size], np.float32)

    if isinstance(layer, layers.DepthwiseConv2D):
        kernel = layer.depthwise_kernel.numpy()
        centred = layer.padding == "same" and set(layer.strides) == {1} and len(kernel) % 2
        if not centred or kernel.shape[0] != kernel.shape[1] or kernel.shape[3] != 1:
            return None
        channels = kernel.shape[2]
        put(kernel=kernel[..., 0], bias=bias(channels))
        return [{"op": "depthwise_conv", "name": prefix}, *_activation(layer)]
    if isinstance(layer, layers.Conv2DTranspose):
        put(kernel=layer.kernel.numpy(), bias=bias(layer.filters))
        entry = {"op": "plain_deconv", "name": prefix, "stride": int(layer.strides[0])}
        return [entry, *_activation(layer)] if layer.padding == "same" else None
    if isinstance(layer, layers.Conv2D):
        put(kernel=layer.kernel.numpy(), bias=bias(layer.filters))
        entry = {"op": "plain_conv", "name": prefix, "stride": int(layer.strides[0])}
        return [{**entry, "padding": layer.padding.upper()}, *_activation(layer)]
    if isinstance(layer, layers.Dense):
        put(kernel=layer.kernel.numpy(), bias=bias(layer.units))
        return [{"op": "dense", "name": prefix}, *_activation(layer)]
    if isinstance(layer, ReflectionPad):
        return [{"op": "reflect_pad", "size": layer.size}]
    if is_instance_normalization(layer):
        put(gamma=layer.gamma.numpy(), beta=layer.beta.numpy())
        return [{"op": "instance_norm", "name": prefix, "epsilon": float(layer.epsilon)}]
    if isinstance(layer, layers.BatchNormalization):
        deviation = np.sqrt(layer.moving_variance.numpy().astype(np.float64) + layer.epsilon)
        scale = layer.gamma.numpy() / deviation
        put(gamma=scale, beta=layer.beta.numpy() - scale * layer.moving_mean.numpy())
        return [{"op": "affine", "name": prefix}]
    if isinstance(layer, layers.Reshape):
        return [{"op": "reshape", "shape": [int(side) for side in layer.target_shape]}]
    if isinstance(layer, layers.Flatten):
        return [{"op": "flatten"}]
    if isinstance(layer, layers.Dropout):
        return []
    if isinstance(layer, layers.Activation):
        return _activation(layer)
    return None


def _activation(layer) -> list:
    name = getattr(layer.activation, "__name__", None)
    if name == "linear":
        return []
    if name in ("relu", "tanh", "sigmoid"):
        return [{"op": name}]
    raise ModelError(f"The activation of {layer.name} has no folded form: {name}.")
