"""Whether a network's layers fit each other, without running it: their channels and strides."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from tfhific.errors import ModelError

MAX_DEPTH = 16
"""So deep may branches lie in branches; what ships has two."""

# Where each op's kernel has its inputs and its outputs.
_KERNELS = {
    "conv": (2, 3),
    "plain_conv": (2, 3),
    "deconv": (3, 2),
    "plain_deconv": (3, 2),
    "dense": (0, 1),
}
_PER_CHANNEL = ("gdn", "channel_norm", "instance_norm", "affine")


def channels_after(
    layers: list, weights: Mapping[str, np.ndarray], channels: int | None = None
) -> int | None:
    """The channels that a network gives.

    Args:
      layers: checked one by one, as `tfhific.published.network` does.
      weights: their arrays.
      channels: of the input; None where that is not known.

    Returns:
      The number, None where it can't be told without the picture's size.

    Raises:
      ModelError: when a layer does not fit the one before it, or branches each other.
    """
    vector = False
    for layer in layers:
        op = layer["op"]
        of_vector, vector = vector, op == "dense" or (vector and op not in ("reshape", "flatten"))
        if op in _KERNELS:
            channels = _through_kernel(layer, weights, channels)
        elif op in _PER_CHANNEL:
            for array in ("gamma", "beta"):
                for side in weights[f"{layer['name']}/{array}"].shape:
                    channels = _same(layer, channels, side)
        elif op == "depthwise_conv":
            for array in ("kernel", "bias"):
                channels = _same(layer, channels, weights[f"{layer['name']}/{array}"].shape[-1])
        elif op == "space_to_depth":
            channels = None if channels is None else channels * layer["block"] ** 2
        elif op == "depth_to_space":
            if channels is not None:
                channels, rest = divmod(channels, layer["block"] ** 2)
                if rest:
                    raise ModelError("The model makes pixels of channels that don't suffice.")
        elif op == "sum":
            found = [channels_after(each, weights, channels) for each in layer["branches"]]
            strides = [factor_of(each) for each in layer["branches"]]
            if any(each != strides[0] for each in strides):
                raise ModelError("The model adds up branches of different strides.")
            for other in found[1:]:
                _same(layer, found[0], other)
            channels = found[0]
        elif op == "residual":
            if factor_of(layer["branch"]) != 1:
                raise ModelError("The model adds a branch of another stride to its input.")
            after = channels_after(layer["branch"], weights, channels)
            channels = _same(layer, channels, after)
        elif op == "reshape":
            if of_vector:
                _same(layer, channels, math.prod(layer["shape"]))
            channels = layer["shape"][-1]
        elif op == "flatten":
            channels = None
    return channels


def _through_kernel(layer: dict, weights: Mapping[str, np.ndarray], channels: int | None) -> int:
    inputs, outputs = _KERNELS[layer["op"]]
    shape = weights[f"{layer['name']}/kernel"].shape
    _same(layer, channels, shape[inputs])
    bias = weights[f"{layer['name']}/bias"].shape
    if bias != (shape[outputs],) or not all(shape):
        raise ModelError(
            f"The model's layer {layer['name']!r} has a bias of {bias} for a kernel of {shape}."
        )
    return shape[outputs]


def _same(layer: dict, found: int | None, expected: int | None) -> int | None:
    if found is None or expected is None:
        return expected if found is None else found
    if found != expected:
        raise ModelError(
            f"The model's layer {layer.get('name', layer['op'])!r} expects {expected} channels and "
            f"receives {found}."
        )
    return found


def factor_of(layers: list) -> float:
    """Downsampling over upsampling of checked layers, by the first of their branches."""
    factor = 1.0
    for layer in layers:
        op = layer["op"]
        if op in ("conv", "plain_conv"):
            factor *= layer["stride"]
        elif op in ("deconv", "plain_deconv"):
            factor /= layer["stride"]
        elif op == "space_to_depth":
            factor *= layer["block"]
        elif op == "depth_to_space":
            factor /= layer["block"]
        elif op == "sum":
            factor *= factor_of(layer["branches"][0])
    return factor
