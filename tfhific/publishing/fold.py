"""From a trained Keras network to the plain kernels that a codec runs.

Reparameterised kernels (RDFT, GDN's lower-bounded square roots) are evaluated once; what remains
is `tfhific.published.network`'s list of layers. Needs Keras and TFC; used when a model is
published.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from tfhific.backend import keras, tfc
from tfhific.errors import ModelError
from tfhific.models.convolutions import CroppedConv2DTranspose, PaddedConv2D
from tfhific.models.layers import DepthToSpace, Parallel, Residual, Scale, SpaceToDepth
from tfhific.models.normalisation import ChannelNorm
from tfhific.models.spectral import SpectralConv2D
from tfhific.published.functional import centred
from tfhific.published.network import Network
from tfhific.published.ops import fold_layer


def fold(layer: keras.layers.Layer, prefix: str) -> Network:
    """Folds a built Keras network.

    Args:
      layer: made of `Sequential`, `Parallel`, `Residual`, `Scale`, `SpaceToDepth`, `DepthToSpace`,
        `ReLU`, `LeakyReLU`, `tanh`, `ChannelNorm`, `PaddedConv2D`, `CroppedConv2DTranspose`,
        TFC's `SignalConv2D` and `GDN` (alpha and epsilon one), and what
        `tfhific.published.ops` folds.
      prefix: begins the names of the network's arrays.

    Raises:
      ModelError: for a layer that has no folded form.
    """
    weights: dict[str, np.ndarray] = {}
    return Network(_fold(layer, prefix, weights), weights)


def _fold(layer, prefix: str, weights: dict[str, np.ndarray]) -> list:
    if isinstance(layer, keras.Sequential):
        inner = [_fold(part, f"{prefix}/{i}", weights) for i, part in enumerate(layer.layers)]
        return [entry for part in inner for entry in part]
    if isinstance(layer, Parallel):
        branches = [_fold(b, f"{prefix}/{i}", weights) for i, b in enumerate(layer.branches)]
        return [{"op": "sum", "branches": branches}]
    if isinstance(layer, Residual):
        return [{"op": "residual", "branch": _fold(layer.branch, f"{prefix}/0", weights)}]
    if isinstance(layer, Scale):
        return [{"op": "scale", "factor": float(layer.factor)}]
    if isinstance(layer, SpaceToDepth):
        return [{"op": "space_to_depth", "block": layer.block}]
    if isinstance(layer, DepthToSpace):
        return [{"op": "depth_to_space", "block": layer.block}]
    if isinstance(layer, keras.layers.ReLU):
        return [{"op": "relu"}]
    if isinstance(layer, keras.layers.LeakyReLU):
        return [{"op": "leaky_relu", "slope": float(layer.alpha)}]
    if isinstance(layer, keras.layers.Activation) and layer.activation in (
        tf.tanh,
        keras.activations.tanh,
    ):
        return [{"op": "tanh"}]
    if isinstance(layer, ChannelNorm):
        _store(layer, prefix, weights, ("gamma", "beta"))
        return [{"op": "channel_norm", "name": prefix, "epsilon": float(layer.epsilon)}]
    if isinstance(layer, CroppedConv2DTranspose):
        return _fold_transposed(layer, prefix, weights)
    if isinstance(layer, PaddedConv2D) and not isinstance(layer, SpectralConv2D):
        return _fold_padded(layer, prefix, weights)
    if isinstance(layer, tfc.GDN):
        return _fold_gdn(layer, prefix, weights)
    if isinstance(layer, tfc.SignalConv2D):
        return _fold_conv(layer, prefix, weights)
    folded = fold_layer(layer, prefix, weights)
    if folded is not None:
        return folded
    raise ModelError(f"The layer {type(layer).__name__} ({layer.name}) has no folded form.")


def _evaluate(parameter) -> np.ndarray:
    return np.asarray(tf.convert_to_tensor(parameter() if callable(parameter) else parameter))


def _store(layer, prefix: str, weights: dict[str, np.ndarray], names) -> None:
    for name in names:
        weights[f"{prefix}/{name}"] = _evaluate(getattr(layer, name))


def _fold_padded(layer, prefix: str, weights: dict[str, np.ndarray]) -> list:
    _store(layer, prefix, weights, ("kernel", "bias"))
    entry = {"op": "conv", "name": prefix, "stride": layer.stride}
    if layer.pads != centred(layer.kernel_size) * 2:
        entry["pads"] = list(layer.pads)
    if layer.padding != "zeros" and any(layer.pads):
        entry["padding"] = layer.padding
    return [entry]


def _fold_transposed(layer, prefix: str, weights: dict[str, np.ndarray]) -> list:
    _store(layer, prefix, weights, ("kernel", "bias"))
    entry = {"op": "deconv", "name": prefix, "stride": layer.stride}
    if layer.crop != layer.kernel_size // 2:
        entry["crop"] = [layer.crop, layer.crop]
    return [entry]


def _fold_gdn(layer, prefix: str, weights: dict[str, np.ndarray]) -> list:
    for name in ("alpha_parameter", "epsilon_parameter"):
        if getattr(layer, name) != 1:
            raise ModelError(f"A GDN layer folds with {name} = 1 only. Received: {layer.name}.")
    if layer.rectify:
        raise ModelError(f"A rectified GDN layer has no folded form. Received: {layer.name}.")
    weights[f"{prefix}/gamma"] = _evaluate(layer.gamma)
    weights[f"{prefix}/beta"] = _evaluate(layer.beta)
    return [{"op": "gdn", "name": prefix, "inverse": bool(layer.inverse)}]


def _fold_conv(layer, prefix: str, weights: dict[str, np.ndarray]) -> list:
    if layer.padding != "same_zeros":
        raise ModelError(f"A signal convolution folds with padding 'same_zeros': {layer.name}.")
    down, up = set(layer.strides_down), set(layer.strides_up)
    kernel = _evaluate(layer.kernel)
    if kernel.shape[0] % 2 == 0 or kernel.shape[0] != kernel.shape[1]:
        raise ModelError(f"A signal convolution folds with odd, square kernels: {layer.name}.")
    if layer.corr and up == {1} and len(down) == 1:
        entry = {"op": "conv", "name": prefix, "stride": down.pop()}
    elif not layer.corr and down == {1} and len(up) == 1:
        entry = {"op": "deconv", "name": prefix, "stride": up.pop()}
        kernel = kernel.transpose(0, 1, 3, 2)
    else:
        raise ModelError(
            f"A signal convolution folds as a strided correlation or an upsampling convolution: "
            f"{layer.name}."
        )
    weights[f"{prefix}/kernel"] = kernel
    weights[f"{prefix}/bias"] = (
        _evaluate(layer.bias) if layer.use_bias else np.zeros([layer.filters], np.float32)
    )
    return [entry, *_fold_activation(layer)]


def _fold_activation(layer) -> list:
    activation = layer.activation
    if activation is None or activation is keras.activations.linear:
        return []
    if activation in (tf.nn.relu, keras.activations.relu):
        return [{"op": "relu"}]
    raise ModelError(f"The activation of {layer.name} has no folded form: {activation!r}.")
